"""The README and the contributors' example run from top to bottom and print what they show; what they name exists."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import bregtutorial as bt

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text("utf8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf8")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and code of every fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def differences(shown: str, printed: str) -> list[str]:
    """Where two outputs differ: words and layout not at all, numbers more than another machine may change them.

    A long training drifts apart in the last bits. Percentages above 50 may differ by 2 points, other numbers by a
    fifth; numbers beside a letter (shapes, names) or behind a slash (totals) must be equal.
    """
    if NUMBER.sub("#", shown).split() != NUMBER.sub("#", printed).split():
        return [f"shown {shown!r}, printed {printed!r}"]
    found = []
    for left, right in zip(NUMBER.finditer(shown), NUMBER.finditer(printed), strict=True):
        a, b = (float(match[0].replace(",", "")) for match in (left, right))
        fixed = bool(re.search(r"[A-Za-z_/]$", shown[: left.start()]) or re.match(r"[A-Za-z_]", shown[left.end() :]))
        percent = shown[left.end() :].startswith("%")
        if abs(a - b) > (0 if fixed else 2 if percent and a > 50 else 0.2 * abs(a)):
            found.append(f"shown {left[0]}, printed {right[0]}")
    return found


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The same sums in the same order, and a global generator that is left as it was."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("text", "at_least"), [(TEXT, 6), (CONTRIBUTING, 2)], ids=["README", "CONTRIBUTING"])
def test_every_python_block_runs_and_prints_what_is_shown(
    text: str, at_least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "blocks"}
    ran = 0
    for (language, code), (after, shown) in pairwise([*blocks(text), ("", "")]):
        if language != "python":
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, "<block>", "exec", dont_inherit=True), names)
        assert not differences(shown if after == "text" else "", out.getvalue()), code
        ran += 1
    assert ran >= at_least


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("accuracy 91.9% with 3.3% of 100/200 in fc2", True),
        ("accuracy 93.5% with 3.3% of 100/200 in fc2", False),
        ("accuracy 91.9% with 4.8% of 100/200 in fc2", False),
        ("accuracy 91.9% with 3.3% of 100/201 in fc2", False),
        ("accuracy 91.9% with 3.3% of 100/200 in fc3", False),
        ("precision 91.9% with 3.3% of 100/200 in fc2", False),
        ("accuracy 91.9% with 3.3% of 110/200 in fc2", True),
    ],
)
def test_the_comparison_can_fail(printed: str, same: bool) -> None:
    assert (not differences("accuracy 91.2% with 3.7% of 100/200 in fc2\n", printed)) is same


def test_code_comes_within_the_first_screen() -> None:
    assert "```python" in "\n".join(TEXT.splitlines()[:12])
    code = next(code for language, code in blocks(TEXT) if language == "python")
    assert len([line for line in code.splitlines() if line and not line.startswith(("import", "print"))]) <= 12


def test_local_links_lead_somewhere() -> None:
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in t]
    assert len(targets) > 3
    assert not [t for t in targets if not (ROOT / t).exists()]


def test_links_to_the_project_name_the_project_and_files_that_exist() -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
    assert config["html"]["baseurl"] in TEXT
    assert config["repository"]["url"].removeprefix("https://") in TEXT
    paths = re.findall(r"colab\.research\.google\.com/github/bregtutorial/bregtutorial/blob/colab/([^)]+)\)", TEXT)
    assert paths
    assert all((ROOT / path).exists() for path in paths)


def test_the_table_of_chapters_is_the_table_of_contents() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    chapters = [f"{file}.ipynb" for file in files if re.match(r"book/\d-", file)]
    rows = re.findall(r"^\| \[[^\]]+\]\((book/[^)]+)\) \| (.+) \|$", TEXT, flags=re.MULTILINE)
    assert [path for path, _ in rows] == chapters
    for _, modules in rows:
        for name in re.findall(r"`([\w.]+)`", modules):
            assert any((ROOT / "bregtutorial" / name.replace(".", "/")).with_suffix(s).exists() for s in ("", ".py")), (
                name
            )


def test_every_name_of_the_package_exists() -> None:
    for name in set(re.findall(r"\bbt\.([A-Za-z_]\w*)", TEXT)):
        assert hasattr(bt, name), name
    table = TEXT.split("## Choose a regularizer")[1].split("```")[0]
    for reg in ("L1", "L1NonNegative", "GroupL2", "SparseGroupL2", "Nuclear", "Zero"):
        assert f"bt.{reg}(" in table
    for expression in re.findall(r"`(bt\.\w+\([^`]*\))`", table):
        eval(expression, {"bt": bt})


def test_the_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf8")
    targets = re.findall(r"(?:^|`)make ([\w-]+)", TEXT + CONTRIBUTING, flags=re.MULTILINE)
    assert {"book", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_files_that_contributors_are_sent_to_exist() -> None:
    named = re.findall(r"`((?:tests|tools|book|bregtutorial)/[\w./-]*)`", CONTRIBUTING)
    assert len(named) > 5
    assert not [path for path in named if not (ROOT / path).exists()]
    assert all((ROOT / "tests" / name).exists() for name in re.findall(r"`(test_\w+\.py)`", CONTRIBUTING))


def test_the_address_to_install_from_is_that_of_the_chapters() -> None:
    source = re.search(r'^SOURCE = "(.+)"$', (ROOT / "tools" / "setup_cell.py").read_text("utf8"), flags=re.MULTILINE)
    assert source
    assert f'pip install "{source[1]}"' in TEXT


def test_the_paper_is_cited_as_in_the_bibliography() -> None:
    bibliography = (ROOT / "book" / "references.bib").read_text("utf8")
    entry = next(code for language, code in blocks(TEXT) if language == "bibtex")
    assert entry.strip() in bibliography

"""The benchmarks' helper: what it measures, records and shows; and that pages show what the records say."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import _harness
import pytest

from bregtutorial import results

RECORDS = sorted(_harness.RECORDS.glob("*.json"))
ROWS = [{"variant": "old", "ms": 2.0, "ratio": 1.0, "extra": 7}, {"variant": "new", "ms": 1.0, "ratio": None}]
COLUMNS = {"variant": "", "ms": ".1f", "ratio": ".2f"}
TABLE = "| variant | ms | ratio |\n| --- | ---: | ---: |\n| old | 2.0 | 1.00 |\n| new | 1.0 | – |"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page with one mark, and records that go beside it."""
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- benchmark:speed/main -->\nold text\n<!-- end -->\nafter\n", "utf8")
    monkeypatch.setattr(_harness, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(_harness, "DOCS", (path,))
    return path


def test_a_record_holds_everything_and_the_page_follows_it(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = _harness.record("speed", {"main": (COLUMNS, ROWS)}, limit=0.5)
    content = json.loads(written.read_text("utf8"))
    assert content["tables"]["main"]["rows"] == ROWS
    assert content["limit"] == 0.5
    assert page.read_text("utf8") == f"before\n<!-- benchmark:speed/main -->\n{TABLE}\n<!-- end -->\nafter\n"
    assert _harness.fill(page.read_text("utf8")) == page.read_text("utf8")
    assert "old      2.0   1.00" in capsys.readouterr().out


def test_a_record_says_where_when_and_how(page: Path) -> None:
    content = json.loads(_harness.record("speed", {"main": (COLUMNS, ROWS)}).read_text("utf8"))
    assert content["command"].startswith("python ")
    assert re.fullmatch(r"([0-9a-f]{12}|unknown)(\+dirty)?", content["revision"])
    assert content["environment"]["threads"] >= 1
    assert f"torch {version('torch')}, {content['date'][:10]}" in str(_harness.load("speed"))


def test_ratios_are_to_the_first_alternative_of_the_same_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only the functions move: the machine gets slower, the ratio does not notice."""
    now, slow = [0.0], [1.0]

    def takes(seconds: float) -> Callable[[], None]:
        def call() -> None:
            slow[0] *= 1.0001
            now[0] += seconds * slow[0]

        return call

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    first, second = _harness.compare({"a": takes(0.2), "b": takes(0.5)}, rounds=7)
    assert (first["variant"], first["ratio"], second["variant"]) == ("a", 1.0, "b")
    assert second["ratio"] == pytest.approx(2.5, rel=1e-3)
    assert first["ms"] == pytest.approx(200, rel=5e-3)
    assert first["slowest ms"] > first["ms"]


def test_chapters_read_the_records_that_the_scripts_write() -> None:
    assert results.folder() / "benchmarks" == _harness.RECORDS
    assert [path for path in results.paths() if path in RECORDS] == []
    for path in RECORDS:
        assert results.benchmark(path.stem) == _harness.load(path.stem)
    with pytest.raises(ValueError, match="no benchmark 'speed' is recorded, only "):
        results.benchmark("speed")


@pytest.mark.parametrize("path", [*_harness.DOCS], ids=lambda path: path.name)
def test_pages_show_the_tables_of_the_records(path: Path) -> None:
    assert _harness.fill(path.read_text("utf8")) == path.read_text("utf8"), "run python benchmarks/_harness.py"


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_can_be_made_again_by_the_command_it_names(path: Path) -> None:
    content = json.loads(path.read_text("utf8"))
    script = content["command"].split()[1]
    assert content["name"] == path.stem
    assert f'record("{path.stem}"' in re.sub(r"\(\s+", "(", (_harness.ROOT / script).read_text("utf8"))
    for table in _harness.load(path.stem).tables.values():
        assert table.rows
        assert len(table.markdown().splitlines()) == len(table.rows) + 2

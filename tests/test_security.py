"""What a stranger's file, archive or pull request could do here; and that each rule can fail."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audit_deps
import pytest
import sbom
import yaml
from test_data_download import md5
from test_data_download import network as network
from torchvision import datasets

import bregtutorial as bt

ROOT = Path(__file__).resolve().parent.parent
CODE = sorted(path for folder in ("bregtutorial", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
CHAPTERS = sorted((ROOT / "book").rglob("*.ipynb"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

# --- no text becomes a program ---------------------------------------------------------------------------------------

NAMES = {"eval", "exec", "compile", "__import__"}
CALLS = {
    *("os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads", "joblib.load", "dill.load"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "shutil.unpack_archive", "subprocess.getoutput"),
}
OPTIONS = {("shell", True), ("weights_only", False), ("allow_pickle", True)}
# (file, what): why it must be
ALLOWED: dict[tuple[str, str], str] = {}


def dangers(text: str) -> Iterator[str]:
    """Calls that run what a file or a network holds."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in NAMES | CALLS or name.endswith((".extractall", ".extract")):
            yield name
        text_first = node.args and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
        if text_first and name.startswith(("subprocess.", "os.spawn", "os.exec")):
            yield f"{name} of a text"
        for option in node.keywords:
            if isinstance(option.value, ast.Constant) and (option.arg, option.value.value) in OPTIONS:
                yield f"{name}({option.arg}={option.value.value})"


def cells(path: Path) -> Iterator[str]:
    for cell in json.loads(path.read_text("utf8"))["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(cell["source"])


@pytest.mark.parametrize("path", [*CODE, *CHAPTERS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_runs_what_a_file_or_the_network_holds(path: Path) -> None:
    texts = [path.read_text("utf8")] if path.suffix == ".py" else list(cells(path))
    magics = [line for text in texts for line in text.splitlines() if re.match(r"\s*[!%]", line)]
    assert not magics or path.suffix == ".py"
    found = {(path.relative_to(ROOT).as_posix(), what) for text in texts for what in dangers(text)}
    assert not found - ALLOWED.keys()


def test_allowed_exceptions_exist_and_give_their_reason() -> None:
    found = {(path.relative_to(ROOT).as_posix(), what) for path in CODE for what in dangers(path.read_text("utf8"))}
    assert ALLOWED.keys() <= found
    assert all(ALLOWED.values())


@pytest.mark.parametrize(
    "text",
    [
        "eval(recipe['loss'])",
        "exec(open(path).read())",
        "__import__(name)",
        "os.system('rm ' + name)",
        "subprocess.run(f'git log {name}', shell=True)",
        "subprocess.run('ls')",
        "torch.load(path, weights_only=False)",
        "pickle.loads(raw)",
        "np.load(path, allow_pickle=True)",
        "tarfile.open(path).extractall(folder)",
        "yaml.load(text)",
    ],
)
def test_the_rule_can_fail(text: str) -> None:
    assert list(dangers(text))


def test_the_rule_lets_ordinary_code_pass() -> None:
    good = "model.eval(); re.compile(p); torch.compile(f); subprocess.run([git, 'log']); yaml.safe_load(t)"
    assert not list(dangers(good))


# --- archives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../escaped", "{}/escaped", "cifar-10-batches-py/../../escaped"])
def test_an_archive_cannot_write_outside_its_folder(
    name: str, network: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Even one that has the right checksum."""
    served, _ = network
    member, evil = tarfile.TarInfo(name.format(tmp_path)), io.BytesIO()
    member.size = 4
    whole = io.BytesIO(served["cifar-10-python.tar.gz"])
    with tarfile.open(fileobj=whole) as old, tarfile.open(fileobj=evil, mode="w:gz") as archive:
        for info in old.getmembers():
            archive.addfile(info, old.extractfile(info))
        archive.addfile(member, io.BytesIO(b"evil"))
    served["cifar-10-python.tar.gz"] = evil.getvalue()
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(evil.getvalue()))
    before = tarfile.TarFile.extraction_filter
    root = tmp_path / "deep" / "data"
    with contextlib.suppress(ConnectionError):
        bt.load_dataset("cifar10", root=root, tier="colab")
    assert not [p for p in tmp_path.rglob("escaped") if not p.is_relative_to(root)]
    assert tarfile.TarFile.extraction_filter is before


# --- workflows -------------------------------------------------------------------------------------------------------

OURS = {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}  # GitHub's own, by major version
OURS |= {"actions/download-artifact", "actions/upload-pages-artifact", "actions/deploy-pages"}
FOREIGN = r"\b(make|pip|python|pytest|npm)\b|\.ci/run"


def workflow_faults(text: str) -> Iterator[str]:
    workflow = yaml.safe_load(text)
    if workflow.get("permissions") != {"contents": "read"}:
        yield "permissions of the whole must be contents: read; a job that needs more says so itself"
    if "pull_request_target" in workflow[True]:
        yield "pull_request_target runs a stranger's code with our rights"
    for name, job in workflow["jobs"].items():
        writes = {key for key, right in job.get("permissions", {}).items() if right == "write"}
        if writes - {"pages", "id-token"} - ({"contents"} if name == "colab" else set()):
            yield f"{name} may write {writes}"
        if writes and any(re.search(FOREIGN, step.get("run", "")) for step in job["steps"]):
            yield f"{name} may write and runs other people's code: build in a job of its own"
        for step in job["steps"]:
            action, _, version = step.get("uses", "").partition("@")
            version_of_ours = action in OURS and re.fullmatch(r"v\d+", version)
            if action and not version_of_ours and not re.fullmatch(r"[0-9a-f]{40}", version):
                yield f"{action}@{version} is neither GitHub's own nor pinned to a commit"
            if action == "actions/checkout" and step.get("with", {}).get("persist-credentials") is not False:
                yield f"{name} leaves the token in the clone"
            if re.search(r"\$\{\{\s*github\.(event|head_ref)", step.get("run", "")):
                yield f"{name} puts a stranger's text into a command"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_the_least_rights(path: Path) -> None:
    assert not list(workflow_faults(path.read_text("utf8")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("contents: read", "contents: write"),
        ("pull_request:", "pull_request_target:"),
        ("actions/setup-python@v5", "somebody/setup-python@v5"),
        ("actions/setup-python@v5", "actions/setup-python@main"),
        ("persist-credentials: false", "persist-credentials: true"),
        ("run: .ci/run", "run: echo ${{ github.event.pull_request.title }}"),
        ("timeout-minutes: 60", "permissions: {packages: write}"),
    ],
)
def test_the_rule_on_workflows_can_fail(old: str, new: str) -> None:
    text = (ROOT / ".github/workflows/tests.yml").read_text("utf8")
    assert old in text
    assert list(workflow_faults(text.replace(old, new)))
    pinned = text.replace("actions/setup-python@v5", f"somebody/setup-python@{'0123456789' * 4}")
    assert not list(workflow_faults(pinned))


# --- what it is made of ----------------------------------------------------------------------------------------------


def test_the_bill_of_materials_is_what_pip_installs() -> None:
    found = sbom.bill()
    names = {part["name"] for part in found["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    assert {line.split(">")[0] for line in project["dependencies"]} <= names
    assert "mpmath" in names  # torch needs sympy, which needs it
    assert not names & {"pytest", "jupyter-book", "bregtutorial"}
    refs = {found["metadata"]["component"]["bom-ref"], *(part["bom-ref"] for part in found["components"])}
    assert {entry["ref"] for entry in found["dependencies"]} == refs
    assert all(set(entry["dependsOn"]) <= refs for entry in found["dependencies"])
    assert all(re.fullmatch(r"pkg:pypi/[a-z0-9-]+@[\w.%-]+", part["purl"]) for part in found["components"])


def test_an_audit_says_whether_it_asked() -> None:
    unknown = [{"name": "a", "skip_reason": "not found on PyPI"}, {"name": "b", "skip_reason": "not found on PyPI"}]
    assert audit_deps.verdict(unknown)[0] == 2
    assert "NOTHING WAS AUDITED" in audit_deps.verdict(unknown)[1]
    good = [{"name": "c", "version": "1.0", "vulns": []}]
    assert audit_deps.verdict(good) == (0, "no known vulnerabilities in 1 packages")
    assert audit_deps.verdict([*good, *unknown])[1].endswith("not looked up: a, b")
    bad = [{"name": "d", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}]
    assert audit_deps.verdict(bad) == (1, "d 1.0: CVE-1, mended in 1.1\n1 known vulnerabilities in 1 packages")
    assert audit_deps.main("false") == 2

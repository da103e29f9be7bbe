"""The files that describe the environment agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import bregtutorial

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
RUN_TIME = [Requirement(line) for line in PROJECT["dependencies"]]
EVERYTHING = RUN_TIME + [Requirement(line) for extra in EXTRAS.values() for line in extra]
# what Google Colab's oldest pinned runtime has, or older
OLDEST = {
    "torch": "2.6",
    "torchvision": "0.21",
    "numpy": "2.0",
    "matplotlib": "3.10",
    "tqdm": "4.67",
    "ipywidgets": "7.7.1",
}
OTHERS = {"integrations", "onnx"}  # other people's libraries, installed by `make test-integrations` alone
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def pins(name: str) -> dict[str, Version]:
    """The exact versions in a constraints file."""
    lines = (ROOT / name).read_text("utf8").splitlines()
    return {
        normal(n): Version(v) for n, _, v in (line.partition("==") for line in lines if "==" in line and line[0] != "#")
    }


def normal(name: str) -> str:
    """A package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lower_bound(requirement: Requirement) -> Version:
    """The version after `>=`."""
    return Version(next(s.version for s in requirement.specifier if s.operator == ">="))


def yaml_file(path: Path) -> dict:
    return yaml.safe_load(path.read_text("utf8"))


def test_conda_environment_says_what_pyproject_says():
    environment = yaml_file(ROOT / "environment.yml")
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    assert environment["name"] == PROJECT["name"]
    assert pip == ["-c constraints.txt", f"-e .[{','.join(extra for extra in EXTRAS if extra not in OTHERS)}]"]
    assert [entry.partition("=")[0] for entry in conda] == ["python", "pip"]
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert conda[0] == f"python={oldest}"


def test_constraints_pin_what_pyproject_allows_and_leave_torch_free():
    pinned = pins("constraints.txt")
    free = {"torch", "torchvision"}
    assert not [name for name in pinned if re.match(r"(torch|torchvision|nvidia.*|triton|cuda.*)$", name)]
    assert {normal(r.name) for r in EVERYTHING} - free - {"setuptools", "wheel"} <= set(pinned)
    wrong = [str(r) for r in EVERYTHING if normal(r.name) in pinned and pinned[normal(r.name)] not in r.specifier]
    assert not wrong


def test_lower_bounds_are_low_and_there_are_no_upper_ones():
    for requirement in RUN_TIME:
        assert [s.operator for s in requirement.specifier] == [">="], f"{requirement}: Colab's version must be allowed"
        assert lower_bound(requirement) <= Version(OLDEST[requirement.name])


def is_imported(requirement: Requirement) -> bool:
    """Whether the package or a chapter imports it: then its oldest version matters."""
    name = {"scikit-image": "skimage", "scikit-learn": "sklearn"}.get(requirement.name, requirement.name)
    files = [*(ROOT / "bregtutorial").rglob("*.py"), *(ROOT / "book").rglob("*.ipynb")]
    return any(
        re.search(rf"^\W*(import|from) {name}\b|import_module\(.{name}\.", path.read_text("utf8"), re.MULTILINE)
        for path in files
    )


def test_lowest_constraints_are_the_lower_bounds():
    lowest = pins("tools/constraints-lowest.txt")
    imported = [r for r in map(Requirement, EXTRAS["book"]) if is_imported(r)]
    assert {"mlxtend", "scikit-learn", "scipy"} <= {r.name for r in imported}
    for requirement in RUN_TIME + imported:
        assert lowest.pop(normal(requirement.name), None) == lower_bound(requirement), requirement
    assert not lowest


def test_one_version_everywhere():
    newest = re.search(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text("utf8"), re.MULTILINE)
    assert newest, "CHANGELOG.md has no heading like '## [0.1.0]'"
    versions = {newest[1], PROJECT["version"], yaml_file(ROOT / "CITATION.cff")["version"], bregtutorial.__version__}
    assert len(versions) == 1, versions


def test_citation_names_the_paper():
    citation = yaml_file(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors", "license"} <= set(citation)
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Source"]
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Bungert", "Roith", "Tenbrinck", "Burger"]


def test_book_knows_the_repository_and_the_site():
    config = yaml_file(ROOT / "_config.yml")
    assert config["repository"]["url"] == PROJECT["urls"]["Source"]
    assert config["html"]["baseurl"] == config["sphinx"]["config"]["ogp_site_url"] == PROJECT["urls"]["Homepage"]
    assert (
        f"git+{PROJECT['urls']['Source']}@{config['repository']['branch']}"
        in (ROOT / "tools/setup_cell.py").read_text()
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_is_well_formed(path):
    workflow = yaml_file(path)
    assert {"name", "permissions", "jobs"} <= set(workflow)
    assert True in workflow, "no trigger: YAML 1.1 reads the key `on` as true"
    for job in workflow["jobs"].values():
        assert {"runs-on", "timeout-minutes", "steps"} <= set(job)
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


def test_continuous_integration_runs_the_same_commands_and_requires_a_browser():
    tests = yaml_file(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]
    assert {"run": ".ci/run"} in tests["newest"]["steps"]
    assert any("-c tools/constraints-lowest.txt" in step.get("run", "") for step in tests["lowest"]["steps"])
    assert PROJECT["requires-python"] == ">=" + min(tests["newest"]["strategy"]["matrix"]["python"])
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "BREGTUTORIAL_REQUIRE_BROWSER=1" in script.read_text()
    assert "exec make test" in script.read_text()


def test_no_file_of_the_repository_is_larger_than_one_mebibyte():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    files = [ROOT / name for name in listed.split("\0") if name] or list((ROOT / "book").rglob("*"))
    assert files
    assert not [str(path) for path in files if path.is_file() and path.stat().st_size > 2**20]

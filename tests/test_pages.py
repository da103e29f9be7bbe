"""Pages that are generated from one source: what they say is what chapters, records, docstrings and tests say."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from docutils import nodes
from docutils.utils import new_document
from nbformat.v4 import new_code_cell, new_notebook
from pages import citing, ledger, package_links, statements, symbols, timing, verdicts, website
from pages.chapters import Chapter, chapters
from pybtex.database import parse_file

import bregtutorial as bt
from bregtutorial import results
from bregtutorial.recipes import RECIPES
from bregtutorial.results import PUBLISHED, ComparedRow, PaperRow

ROOT = Path(__file__).resolve().parent.parent
BIBLIOGRAPHY = parse_file(str(ROOT / "book" / "references.bib")).entries
WITHOUT_ADDRESS = {"bauschke2008dykstra", "nemirovsky1983problem", "yu2013decomposing", "yun2021adaptive"}


def row(recipe: str = "mnist-mlp/sgd", paper: dict | None = None, **final: float) -> ComparedRow:
    """A row of the paper with one run, which is short."""
    runs = [SimpleNamespace(final=final, history=[{}])] if final else []
    return ComparedRow(PaperRow("row", recipe, paper or {}), tuple(runs))


def test_the_index_lists_every_statement_of_the_chapters_once():
    listed = re.findall(r"\{prf:ref\}`([^`]+)`", statements.statements())
    stated = sum(
        len(re.findall(r"^ *:{3,}\{prf:(?!proof\b)\w+\}", chapter.text, re.MULTILINE))
        for chapter in chapters().values()
    )
    assert len(listed) == len(set(listed)) == stated > 50


def test_the_ledger_treats_every_table_and_figure_of_the_paper():
    assert [entry["compare"] for entry in ledger.entries()["experiment"]] == sorted(
        PUBLISHED, key=[entry["compare"] for entry in ledger.entries()["experiment"]].index
    )
    assert {name for entry in ledger.entries()["finding"] for name in entry["runs"]} <= RECIPES.keys()
    assert {entry["holds"] for entry in ledger.entries()["finding"]} <= {"rise", "fall", "drop"}


@pytest.mark.parametrize("entry", ledger.entries()["theory"], ids=lambda entry: entry["statement"])
def test_the_ledger_names_statements_and_tests_that_exist(entry):
    assert sum(entry["statement"] == s.label for chapter in chapters().values() for s in chapter.statements) == 1
    assert all(ledger.tests(named) for named in entry["tests"])


def test_every_record_that_the_ledger_links_exists():
    linked = re.findall(r"blob/main/(results/[^)]+)\)", ledger.numbers())
    assert len(linked) > 10
    assert not [path for path in linked if not (ROOT / path).exists()]


def test_chapters_of_experiments_are_those_that_show_their_records():
    assert ledger.home("mnist-mlp").name == "mnist-and-the-mlp"
    assert ledger.home("skip-autoencoder").name == "architecture-search"
    assert ledger.home("no-such-experiment") is None


@pytest.mark.parametrize(
    ("name", "theirs", "near", "far"),
    [("test_accuracy", 90.0, 89.1, 88.9), ("test_ssim", 0.9, 0.885, 0.87), ("density", 4.0, 4.9, 5.1)],
)
def test_a_number_agrees_or_not(name, theirs, near, far):
    assert verdicts.agrees(name, theirs, near)
    assert not verdicts.agrees(name, theirs, far)


def test_a_row_is_reproduced_partly_or_not():
    paper = {"density": 4.0, "test_accuracy": 90.0}
    assert verdicts.row_verdict(row(paper=paper)) == verdicts.NOT_YET
    assert verdicts.row_verdict(row(paper=paper, density=0.04, test_accuracy=0.9)) == verdicts.YES
    assert verdicts.row_verdict(row(paper=paper, density=0.08, test_accuracy=0.9)) == verdicts.PARTLY
    assert verdicts.row_verdict(row(paper=paper, density=0.08, test_accuracy=0.8)) == verdicts.NO


@pytest.mark.parametrize(
    ("holds", "values", "verdict"),
    [
        ("rise", (0.1, 0.2), verdicts.YES),
        ("rise", (0.2, 0.2), verdicts.NO),
        ("fall", (0.2, 0.1), verdicts.YES),
        ("drop", (0.2, 0.197), verdicts.YES),
        ("drop", (0.2, 0.19), verdicts.NO),
        ("rise", (0.1,), verdicts.NOT_YET),
    ],
)
def test_an_order_holds_or_not(monkeypatch, holds, values, verdict):
    runs = {f"x/{i}": row(density=value) for i, value in enumerate(values)}
    monkeypatch.setattr(verdicts, "recorded", lambda name: runs.get(name, row()))
    finding = {"runs": ["x/0", "x/1"], "numbers": ["density"], "holds": holds, "at_most": 0.5}
    assert verdicts.finding_verdict(finding) == verdict


def test_a_short_run_is_called_short():
    run = results.load("mnist-mlp", "full")[0]
    row, epochs = dict(run.history[0]), run.recipe.full.epochs
    assert verdicts.shorter([dataclasses.replace(run, history=[row] * 3)]) == f"3 of {epochs} epochs"
    whole = dataclasses.replace(run, history=[row] * epochs)
    assert verdicts.shorter([whole]) == ""
    assert verdicts.shorter([dataclasses.replace(whole, data={"name": "digits"})]) == "on digits instead of mnist"


def test_an_estimate_is_a_measured_epoch_times_their_number():
    run = results.load("mnist-mlp", "full")[0]
    per_epoch = run.seconds / len(run.history)
    assert timing.estimate(run, "full") == pytest.approx(run.recipe.full.epochs * per_epoch)
    assert timing.estimate(run, "quick") is None, "the quick tier has other images"


def test_the_cache_knows_when_and_how_long_a_page_ran(tmp_path, monkeypatch):
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn

    path = tmp_path / "page.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1")]), path)
    monkeypatch.setattr(timing, "CACHE", tmp_path / "cache")
    assert timing.last_run(path) is None
    timing.last_run.cache_clear()
    bundle = CacheBundleIn(nbformat.read(path, as_version=4), str(path), data={"execution_seconds": 2.5})
    get_cache(str(tmp_path / "cache")).cache_notebook_bundle(bundle, check_validity=False)
    assert timing.last_run(path).seconds == 2.5
    timing.last_run.cache_clear()
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 2")]), path)
    assert timing.last_run(path) is None, "another code has not been run"
    timing.last_run.cache_clear()


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_are_for_people(seconds, text):
    assert timing.duration(seconds) == text


@pytest.mark.parametrize("entry", symbols.rows(), ids=lambda entry: entry["maths"] or entry["code"] or entry["meaning"])
def test_a_symbol_is_used_where_the_notation_says(entry):
    text = re.sub(r"\s", "", chapters()[entry["chapter"]].text)
    for symbol in filter(None, re.split(r",\\ |,\\quad|(?<!\\),(?![^{]*\})", entry["maths"].strip("$"))):
        bare = re.sub(r"\s|\(.*", "", symbol).replace(r"\prox_{tJ}", r"\operatorname{prox}")
        assert bare in text, f"{entry['chapter']} does not use {symbol}"


def test_names_of_the_notation_are_names_of_the_code():
    code = "\n".join(path.read_text("utf8") for path in (ROOT / "bregtutorial").rglob("*.py"))
    code += "\n".join(cell for chapter in chapters().values() for cell in chapter.code)
    named = {name for entry in symbols.rows() for name in re.findall(r"[A-Za-z_]\w*", entry["code"])}
    assert len(named) > 20
    assert not [name for name in named if not re.search(rf"\b{name}\b", code)]


@pytest.mark.parametrize("optimizer", [bt.LinBreg, bt.AdaBreg, bt.ProxSGD])
def test_docstrings_give_arguments_the_symbols_of_the_notation(optimizer):
    names = set(inspect.signature(optimizer).parameters) - {"params", "maximize", "foreach"}
    row_of = {name: entry["maths"] for entry in symbols.rows() for name in re.findall(r"`(\w+)`", entry["code"])}
    assert not [name for name in names if optimizer.__name__ not in symbols.takers_of(name, row_of[name])]


def test_every_macro_is_used():
    text = "\n".join(path.read_text("utf8") for path in [*(ROOT / "book").rglob("*.md"), symbols.SOURCE])
    assert symbols.macros()
    assert not [macro for macro in symbols.macros() if not re.search(rf"\\{macro}(?![A-Za-z])", text)]


@pytest.mark.parametrize("key", BIBLIOGRAPHY)
def test_a_reference_has_an_address_of_the_right_form(key):
    fields = BIBLIOGRAPHY[key].fields
    assert re.fullmatch(r"10\.\d{4,9}/\S+", fields.get("doi", "10.1234/x")), "a bare DOI, not its address"
    assert re.fullmatch(r"\d{4}\.\d{4,5}", fields.get("eprint", "1234.56789"))
    assert ("eprint" in fields) == (fields.get("archivePrefix") == "arXiv")
    assert fields.get("url", "https://").startswith("https://")
    assert "arxiv" not in fields.get("howpublished", "").lower(), "an arXiv number is an eprint: then it is a link"
    assert any(name in fields for name in ("doi", "eprint", "url")) == (key not in WITHOUT_ADDRESS)


def test_the_citation_is_that_of_the_cff_file():
    cff = (ROOT / "CITATION.cff").read_text("utf8")
    shown = citing.citation()
    for field in ("version", "title", "url"):
        value = re.search(rf'^{field}: "?([^"\n]+)', cff, re.MULTILINE)[1]
        assert shown.count(value) >= 2, "in the sentence and in the BibTeX entry"


def test_docstrings_link_to_their_chapters():
    lines = ["Text.", 'Book: Algorithms, "AdaBreg"; Frontiers, "Not written yet".']
    package_links.link_chapters(None, "class", "AdaBreg", None, None, lines)
    link = ":doc:`AdaBreg </book/2-algorithms/adabreg>`"
    assert lines == ["Text.", f"**Book:** Algorithms, {link}; Frontiers, “Not written yet”."]


def test_a_chapter_lists_the_functions_and_classes_that_it_names():
    code = (
        "opt = bt.LinBreg(p)\nbt.results.compare('table 1').rows",
        "bt.plotting.COLOURS, bt.models.mlp, other.LinBreg",
    )
    assert package_links.used_names(Chapter("a", "A", "", code)) == [
        "bt.LinBreg",
        "bt.models.mlp",
        "bt.results.compare",
    ]


def test_a_description_is_of_whole_sentences_without_formulas():
    document = new_document("page")
    sentences = (
        "The debt. ",
        "Here ",
        nodes.math("", "x"),
        " stands for one number among many. Zeros are found by training, not by cutting.",
    )
    document += nodes.paragraph("", "", *(nodes.Text(s) if isinstance(s, str) else s for s in sentences))
    document += nodes.paragraph("", "A second paragraph. " + "It is long. " * 20)
    assert website.summary(document) == "Zeros are found by training, not by cutting."


def test_a_file_s_last_change_is_its_last_commit():
    changes = website._last_changes()
    if not changes:
        pytest.skip("not in a whole git clone")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", changes["book/index.md"])


def test_the_card_is_of_the_size_that_sites_ask_for(tmp_path):
    website.draw_card(tmp_path / "card.png", "A title by its author")
    head = (tmp_path / "card.png").read_bytes()[:24]
    assert (int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")) == (1200, 630)
    assert (tmp_path / "card.png").stat().st_size < 200_000

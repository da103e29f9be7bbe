"""Docstrings keep their promises: what it computes, its arguments, an example that runs, its sources, its chapter.

Public is what ``bregtutorial`` and its direct modules list, or define where they have no list.
"""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import bregtutorial as bt

ROOT = Path(__file__).resolve().parent.parent
PLAN = """\
Foundations: A first sparse network | Subgradients, Bregman distances and the elastic net | Proximal operators \
| From Bregman iteration to the inverse scale space flow
Algorithms: LinBreg, step by step | Momentum in the dual | AdaBreg | Group sparsity | Sparse initialisation \
| Convergence
Experiments: MNIST and the MLP | Fashion-MNIST and the ConvNet | CIFAR-10 and ResNet-18 | The denoising autoencoder \
| Architecture search
Frontiers: From zeros to speed | Multilevel training | Hitting a target density | Your own network | Scaling out \
| Failures and cures"""
CHAPTERS = {part: titles.split(" | ") for part, titles in (line.split(": ") for line in PLAN.splitlines())}
# Where a claim of the mathematics is made, its source is named, in the docstring or for a whole module.
MATHEMATICAL = ("regularizers", "initialization", "sparsity", "parameter_groups", "optim", "models", "reference")
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Shape", "Example", "Examples", "Note", "References")
PLACE = r'\w+, "[^"]+"'
BOOK = re.compile(rf"^Book: {PLACE}(; {PLACE})*\.$")


def public_modules() -> dict[str, ModuleType]:
    """The package and every module right below it, without those that start with an underscore."""
    names = [f"bregtutorial.{m.name}" for m in pkgutil.iter_modules(bt.__path__) if not m.name.startswith("_")]
    return {name: importlib.import_module(name) for name in ["bregtutorial", *names]}


def public_members(module: ModuleType) -> dict[str, Any]:
    """Functions and classes that a module lists, or defines where it has no list."""
    names = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
    members = {name: getattr(module, name) for name in names}
    wanted = {n: m for n, m in members.items() if inspect.isclass(m) or inspect.isfunction(m)}
    return {n: m for n, m in wanted.items() if hasattr(module, "__all__") or m.__module__ == module.__name__}


MODULES = public_modules()
MEMBERS = {
    f"{member.__module__}.{member.__qualname__}": member
    for module in MODULES.values()
    for member in public_members(module).values()
}


def text_of(thing: Any) -> str:
    return inspect.cleandoc(thing.__doc__ or "")


def section(doc: str, title: str) -> str | None:
    """The text after ``title:``, on its line or indented below it; None if there is no such section."""
    match = re.search(rf"^{title}:((?: .+)?\n(?:[ ].*\n|\n)*)", doc + "\n", flags=re.MULTILINE)
    return match and inspect.cleandoc(match[1])


def described(doc: str, title: str) -> list[str] | None:
    """Names that a section describes, in order; None if there is no such section."""
    text = section(doc, title)
    heads = re.findall(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \([^)]*\))?:", text or "", flags=re.MULTILINE)
    return None if text is None else [name.strip(" *") for head in heads for name in head.split(",")]


def refers(doc: str) -> bool:
    """Whether the first sentence sends the reader to another docstring: "The step of :class:`LinBreg` on lists"."""
    return re.search(r":(class|func):`", doc.split("\n\n")[0]) is not None


def parameters(member: Any) -> list[str]:
    if dataclasses.is_dataclass(member):
        return [field.name for field in dataclasses.fields(member) if field.init]
    return [name for name in inspect.signature(member).parameters if name != "self"]


def book_problems(doc: str) -> list[str]:
    """What is wrong with the lines that say where the book teaches it."""
    lines = [line for line in doc.splitlines() if line.lstrip().startswith("Book:")]
    if len(lines) != 1:
        return [f"{len(lines)} lines start with Book:, there must be one"]
    if not BOOK.match(lines[0]):
        return [f'{lines[0]!r} is not of the form: Book: Part, "Chapter"; Part, "Chapter".']
    places = re.findall(r'(\w+), "([^"]+)"', lines[0])
    return [f"there is no chapter {title!r} in {part}" for part, title in places if title not in CHAPTERS.get(part, ())]


def argument_problems(member: Any) -> list[str]:
    """Arguments that the docstring forgets, invents or puts in another order."""
    doc, names = text_of(member), parameters(member)
    listed = described(doc, "Attributes") if dataclasses.is_dataclass(member) else None
    listed = described(doc, "Args") if listed is None else listed
    if listed is None:
        literal = member.__module__ == "bregtutorial.reference" and ":math:" in doc  # there the formula says it all
        silent = len(names) > 3 and not refers(doc) and not literal
        return [f"no Args, but {len(names)} parameters: {', '.join(names)}"] if silent else []
    return [] if listed == names else [f"Args are {listed}, the signature has {names}"]


@pytest.mark.parametrize("name", MEMBERS)
def test_the_first_line_is_a_sentence(name: str) -> None:
    doc = text_of(MEMBERS[name])
    assert doc, "no docstring"
    first = doc.split("\n\n")[0]
    assert first.rstrip().endswith((".", ":", "?")), f"{first!r} is not a sentence"


@pytest.mark.parametrize("name", [name for name, member in MEMBERS.items() if inspect.isclass(member)])
def test_every_public_method_says_what_it_does(name: str) -> None:
    own = vars(MEMBERS[name]).items()
    silent = [
        n
        for n, m in own
        if not n.startswith("_") and (inspect.isfunction(m) or isinstance(m, property)) and not m.__doc__
    ]
    assert not silent


@pytest.mark.parametrize("name", MEMBERS)
def test_the_book_says_more_in_a_chapter_that_is_planned(name: str) -> None:
    assert not book_problems(text_of(MEMBERS[name]))


@pytest.mark.parametrize("name", [name for name, module in MODULES.items() if "Book:" in (module.__doc__ or "")])
def test_a_module_that_names_its_chapter_names_a_real_one(name: str) -> None:
    assert not book_problems(text_of(MODULES[name]))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert text_of(MODULES[name])


@pytest.mark.parametrize("name", MEMBERS)
def test_arguments_are_those_of_the_signature(name: str) -> None:
    assert not argument_problems(MEMBERS[name])


def needs_example(name: str) -> bool:
    """Protocols and plain records, which functions return, need none."""
    member = MEMBERS[name]
    record = dataclasses.is_dataclass(member) and not hasattr(member, "prox")
    return not (record or getattr(member, "_is_protocol", False) or refers(text_of(member)))


@pytest.mark.parametrize("name", [name for name in MEMBERS if needs_example(name)])
def test_an_example_is_found_by_doctest(name: str) -> None:
    """Its own, or the one of the module that offers it."""
    finder, called = doctest.DocTestFinder(recurse=False), re.compile(rf"\b{name.split('.')[-1]}\(")
    own = [example for test in finder.find(MEMBERS[name], name) for example in test.examples]
    around = [example for module in MODULES.values() for test in finder.find(module) for example in test.examples]
    assert own or any(called.search(example.source) for example in around)
    assert not own or section(text_of(MEMBERS[name]), "Examples?") is not None, "examples stand below Example:"


@pytest.mark.parametrize("name", [name for name in MEMBERS if name.split(".")[1] in MATHEMATICAL])
def test_mathematics_names_its_source(name: str) -> None:
    own, around = text_of(MEMBERS[name]), text_of(importlib.import_module(MEMBERS[name].__module__))
    sources = section(own, "References") or section(around, "References")
    assert sources or refers(own), "no References"
    assert not sources or re.search(r"\b(19|20)\d\d\b|published code", sources), f"{sources!r} names no year"


@pytest.mark.parametrize("name", MEMBERS)
def test_sections_have_names_that_the_book_s_pages_know(name: str) -> None:
    headers = re.findall(r"^([A-Z]\w+):$", text_of(MEMBERS[name]), flags=re.MULTILINE)
    assert set(headers) <= set(SECTIONS)


def test_there_is_something_to_check() -> None:
    assert {"bregtutorial.optim.linbreg.LinBreg", "bregtutorial.initialization.sparse_init_"} <= MEMBERS.keys()
    assert len(MEMBERS) > 40
    public = [member for name in bt.__all__ if not inspect.ismodule(member := getattr(bt, name))]
    # an object is described by its class
    classes = {m if inspect.isclass(m) or inspect.isfunction(m) else type(m) for m in public}
    assert classes <= set(MEMBERS.values())


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('Book: Algorithms, "AdaBreg".', None),
        ('Book: Foundations, "Proximal operators"; Algorithms, "Group sparsity".', None),
        ("", "0 lines"),
        ('Book: Algorithms, "AdaBreg"', "not of the form"),
        ("Book:\n    Every chapter.", "not of the form"),
        ('Book: Algorithms, "Adabreg".', "no chapter 'Adabreg' in Algorithms"),
        ('Book: Frontiers, "AdaBreg".', "no chapter 'AdaBreg' in Frontiers"),
        ('Book: Algorithms, "AdaBreg".\nBook: Algorithms, "AdaBreg".', "2 lines"),
    ],
)
def test_the_book_rule(line: str, problem: str | None) -> None:
    found = book_problems(f"Text.\n\n{line}")
    assert found == [] if problem is None else problem in found[0]


@pytest.mark.parametrize("path", sorted((ROOT / "book").rglob("*.ipynb")), ids=lambda path: path.stem)
def test_a_written_chapter_has_the_title_that_docstrings_use(path: Path) -> None:
    text = "".join(json.loads(path.read_text("utf8"))["cells"][0]["source"])
    title = next(line for line in text.splitlines() if line.startswith("# "))
    assert title.removeprefix("# ") in CHAPTERS[path.parent.name.split("-", 1)[1].capitalize()]


def test_the_argument_rule() -> None:
    def good(a, *, b=1, **c):
        """Text.

        Args:
            a: first, with a colon: and more
                in a second line: of text.
            b, c: second and third.

        Raises:
            ValueError: never.
        """

    def invented(a, b):
        """Text.

        Args:
            a: first.
            z: no such thing.
        """

    def silent(a, b, c, d):
        """Text."""

    def elsewhere(a, b, c, d):
        """The step of :class:`LinBreg` on lists."""

    assert argument_problems(good) == []
    assert argument_problems(invented) == ["Args are ['a', 'z'], the signature has ['a', 'b']"]
    assert argument_problems(silent) == ["no Args, but 4 parameters: a, b, c, d"]
    assert argument_problems(elsewhere) == []

"""The course kit: editions differ only where they say so, stubs fail, solutions pass, slides need no network."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import re
from collections import Counter

import pytest
from book_index import ROOT
from course.__main__ import main
from course.check import by_heart, problems
from course.deck import deck
from course.editions import EDITIONS, HIDDEN, IN_WORDS, SOLUTION
from course.editions import edition as written
from course.exercises import read, task
from course.hidden import OTHERWISE, hidden_tests, why_not
from course.library import chapters
from course.notes import minutes, misconceptions, notes
from course.notes import questions as quiz_without_answers
from course.slides import slides
from course.syllabus import syllabus
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from plain_markdown import RAW
from rules.cells import SETUP

CHAPTERS = {chapter.name: chapter for chapter in chapters()}


@functools.cache
def edition(kind: str, name: str) -> NotebookNode:
    """An edition, written once for all tests."""
    return written(kind, CHAPTERS[name])


every_chapter = pytest.mark.parametrize("name", CHAPTERS)
STUB = re.compile(r"# YOUR (CODE|EXPERIMENTS) HERE.*(\n *raise NotImplementedError\(.*\))?")
MARKED = re.compile(rf"{SOLUTION[0]}\n.*?{SOLUTION[1]}", re.DOTALL)
TESTS = re.compile(rf"\n{HIDDEN[0]}\n.*?{HIDDEN[1]}", re.DOTALL)
SLIDES = range(8, 16)
# exercises that need nothing of their lesson but its first cell
ALONE = ["ex-breg-1", "ex-breg-2", "ex-prox-1", "ex-prox-4", "ex-linbreg-1", "ex-linbreg-2"]
ALONE += ["ex-momentum-1", "ex-group-1", "ex-multilevel-1", "ex-multilevel-3"]


def graders(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if "nbgrader" in cell.metadata]


def of(label: str, kind: str) -> dict[str, str]:
    """The code of one exercise: the last part of a cell's name, and its source."""
    name = next(name for name, c in CHAPTERS.items() if f":label: {label}\\n" in str(c.notebook))
    cells = [cell for cell in edition(kind, name).cells if cell.id.startswith(f"{label}-")]
    return {cell.id.removeprefix(f"{label}-"): cell.source for cell in cells if cell.cell_type == "code"}


def execute(sources: list[str]) -> str:
    """Run cells after the first one of a chapter; what they print."""
    scope: dict[str, object] = {}
    exec(SETUP, scope)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        for source in sources:
            exec(source, scope)
    return said.getvalue()


@every_chapter
def test_editions_differ_only_where_they_say_so(name):
    student, solution, instructor = (edition(kind, name) for kind in EDITIONS)
    for stub, solved, tested in zip(student.cells, solution.cells, instructor.cells, strict=True):
        assert (stub.id, stub.cell_type, stub.metadata) == (solved.id, solved.cell_type, solved.metadata)
        assert TESTS.sub("", tested.source) == solved.source
        if stub.cell_type == "code":
            assert STUB.sub("…", stub.source) == MARKED.sub("…", solved.source)
        elif not stub.metadata.get("nbgrader", {}).get("solution"):
            assert stub.source == solved.source


@every_chapter
def test_students_get_no_solution(name):
    student = edition("student", name)
    text = "\n".join(cell.source for cell in student.cells)
    assert not re.search("SOLUTION|HIDDEN", text)
    assert not any(cell.get("outputs") for cell in student.cells)
    for exercise in read(CHAPTERS[name].notebook.cells).exercises:
        assert not any(len(part) > 80 and part in text for part in exercise.words)
    written = [
        cell.source for cell in graders(student) if cell.cell_type == "markdown" and cell.metadata.nbgrader.grade
    ]
    assert set(written) <= {IN_WORDS}


@every_chapter
@pytest.mark.parametrize("kind", EDITIONS)
def test_notebooks_are_plain_and_ready_for_nbgrader(name, kind):
    notebook = edition(kind, name)
    names = Counter(cell.metadata.nbgrader.grade_id for cell in graders(notebook))
    assert max(names.values()) == 1
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert not RAW.search(re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL))
        else:
            ast.parse(cell.source)
    for cell in graders(notebook):
        values = dict(cell.metadata.nbgrader)
        assert values.keys() - {"points"} == {"schema_version", "grade_id", "grade", "solution", "locked", "task"}
        assert (values["schema_version"], values["task"], values["locked"] and values["solution"]) == (3, False, False)
        assert ("points" in values) is values["grade"]
        assert re.fullmatch(r"[\w-]+", values["grade_id"])
        if cell.cell_type == "markdown":
            assert values["grade"] == values["solution"]


@every_chapter
def test_every_exercise_can_be_graded(name):
    graded = [cell.metadata.nbgrader for cell in graders(edition("student", name))]
    for exercise in read(CHAPTERS[name].notebook.cells).exercises:
        mine = [g for g in graded if g.grade_id.startswith(f"{exercise.label}-") and g.grade]
        assert sum(g.points for g in mine) > 0


@pytest.mark.parametrize("label", ALONE)
def test_stubs_fail_because_they_are_not_written_and_solutions_pass(label):
    student, instructor = of(label, "student"), of(label, "instructor")
    with pytest.raises(AssertionError, match="the verdict says why"):
        execute(list(student.values()))
    asked = re.search(r'NotImplementedError\("(.+)"\)', student["answer"])
    lines = student["check"].replace('assert verdict, "not yet: the verdict says why"', "")
    assert asked[1] in execute([student["answer"], lines])
    assert ": correct" in execute(list(instructor.values()))


def test_hidden_tests_catch_who_knows_the_visible_cases_and_who_calls_the_check():
    code = of("ex-linbreg-1", "instructor")
    header = code["answer"].splitlines()[0]
    learnt = f"{header}\n    return {{(1.0, 0.0): 3, (1.0, 0.5): 5, (-0.2, 0.25): 23}}[g, v0]"
    asks = f"{header}\n    return count_wake_step(g, lr, lam, v0)"
    visible = TESTS.sub("", code["check"])
    assert ": correct" in execute([learnt, visible])
    with pytest.raises(AssertionError, match="not yet"):
        execute([learnt, code["check"]])
    assert ": correct" in execute([asks, visible])
    with pytest.raises(AssertionError, match="calls the function that it is compared with"):
        execute([asks, code["check"]])


@every_chapter
def test_every_check_has_a_hidden_test_or_a_reason(name):
    for exercise in read(CHAPTERS[name].notebook.cells).exercises:
        code = task(exercise)
        if code and code.verdict:
            assert bool(hidden_tests(exercise.label, code)) is not bool(why_not(exercise.label))


def test_what_replaces_numbers_belongs_to_checks():
    checked = {e.label for c in CHAPTERS.values() for e in read(c.notebook.cells).exercises if task(e)}
    assert OTHERWISE.keys() <= checked


# one for each way in which a check gets other numbers
@pytest.mark.parametrize(
    "label", ["ex-prox-1", "ex-linbreg-2", "ex-breg-2", "ex-breg-5", "ex-momentum-1", "ex-group-1"]
)
def test_hidden_tests_refuse_answers_that_are_learnt_by_heart(label):
    code = of(label, "instructor")
    check = new_code_cell(code["check"], id=f"{label}-check")
    name = re.search(r"def (\w+)", code["answer"])[1]
    learns, recites, forgets = (cell.source for cell in by_heart(check, name))
    assert execute([code["answer"], learns, forgets, code["check"]]).count(": correct") == 2
    with pytest.raises(AssertionError, match="not yet"):
        execute([code["answer"], learns, recites])


def test_hidden_tests_that_do_not_fit_their_check_are_named(monkeypatch):
    notebook = small(
        "def my_f(a):\n    ...  # your turn\n\nbt.certificates.grade('f', my_f, [])", "def f(a):\n    return a"
    )
    code = task(read(notebook.cells).exercises[0])
    with pytest.raises(ValueError, match=r"ex-1: hidden\.toml must say what to replace"):
        hidden_tests("ex-1", code)
    monkeypatch.setitem(OTHERWISE, "ex-1", {"0.5": "0.6"})
    with pytest.raises(ValueError, match=r"ex-1: hidden\.toml replaces '0\.5'"):
        hidden_tests("ex-1", code)


EXERCISE = "## Exercises\n\n:::{exercise} One\n:label: ex-1\nDo.\n:::"
SOLVED = ":::{solution-start} ex-1\n:::", ":::{solution-end}\n:::\n\n## Take-away\n- one"


def small(stub: str, solution: str) -> NotebookNode:
    start, end = SOLVED
    texts = [new_markdown_cell(EXERCISE), new_code_cell(stub), new_markdown_cell(start), new_code_cell(solution)]
    return new_notebook(cells=[*texts, new_markdown_cell(end)])


def test_more_arguments_of_a_solution_become_assignments():
    notebook = small(
        "def my_f(a):\n    ...  # your turn: a number\n\ncheck(my_f)", "def f(a, b=2):\n    return a + b\nf(3)"
    )
    found = task(read(notebook.cells).exercises[0])
    assert (found.answer, found.asked, found.verdict) == ("b = 2\nreturn a + b", "a number", "check(my_f)")
    assert found.more == ["f = my_f  # as the book calls it\nf(3)"]


@pytest.mark.parametrize(
    ("solution", "message"),
    [
        ("def f(b):\n    return b", r"its stub takes \(a\), its solution \(b\)"),
        ("def f(a):\n    return a\ndef g(a):\n    return a", "defines 2 functions"),
        ("x = 1", "neither a function nor a lambda"),
    ],
)
def test_a_solution_that_does_not_fit_its_stub_is_named(solution, message):
    notebook = small("def my_f(a):\n    ...  # your turn\n\ncheck(my_f)", solution)
    with pytest.raises(ValueError, match=f"ex-1: .*{message}"):
        task(read(notebook.cells).exercises[0])


def test_the_check_of_the_kit_can_fail():
    def ran(kind: str, source: str, error: str = "", said: str = "", **grader: bool) -> NotebookNode:
        outputs = [new_output("stream", name="stdout", text=said)] if said else []
        outputs += [new_output("error", ename=error, evalue="no", traceback=[])] if error else []
        metadata = {"course": kind, "nbgrader": {"solution": False, **grader}}
        return new_code_cell(source, id=f"{kind}-{source}", metadata=metadata, outputs=outputs)

    good = [
        ran("student", "stub", "AssertionError", "f is not written yet", grade=True),
        ran("instructor", "check", grade=True),
        ran("recites", "refused", "AssertionError"),
        ran("lesson", "x", grade=False),
    ]
    bad = [
        ran("student", "passes", said="correct", grade=True),
        ran("student", "breaks", "NameError", grade=True),
        ran("instructor", "fails", "AssertionError", grade=True),
        ran("recites", "lucky"),
        ran("lesson", "stops", "ValueError", grade=False),
    ]
    found = list(problems(new_notebook(cells=good + bad)))
    assert [line.partition(":")[0].split(" ")[0] for line in found] == [cell.id for cell in bad]


@every_chapter
def test_slides_are_few_and_short(name):
    found = slides(CHAPTERS[name])
    assert len(found) in SLIDES, "mark fewer or more cells: slideshow metadata, see tools/course/slides.py"
    assert [slide.title for slide in (*found[1:3], found[-1])] == ["The debt", "In this chapter", "Take-away"]
    assert sum(bool(slide.outputs) for slide in found) >= 2
    for slide in found[1:]:
        assert slide.text or slide.outputs
        assert len(" ".join(slide.text).split()) <= 200
        assert not RAW.search("\n\n".join([*slide.text, *slide.notes]).replace("```", ""))


def test_a_deck_is_one_file():
    html = deck(CHAPTERS["linbreg"])
    outside = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="((?!data:)[^"#]+)"', outside) == [CHAPTERS["linbreg"].url]
    assert "<link" not in outside
    assert "@import" not in outside


@pytest.mark.browser
def test_a_deck_works_without_a_network(visit, tmp_path):
    (tmp_path / "deck.html").write_text(deck(CHAPTERS["linbreg"]), "utf8")
    seen = visit((tmp_path / "deck.html").as_uri(), viewport={"width": 1280, "height": 720})
    page = seen.page
    page.wait_for_function("document.documentElement.dataset.ready === ''")
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert page.evaluate("[...document.fonts].some(font => font.family === 'MJXTEX-I' && font.status === 'loaded')")
    top = "[...document.querySelectorAll('section')].findIndex(s => Math.abs(s.getBoundingClientRect().top) < 2)"
    for key, wanted in (("ArrowRight", 1), ("ArrowDown", 2), ("ArrowLeft", 1), ("End", 14), ("Home", 0)):
        page.keyboard.press(key)
        page.wait_for_function(f"{top} === {wanted}")
    page.keyboard.press("n")
    assert page.locator("aside").first.is_visible()
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert seen.problems == []


@every_chapter
def test_notes_share_the_chapters_minutes_and_know_its_misconceptions(name):
    assert sum(share for _, share in minutes(CHAPTERS[name])) == CHAPTERS[name].minutes
    assert not RAW.search(notes(CHAPTERS[name]))
    known = misconceptions().get(name, "")
    assert ("None is recorded" in notes(CHAPTERS[name])) is (not known)
    assert known.count("**Ask:**") == known.count("\n- *") + bool(known)


def test_a_syllabus_adds_the_chapters_minutes():
    text = syllabus("two-days")
    parts = [int(number) for number in re.findall(r"`/book/\S+` \((\d+)\)", text)]
    sessions = [int(number) for number in re.findall(r"^\| \*\*.*\| (\d+) \|", text, re.MULTILINE)]
    assert sum(parts) == sum(sessions[:-1]) == sessions[-1] > 300
    with pytest.raises(ValueError, match=r"no course is called 'a-year'.*six-weeks, two-days"):
        syllabus("a-year")


def test_the_quiz_explains_every_choice():
    text = (ROOT / "book" / "instructors" / "quiz.md").read_text("utf8")
    questions = re.split(r"^\*\*\d+\.\*\*", text, flags=re.MULTILINE)[1:]
    assert len(questions) >= 12
    handout = quiz_without_answers()
    for question in questions:
        asked, _, answer = question.partition(":::{dropdown}")
        assert re.findall(r"^\(([abcd])\) ", asked, re.MULTILINE) == list("abcd")
        right = re.search(r"^\*\*\(([abcd])\)\.\*\*", answer, re.MULTILINE)[1]
        wrong = re.findall(r"\*\(([abcd])\)\*", answer)
        assert sorted([right, *wrong]) == list("abcd")
        assert asked.strip() in handout
    assert "Answer" not in handout


def test_command_writes_the_kit_and_names_a_chapter_that_is_none(tmp_path, capsys):
    assert main(["--to", str(tmp_path), "momentum"]) == 0
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    stem = "2-algorithms/momentum"
    wanted = [f"instructor/{stem}.md", f"slides/{stem}.html", "student/quiz.md"]
    assert files == sorted([*(f"{kind}/{stem}.ipynb" for kind in EDITIONS), *wanted])
    assert f"1 chapters, {CHAPTERS['momentum'].minutes} minutes" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--to", str(tmp_path), "linbeg"])
    assert "no chapter is called linbeg; there are a-first-sparse-network" in capsys.readouterr().err

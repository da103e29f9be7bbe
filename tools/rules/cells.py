"""Rules for the code of a chapter and for what its cells have stored."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

SETUP = (Path(__file__).resolve().parent.parent / "setup_cell.py").read_text("utf8").strip()
MAX_BYTES = 300_000
MAX_LINES = 15
CHECKED = "nbval-check-output"
SKIPPED = {"nbval-skip", "skip-execution"}  # nbval knows the first, Jupyter Book the second
TAGS = SKIPPED | {CHECKED, "hide-input", "hide-output", "hide-cell", "remove-input", "remove-cell", "raises-exception"}
KEPT_METADATA = {"tags", "mystnb", "slideshow"}  # of a cell; the rest differs from editor to editor or from run to run
WIDGET = "application/vnd.jupyter.widget-view+json"
MODULES = set(sys.stdlib_module_names) | {
    *(
        "bregtutorial",
        "torch",
        "torchvision",
        "numpy",
        "matplotlib",
        "scipy",
        "sklearn",
        "skimage",
        "mlxtend",
        "IPython",
    )
}
# an Output widget can hang a notebook that runs without a reader; live panels are dead on a page without a kernel
OUTPUT_WIDGET = re.compile(r"\binteract(ive|ive_output|_manual)?\b|\bOutput\(|\blive\s*=\s*True")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]+")


def code(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: NotebookNode) -> set[str]:
    """A cell's tags."""
    return set(cell.metadata.get("tags", []))


def runs(cell: NotebookNode) -> bool:
    """Whether the cell is ever executed."""
    return not tags(cell) >= SKIPPED


def name(cell: NotebookNode) -> str:
    """How a message calls a cell: by the first line of its code."""
    first = next(iter(cell.source.strip().splitlines()), "")
    return f"cell [{cell.get('execution_count')}] {first[:50]!r}"


def printed(cell: NotebookNode) -> str:
    """The text that nbval compares: what was printed, and values that show as text only."""
    texts = [output.text for output in cell.outputs if output.output_type == "stream"]
    texts += [o.data.get("text/plain", "") for o in cell.outputs if "data" in o and "text/html" not in o.data]
    return "".join(texts).strip()


def setup_cell_is_generated(notebook: NotebookNode) -> Iterator[str]:
    """`tools/notebooks.py` owns the first code cell."""
    first = next(iter(code(notebook)), None)
    if first is None or first.source != SETUP or "hide-input" not in tags(first):
        yield "its first code cell is not the generated one (make notebooks)"


def outputs_are_of_one_run(notebook: NotebookNode) -> Iterator[str]:
    """Counts 1, 2, 3 … are what running from top to bottom in a new kernel leaves."""
    ran = [cell for cell in code(notebook) if runs(cell)]
    numbers = [cell.execution_count for cell in ran]
    inner = [o.get("execution_count", c.execution_count) == c.execution_count for c in ran for o in c.outputs]
    if numbers != list(range(1, len(ran) + 1)) or not all(inner):
        yield "its outputs are not those of one run from top to bottom (make notebooks)"
    if not any(cell.outputs for cell in ran):
        yield "it has no outputs (make notebooks)"


def file_is_small(notebook: NotebookNode) -> Iterator[str]:
    """A chapter travels through git, GitHub's viewer and phones."""
    size = len(nbformat.writes(notebook).encode())
    if size > MAX_BYTES:
        yield f"it has {size:,} bytes, more than {MAX_BYTES:,}: fewer or simpler frames"


def errors_are_meant(notebook: NotebookNode) -> Iterator[str]:
    """No stored error but where one is announced; nothing on stderr; and what is announced must happen."""
    for cell in code(notebook):
        raised = [output.ename for output in cell.outputs if output.output_type == "error"]
        if raised and "raises-exception" not in tags(cell):
            yield f"{name(cell)} stores an error: {raised[0]}"
        if not raised and "raises-exception" in tags(cell):
            yield f"{name(cell)} is tagged raises-exception but stores no error"
        if any(output.get("name") == "stderr" for output in cell.outputs):
            yield f"{name(cell)} stores what it wrote to stderr"


def no_widgets(notebook: NotebookNode) -> Iterator[str]:
    """Explorers come from bt.explore.frames, which needs no kernel."""
    for cell in code(notebook):
        if any(WIDGET in output.get("data", {}) for output in cell.outputs):
            yield f"{name(cell)} shows a widget, which is dead on a page without a kernel"
        if runs(cell) and OUTPUT_WIDGET.search(cell.source):
            yield f"{name(cell)} uses a live widget: use bt.explore.frames"


def tags_are_sane(notebook: NotebookNode) -> Iterator[str]:
    """A misspelt tag does nothing, silently; a cell that one runner skips and the other runs is a trap."""
    for cell in code(notebook):
        if unknown := tags(cell) - TAGS:
            yield f"{name(cell)} has unknown tags: {', '.join(sorted(unknown))}"
        if tags(cell) & SKIPPED and runs(cell):
            yield f"{name(cell)} needs both tags or none: {' and '.join(sorted(SKIPPED))}"
        if "NBVAL_" in cell.source:
            yield f"{name(cell)} has an nbval comment: use the tag"


def checked_cells_compare_something(notebook: NotebookNode) -> Iterator[str]:
    """A checked cell with nothing stored passes nbval; and a picture's text differs between machines."""
    checked = [cell for cell in code(notebook) if CHECKED in tags(cell)]
    if not checked:
        yield f"no cell is tagged {CHECKED}: nothing that it says is tested"
    for cell in checked:
        if not printed(cell) or cell.execution_count is None or not runs(cell):
            yield f"{name(cell)} is tagged {CHECKED} but has stored nothing that can be compared"
        if any("text/html" in output.get("data", {}) for output in cell.outputs):
            yield f"{name(cell)} is tagged {CHECKED} and draws: print the facts in a cell of their own"


def no_addresses(notebook: NotebookNode) -> Iterator[str]:
    """`<Line2D at 0x7f…>` tells a reader nothing and differs from run to run."""
    for cell in code(notebook):
        if ADDRESS.search(printed(cell)):
            yield f"{name(cell)} shows an object's address: write `_ = …`"


def cells_are_short(notebook: NotebookNode) -> Iterator[str]:
    """One idea a cell: at most 15 lines of code, comments and blank lines not counted."""
    for cell in code(notebook)[1:]:
        lines = [line for line in cell.source.splitlines() if line.strip() and not line.strip().startswith("#")]
        if len(lines) > MAX_LINES:
            yield f"{name(cell)} has {len(lines)} lines of code, more than {MAX_LINES}"


def stands_alone(notebook: NotebookNode) -> Iterator[str]:
    """A chapter needs the package and what comes with it: no other chapter, no shell, no path of this machine."""
    for cell in code(notebook):
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:
            yield f"{name(cell)} is not plain Python: no magics, no shell"
            continue
        for module in sorted(_imported(tree) - MODULES):
            yield f"{name(cell)} imports {module}, which readers may not have"
        if re.search(r"sys\.path|chdir\(|\.ipynb", cell.source):
            yield f"{name(cell)} reaches for files of the repository: it must run alone"


def metadata_is_stable(notebook: NotebookNode) -> Iterator[str]:
    """Nothing in the file changes unless text, code or results do: else a diff shows noise."""
    extra = set(notebook.metadata) - {"kernelspec", "language_info"}
    extra |= set(notebook.metadata.get("language_info", {})) - {"name"}
    if extra:
        yield f"its metadata hold {', '.join(sorted(extra))} (make notebooks takes it out)"
    for cell in notebook.cells:
        found = {*cell.metadata, *(key for output in cell.get("outputs", []) for key in output.get("metadata", {}))}
        if extra := found - KEPT_METADATA:
            yield f"{name(cell)} has metadata of its run or editor: {', '.join(sorted(extra))}"
    ids = [cell.id for cell in notebook.cells]
    for repeated in sorted({each for each in ids if ids.count(each) > 1}):
        yield f"the id {repeated} is given to several cells"


def _imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else str(node.module).partition(".")[0])
    return found


RULES = (
    setup_cell_is_generated,
    outputs_are_of_one_run,
    file_is_small,
    errors_are_meant,
    no_widgets,
    tags_are_sane,
    checked_cells_compare_something,
    no_addresses,
    cells_are_short,
    stands_alone,
    metadata_is_stable,
)

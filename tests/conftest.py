"""What the tests of the book share: where things are, and the built site in a browser without a network."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import offline
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
REQUIRED = "BREGTUTORIAL_REQUIRE_BROWSER"
# nothing that Chromium would fetch by itself, and no graphics card
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]

# no other computer, here and in the processes that tests start
offline.block()
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests/offline"), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test draws the same numbers, alone or among others, on whichever worker it lands."""
    torch.manual_seed(0)


def missing(what: str, how: str) -> None:
    """Skip the test and say what to do about it; where a browser is required, fail instead."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, but {what}: {how}")
    pytest.skip(f"{what}: {how}")


def find_chromium() -> str | None:
    """Return the browser to use; None leaves it to Playwright's own, if that was downloaded."""
    named = os.environ.get("BREGTUTORIAL_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built site."""
    if not (HTML / "index.html").exists():
        missing("the book is not built", "make book")
    return HTML


@pytest.fixture(scope="session")
def base(html: Path) -> Iterator[str]:
    """The address under which this computer serves the site."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(html)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=find_chromium(), args=QUIET)
        except sync_api.Error as error:
            reason = str(error).splitlines()[0]
            missing(f"there is no Chromium ({reason})", "apt-get install chromium, or playwright install chromium")
        yield chromium
        chromium.close()


class Visit:
    """One page in the browser, and everything that went wrong on it."""

    def __init__(self, page: Any, problems: list[str]) -> None:
        self.page, self.problems = page, problems

    def wait_for_maths(self) -> None:
        """Wait until every formula is drawn in its fonts."""
        left = "[...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container'))"
        self.page.wait_for_function(f"{left}.length === 0")
        drawn = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        self.page.evaluate(f"{drawn}.then(() => document.fonts.ready).then(() => {drawn})")


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Open an address with every host but this computer blocked; options go to Playwright's new_context."""
    contexts = []

    def go(address: str, **options: Any) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 1000}, **options})
        contexts.append(context)
        problems: list[str] = []

        def route(r: Any) -> None:
            if r.request.url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:")):
                r.continue_()
            else:
                problems.append(f"outside request: {r.request.url}")
                r.abort()

        context.route("**/*", route)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("console", lambda m: problems.append(f"console: {m.text}") if m.type in {"error", "warning"} else None)
        page.on("response", lambda r: problems.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
        page.on("requestfailed", lambda r: problems.append(f"failed: {r.url}"))
        page.goto(address, wait_until="load")
        found = Visit(page, problems)
        if options.get("java_script_enabled", True):  # without scripts no formula is drawn and no frame is announced
            found.wait_for_maths()
        return found

    yield go
    for context in contexts:
        context.close()

"""Every link of the site to itself leads to a file, and to a place in it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from audit.findings import Section


def lost_links(folder: Path) -> tuple[list[str], int]:
    """What leads nowhere, and how many links were looked at; other hosts are none of our business here."""
    files = [path for path in folder.rglob("*.html") if "_static" not in path.parts]
    pages = {path.resolve(): BeautifulSoup(path.read_text("utf8"), "html.parser") for path in files}
    ids = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    lost, seen = [], 0
    for path, page in pages.items():
        for tag in page.find_all(lambda tag: tag.name != "base" and (tag.has_attr("href") or tag.has_attr("src"))):
            url = urlsplit(str(tag.get("href") or tag.get("src") or ""))
            if url.scheme or url.netloc:
                continue
            seen += 1
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            known = ids.get(target)
            if not target.exists() or (url.fragment and known is not None and unquote(url.fragment) not in known):
                lost.append(f"{path.name}: {url.geturl()}")
    return lost, seen


def links(folder: Path) -> Section:
    """The section of the report."""
    lost, seen = lost_links(folder)
    return Section("Links", f"{seen} links and sources of all pages, with their anchors.", problems=lost)

"""How to cite the book: one sentence and one BibTeX entry, from CITATION.cff."""

from __future__ import annotations

import yaml

from pages.chapters import ROOT


def citation() -> str:
    """The block for the front page."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    authors = " and ".join(_name(author) for author in cff["authors"])
    year = str(cff.get("date-released", ""))[:4] or _config_year()
    fields = {
        "author": f"{{{authors}}}",
        "title": cff["title"],
        "version": cff["version"],
        "year": year,
        "url": cff["url"],
    }
    bibtex = "\n".join(f"  {name:7} = {{{value}}}," for name, value in fields.items())
    sentence = f"{authors} ({year}). *{cff['title']}*, version {cff['version']}. <{cff['url']}>"
    return f"{sentence}\n\n```bibtex\n@software{{bregtutorial,\n{bibtex}\n}}\n```"


def _name(author: dict[str, str]) -> str:
    return author.get("name") or f"{author['given-names']} {author['family-names']}"


def _config_year() -> str:
    return str(yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["copyright"])

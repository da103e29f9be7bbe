"""The W3C's validator on every page; it needs a Java."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from audit.findings import Section

NOTE = "vnu, errors only. Its remarks, such as slashes that change nothing, are left out."


def html(folder: Path, node: Path) -> Section:
    """One line for each kind of error, with a page that has it."""
    pages = [str(path) for path in folder.rglob("*.html") if "_static" not in path.parts]
    section = Section("HTML", f"{NOTE} {len(pages)} pages.")
    if not shutil.which("java"):
        section.problems = ["there is no Java, so no page was validated: apt-get install default-jre-headless"]
        return section
    jar = node / "vnu-jar" / "build" / "dist" / "vnu.jar"
    command = ["java", "-Xss8m", "-jar", str(jar), "--errors-only", "--format", "json", "--exit-zero-always", *pages]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stderr)["messages"]
    counts = Counter(message["message"] for message in found)
    where = {message["message"]: message.get("url", "").rpartition(f"{folder.name}/")[2] for message in found}
    section.problems = [f"{count} times, in {where[text]}: {text}" for text, count in counts.most_common()]
    return section

"""Asks pip-audit for known vulnerabilities of what is installed here: ``python tools/audit_deps.py PIP-AUDIT``.

pip-audit itself says "no known vulnerabilities" also where it could look nothing up. This says how much was looked up.
Exit status: 0 none is known, 1 some are, 2 the database could not be asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any


def verdict(dependencies: list[dict[str, Any]]) -> tuple[int, str]:
    """Exit status, and what to tell, for the list in pip-audit's JSON."""
    skipped = [d["name"] for d in dependencies if "skip_reason" in d]
    looked_up = len(dependencies) - len(skipped)
    if looked_up == 0:
        return 2, unasked(f"it knew none of the {len(dependencies)} packages")
    lines = [
        f"{d['name']} {d['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version yet'}"
        for d in dependencies
        for v in d.get("vulns", [])
    ]
    rest = f"; not looked up: {', '.join(skipped)}" if skipped else ""
    lines.append(f"{len(lines) or 'no'} known vulnerabilities in {looked_up} packages{rest}")
    return int(len(lines) > 1), "\n".join(lines)


def unasked(why: str) -> str:
    return f"NOTHING WAS AUDITED: the database of vulnerabilities could not be asked ({why}). Again, with a network."


def main(program: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audit.json"
        command = [program, "--path", sysconfig.get_path("purelib"), "--format=json", f"--output={file}"]
        done = subprocess.run([*command, "--progress-spinner=off"], capture_output=True, text=True, check=False)
        if not file.exists():
            status, text = 2, unasked((done.stderr.strip().splitlines() or ["no answer"])[-1])
        else:
            status, text = verdict(json.loads(file.read_text("utf8"))["dependencies"])
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""The tree that the house tests look at."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "consumer"


def modules() -> dict[str, ast.Module]:
    """Give every module of the package by its dotted name, parsed."""
    found = {}
    for file in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = ast.parse(file.read_text("utf-8"), str(file))
    return found


def texts() -> Iterator[tuple[str, str]]:
    """Yield path and text of every file that git has, or would take."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git, wherever it is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for path in listed.stdout.split("\0"):
        if path and (ROOT / path).is_file():
            yield path, (ROOT / path).read_text("utf-8", errors="replace")

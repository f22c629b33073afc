"""Where figures come from: the machine, and the commit."""

import os
import platform
import subprocess
from pathlib import Path

import confluent_kafka

ROOT = Path(__file__).parents[2]

_GB = 2**30
_GIT = ("git", "-c", "safe.directory=*")
_WRITTEN = ("README.md", "tests/bench/results.json")  # by a run itself


def machine() -> str:
    """Describe this machine, and what runs on it that counts."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GB
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, librdkafka {confluent_kafka.libversion()[0]}"
    )


def commit() -> str:
    """Give the commit of this tree; with a + where something in it is not committed."""
    changed = _git("status", "--porcelain", "--", ".", *(f":!{each}" for each in _WRITTEN))
    return _git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def _git(*words: str) -> str:
    return subprocess.run([*_GIT, *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - git, wherever it is

"""What a process has taken, as the kernel tells it."""

from os import sysconf
from pathlib import Path
from time import monotonic
from typing import NamedTuple

MB = 1000 / 1.024  # of what the kernel calls kB, which are 1,024 bytes; an MB is a million

_TICK = sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """Seconds of CPU that a process has taken, all its threads, at a time (of the monotonic clock)."""

    cpu: float
    at: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        """Look at a process, whose name must have no blank."""
        fields = Path(f"/proc/{pid}/stat").read_text().split()
        return cls((int(fields[13]) + int(fields[14])) / _TICK, monotonic())


def peak(pid: int) -> float:
    """Give the most memory that a process ever had resident, in MB."""
    return _status(pid, "VmHWM")


def resident(pid: int) -> float:
    """Give the memory that a process has resident now, in MB."""
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> float:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines[name].split()[0]) / MB

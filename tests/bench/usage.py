"""What a process has taken, as the kernel tells it."""

from os import sysconf
from pathlib import Path
from time import monotonic
from typing import NamedTuple

MB = 1024  # kB

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
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / MB

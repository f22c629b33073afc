"""What an event's microseconds go to: `python -m tests.bench.profile MEASURE [CONTENDER]`.

It runs one contender of a measure once, the first if none is named, and py-spy beside the service. What an event takes
of CPU is shared out by samples of the thread that holds the interpreter: the time in a function (`own`), and in it and
in all that it calls (`all`). What librdkafka's own threads take, about half a microsecond, is in these shares.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from signal import SIGINT

from rich.console import Console
from rich.table import Table

from tests.bench.__main__ import parts
from tests.bench.service import AROUND, EVENT
from tests.bench.suite import measures
from tests.real.processes import running

RATE = 500  # samples a second
SHOWN = 45  # functions
WRITES_WITHIN = 60.0  # seconds


@contextmanager
def spied(file: Path, pid: int) -> Iterator[None]:
    """Take samples of a process; they are in the file at the end."""
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--gil", "--rate", str(RATE)]
    with running([*command, "--format", "raw", "--output", str(file)], file.with_suffix(".log")) as spy:
        yield
        spy.signal(SIGINT)
        assert spy.wait(WRITES_WITHIN) == 0, spy.tail()


def count(file: Path) -> tuple[Counter[str], Counter[str]]:
    """Give for each function the samples in it, and in it or below."""
    own: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for line in file.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = [_function(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(samples)
        for frame in set(frames):
            every[frame] += int(samples)
    return own, every


def _function(frame: str) -> str:
    """Leave the line out: `name (file:12)` is `name (file)`."""
    return f"{frame.rpartition(':')[0]})"


def main() -> None:
    """Run and show."""
    known = {each.name: each for each in measures()}
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description=__doc__)
    parser.add_argument("measure", choices=known)
    parser.add_argument("contender", nargs="?")
    given = parser.parse_args()
    contenders = {each.name: each for each in known[given.measure].contenders}
    contender = contenders[given.contender or next(iter(contenders))]
    with tempfile.TemporaryDirectory(prefix="profile-") as name, parts(Path(name)) as shared:
        file = Path(name) / "samples"
        AROUND.set(partial(spied, file))
        per_event = contender.run(shared)[EVENT]
        own, every = count(file)
    to_micros = per_event / own.total()
    table = Table("µs of an event, own", "all", "function")
    for function, samples in own.most_common(SHOWN):
        table.add_row(f"{samples * to_micros:.3f}", f"{every[function] * to_micros:.3f}", function)
    console = Console(width=120)
    console.print(table)
    console.print(f"{own.total():,} samples, of {per_event:.2f} µs of CPU an event")


if __name__ == "__main__":
    main()

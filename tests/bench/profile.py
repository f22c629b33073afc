"""What an event's microseconds go to: `python -m tests.bench.profile MEASURE [CONTENDER]`.

It runs one contender of a measure once, the first if none is named, and py-spy beside the service. Shown are the
functions of Python in which a thread of the service held the interpreter: by the time in them (`own`), and in them and
in what they called (`all`). What runs without the interpreter, such as librdkafka's own threads, is not among them.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT

from rich.console import Console
from rich.table import Table

from tests.bench.__main__ import parts
from tests.bench.service import AROUND, EVENT
from tests.bench.suite import measures
from tests.bench.usage import Usage
from tests.real.processes import running

RATE = 500  # samples a second
SHOWN = 45  # functions
WRITES_WITHIN = 60.0  # seconds


class Spy:
    """Takes samples of a process, and of what CPU it takes meanwhile."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.cpu = 0.0

    @contextmanager
    def around(self, pid: int) -> Iterator[None]:
        """Take them; they are in the file at the end."""
        command = [
            str(Path(sys.executable).with_name("py-spy")),
            "record",
            "--pid",
            str(pid),
            "--gil",
            "--rate",
            str(RATE),
        ]
        with running([*command, "--format", "raw", "--output", str(self.file)], self.file.with_suffix(".log")) as spy:
            before = Usage.of(pid)
            yield
            self.cpu = Usage.of(pid).cpu - before.cpu
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
        spy = Spy(Path(name) / "samples")
        AROUND.set(spy.around)
        per_event = contender.run(shared)[EVENT]
        own, every = count(spy.file)
    to_micros = per_event / spy.cpu / RATE
    table = Table("µs of an event, own", "all", "function")
    for function, samples in own.most_common(SHOWN):
        table.add_row(f"{samples * to_micros:.3f}", f"{every[function] * to_micros:.3f}", function)
    console = Console(width=120)
    console.print(table)
    console.print(f"seen in Python: {own.total() * to_micros:.2f} µs an event, of {per_event:.2f} µs of CPU in all")


if __name__ == "__main__":
    main()

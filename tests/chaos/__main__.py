"""`make chaos`: round after round for so many seconds, each with a seed of its own, and a report."""

import argparse
import secrets
import shutil
import sys
import tempfile
from itertools import count
from pathlib import Path
from time import monotonic

from tests.chaos.report import Report
from tests.chaos.round import one_round, parts


def main() -> int:
    """Run; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0, help="start no round after so many; there is at least one")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the first round")
    given = parser.parse_args()
    deadline = monotonic() + given.seconds
    report = Report()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    with parts(folder) as shared:
        for seed in count(given.seed):
            sys.stdout.write(
                f"round {seed - given.seed + 1}: make chaos SEED={seed} repeats it; logs are in {folder}\n"
            )
            sys.stdout.flush()
            report.add(seed, one_round(shared, seed, folder))
            if monotonic() >= deadline or report.broken:
                break
    sys.stdout.write(report.text())
    if not report.broken:
        shutil.rmtree(folder)
    return int(report.broken)


if __name__ == "__main__":
    sys.exit(main())

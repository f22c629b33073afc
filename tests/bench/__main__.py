"""`make bench`: every measure several times, in turn with what it is compared with; 1 if a goal is missed."""

import argparse
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.bench import report
from tests.bench.machine import ROOT, commit, machine
from tests.bench.measure import Parts, take
from tests.bench.report import Record, Results
from tests.bench.suite import SUITE, choose, measures
from tests.real.authority import Authority
from tests.real.kafka_broker import any_broker
from tests.real.registry_server import RegistryServer

RESULTS = ROOT / "tests" / "bench" / "results.json"
README = ROOT / "README.md"


@contextmanager
def parts(folder: Path) -> Iterator[Parts]:
    """Give a broker and a registry, which all measures share."""
    with any_broker(folder, Authority(folder)) as broker, RegistryServer(folder) as registry:
        yield Parts(broker, registry, folder)


def main() -> int:
    """Run; 1 if a goal is missed, or a run did not do its work right."""
    known = ", ".join([*SUITE, *(each.name for each in measures())])
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"one of {known}; all if none is named")
    parser.add_argument("--rounds", type=int, help="of each measure, instead of its own number")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what this run came to")
    parser.add_argument(
        "--write", action="store_true", help=f"keep it in {RESULTS.name}, and bring the README up to date"
    )
    given = parser.parse_args()
    try:
        chosen = choose(given.measures)
    except KeyError as unknown:
        parser.error(f"there is no measure {unknown}: take one of {known}")
    console = Console(width=120)
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    run, kept = Results(), Results.read(RESULTS)
    here = {"date": datetime.now(UTC).date().isoformat(), "commit": commit(), "machine": machine()}
    wrong = False
    with parts(folder) as shared:
        for measure in chosen:
            try:
                outcome = take(measure, shared, lambda what: console.print(what, style="dim"), given.rounds)
            except Exception:  # noqa: BLE001 - whatever it is, it must not cost what the other measures came to
                traceback.print_exc()
                wrong = True
                continue
            record = Record.of(outcome, **here)
            console.print(report.shown(record))
            run.measures[measure.name] = kept.measures[measure.name] = record
            if given.json:
                run.write(given.json, [each.name for each in chosen])
            if given.write:
                kept.write(RESULTS, [each.name for each in measures()])
                README.write_text(report.put(README.read_text("utf-8"), kept), "utf-8")
    if wrong:
        console.print(f"what ran is in {folder}")
    else:
        shutil.rmtree(folder)
    return int(wrong or not all(each.met for each in run.measures.values()))


if __name__ == "__main__":
    sys.exit(main())

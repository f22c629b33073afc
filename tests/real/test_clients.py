"""kcat, a client of Kafka that nobody here wrote, on both ends of the service."""

import shutil
from pathlib import Path

import pytest

from tests.real.kafka import CHANGE, Event, record
from tests.real.processes import run, until
from tests.real.service import World

pytestmark = pytest.mark.process


@pytest.fixture
def kcat() -> str:
    """Give the program."""
    program = shutil.which("kcat")
    assert program, "this test needs kcat: install the package of that name"
    return program


def test_kcat_produces_and_reads_the_topics(here: World, kcat: str, tmp_path: Path) -> None:
    """What kcat writes is applied, and kcat reads the result and the dead letter with the keys they should have."""
    broker = (kcat, "-b", here.broker.bootstrap)
    change, rubbish = tmp_path / "change", tmp_path / "rubbish"
    change.write_bytes(here.kafka.encode(here.changes, record(Event(7)), CHANGE))
    rubbish.write_bytes(b"no Avro at all")
    run([*broker, "-P", "-t", here.changes, "-k", "7", "-H", "trace=abc", change])
    run([*broker, "-P", "-t", here.changes, "-k", "8", "-H", "trace=def", rubbish])
    service = here.start()
    until(lambda: here.committed() == 2, service.process)

    assert here.members() == {7}
    assert run([*broker, "-C", "-t", here.results, "-e", "-q", "-f", "%k,%p,%o "]) == b"acme/4711,0,0 "
    assert run([*broker, "-C", "-t", here.dead_letters, "-e", "-q", "-f", "%k,%p,%o "]) == b"8,0,0 "
    raw = run([*broker, "-C", "-t", here.results, "-e", "-q", "-D", "", "-f", "%s"])
    (result,) = here.kafka.read(here.results)
    assert here.kafka.decode(here.results, raw) == result
    assert [(each["record_id"], each["outcome"]) for each in result["contacts"]] == [(7, "ADDED")]
    (letter,) = here.kafka.read(here.dead_letters)
    assert letter["event"]["value"] == b"no Avro at all"
    assert letter["event"]["headers"] == [{"name": "trace", "value": b"def"}]

"""What comes from Maven Central: resolved once into .venv, which later runs need no network for."""

import hashlib
import shutil
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from tests.real.processes import run

JAVA = ("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Java for a process that lives some minutes on a small machine."""

_POM = Path(__file__).with_name("pom.xml")
_CACHE = Path(__file__).parents[2] / ".venv"


def resolve() -> Path:
    """Give the folder of what pom.xml names: `*.jar` is Kafka, `registry/*-runner.jar` the registry.

    Ends the whole run with a message if Java or Maven is not there.
    """
    folder = _CACHE / f"real-parts-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"
    if not shutil.which("java") or not (folder.exists() or shutil.which("mvn")):
        pytest.exit(
            "these tests need a real Apache Kafka broker and a real registry: install Java 17 and Maven, "
            "which bring both (for the broker alone, KAFKA_BOOTSTRAP_SERVERS or a Docker engine will do)",
            returncode=1,
        )
    if not folder.exists():
        _CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            _fetch(Path(scratch) / "parts")
            with suppress(OSError):  # another run was faster
                (Path(scratch) / "parts").rename(folder)
    return folder


def _fetch(folder: Path) -> None:
    goals = ("dependency:copy-dependencies", "dependency:copy")
    run(["mvn", "-q", "-B", "-f", _POM, *goals, f"-DoutputDirectory={folder}"])
    (packed,) = folder.glob("apicurio-registry-app-*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(folder / "registry", filter="data")
    packed.unlink()

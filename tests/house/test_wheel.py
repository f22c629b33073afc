"""The wheel holds all that the program needs: the source tree is not there when it runs."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from consumer import __version__
from tests.house import examples
from tests.house.tree import ROOT

pytestmark = pytest.mark.process

# What the modules read from beside themselves, and where all of it is.
PROBE = """
import json
import consumer
from consumer import avro, status
from consumer.demo import cdnow
print(json.dumps({
    "file": consumer.__file__,
    "schemas": [each.name for each in (avro.CHANGE_SCHEMA, avro.RESULT_SCHEMA, avro.DEAD_LETTER_SCHEMA)],
    "purchases": len(cdnow.purchases()),
    "page": "</html>" in status.page(status.ServiceStatus((), (), False, False, True, 0.0, 0.0, "v"), 0.0),
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it, alone, into an empty folder."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    _pip("wheel", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT))
    [wheel] = wheels.glob("*.whl")
    _pip("install", "--target", str(target), str(wheel))
    return target


def run(installed: Path, folder: Path, *arguments: str, **environ: str) -> str:
    """Run Python on the installed wheel and give what it prints.

    Without `site` (-S) nothing of an editable install is looked at, so other packages are named to it; the folder that
    it runs in is not searched either (-P).
    """
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    path = os.pathsep.join([str(installed), *sorted(others)])
    command = ["-S", "-P", "-W", "error", *arguments]
    return _python(command, cwd=folder, env={"PYTHONPATH": path, "COLUMNS": "120", **environ})


def _pip(command: str, *arguments: str) -> None:
    """Run pip on what is here: without an index and without dependencies."""
    _python(["-m", "pip", "--quiet", command, "--no-deps", "--no-index", *arguments], env=dict(os.environ))


def _python(arguments: list[str], *, env: dict[str, str], cwd: Path | None = None) -> str:
    ran = subprocess.run([sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_wheel_tells_its_version(installed: Path, tmp_path: Path) -> None:
    """`python -m consumer` runs from the wheel and says the version of this tree."""
    assert run(installed, tmp_path, "-m", "consumer", "--version").split()[-1] == __version__


def test_the_wheel_checks_a_configuration(installed: Path, tmp_path: Path) -> None:
    """The shipped example is valid for the installed program."""
    example, environ = examples.put((ROOT / "deploy" / "example.yaml").read_text("utf-8"), tmp_path)
    said = json.loads(
        run(installed, tmp_path, "-m", "consumer", "check", "--json", "--config", str(example), **environ)
    )
    assert (said["valid"], [each["connector"] for each in said["connectors"]]) == (True, ["vip", "winback"])


def test_the_wheel_carries_schemas_template_and_purchases(installed: Path, tmp_path: Path) -> None:
    """What the program reads from beside its modules is in the wheel as real files."""
    found = json.loads(run(installed, tmp_path, "-c", PROBE))
    assert Path(found["file"]).is_relative_to(installed)
    assert found["schemas"] == [
        "journey.orchestration.MembershipChange",
        "hubspot.membership.MembershipResult",
        "hubspot.membership.DeadLetter",
    ]
    assert (found["purchases"], found["page"]) == (6919, True)
    assert [file for file in installed.rglob("*") if file.is_symlink()] == []


def test_the_wheel_brings_the_command(installed: Path) -> None:
    """Whoever installs the wheel gets `hubspot-list-sync`, and no tests."""
    [entry_points] = installed.glob("hubspot_list_sync-*.dist-info/entry_points.txt")
    assert "hubspot-list-sync = consumer.cli:main" in entry_points.read_text("utf-8")
    assert not (installed / "tests").exists()

"""The image: built as people build it, and run as strictly as Kubernetes can."""

import json
import tomllib
from pathlib import Path

import pytest

from consumer import __version__
from tests.deploy.containers import IMAGE, Podman, official_base
from tests.deploy.manifests import program
from tests.house import examples
from tests.house.tree import ROOT
from tests.real.processes import run

pytestmark = pytest.mark.process

UID = "65532"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
STRICT = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=none")
# Compilers, and what installs packages of Python.
UNWANTED = ("gcc", "cc", "g++", "clang", "make", "ld", "pip", "pip3", "wheel", "uv")


def inside(podman: Podman, script: str) -> list[str]:
    """Run a shell in a new container; give the lines that it prints."""
    return podman(
        "run", "--rm", *STRICT, "--read-only-tmpfs=false", "--entrypoint=sh", IMAGE, "-c", script
    ).splitlines()


def test_it_tells_its_version(podman: Podman) -> None:
    """The container's command is the program."""
    assert podman("run", "--rm", *STRICT, IMAGE, "--version").split()[-1] == __version__


def test_it_runs_as_nobody_on_a_file_system_that_cannot_be_written(podman: Podman) -> None:
    """The user is a number without rights, and there is no place that it can write to."""
    lines = inside(podman, "id -u; id -g; touch /x /opt/hubspot-list-sync/x 2>&1; grep CapEff /proc/self/status")
    assert lines[:2] == [UID, UID]
    assert [line.endswith("Read-only file system") for line in lines[2:4]] == [True, True]
    assert lines[4].split() == ["CapEff:", "0000000000000000"]


def test_nothing_in_it_compiles_or_installs(podman: Podman) -> None:
    """Neither compiler nor pip is left, nor what would bring pip back."""
    found = inside(podman, f"for each in {' '.join(UNWANTED)}; do command -v $each; done; true")
    assert found == []
    missing = inside(
        podman, 'for each in pip ensurepip setuptools; do python3 -c "import $each" 2>&1 | tail -n 1; done'
    )
    assert missing == [f"ModuleNotFoundError: No module named '{each}'" for each in ("pip", "ensurepip", "setuptools")]


def test_it_carries_the_schemas_and_what_was_locked(podman: Podman) -> None:
    """The three schemas are in it as files, and each package in the version that the lock file says."""
    script = (
        "import importlib.metadata as m, json, consumer.avro as a\n"
        "print(json.dumps({'schemas': [a.CHANGE_SCHEMA.name, a.RESULT_SCHEMA.name, a.DEAD_LETTER_SCHEMA.name],"
        " 'packages': {d.name.lower().replace('_', '-').replace('.', '-'): d.version for d in m.distributions()}}))"
    )
    said = json.loads(podman("run", "--rm", *STRICT, "--entrypoint=python3", IMAGE, "-c", script))
    assert [name.rpartition(".")[2] for name in said["schemas"]] == [
        "MembershipChange",
        "MembershipResult",
        "DeadLetter",
    ]
    lines = (ROOT / "deploy" / "requirements.txt").read_text().splitlines()
    locked = dict(line.split(" ")[0].split("==") for line in lines if line[:1].isalpha())
    assert said["packages"] == {
        **{name.replace(".", "-"): version for name, version in locked.items()},
        "hubspot-list-sync": __version__,
    }


def test_it_checks_a_configuration(podman: Podman, tmp_path: Path) -> None:
    """A file that is mounted at the usual place is found; `check` reads it and its secrets."""
    tmp_path.chmod(0o755)
    file, environ = examples.put((ROOT / "deploy" / "example.yaml").read_text("utf-8"), tmp_path)
    file.rename(tmp_path / "hubspot-list-sync.yaml")
    variables = [f"--env={name}={value}" for name, value in environ.items()]
    mount = f"--volume={tmp_path}:/etc/hubspot-list-sync:ro"
    said = json.loads(podman("run", "--rm", *STRICT, *variables, mount, IMAGE, "check", "--json"))
    assert said["valid"]


def test_it_does_the_whole_job(podman: Podman) -> None:
    """The demo runs in it, with nothing but a folder in memory to write to."""
    said = json.loads(podman("run", "--rm", *STRICT, IMAGE, "demo").splitlines()[-1])
    assert said["lists_match"]
    assert said["events"] > 10_000


def test_it_says_what_it_is(podman: Podman) -> None:
    """The labels of the Open Container Initiative tell name, version and commit."""
    labels = json.loads(podman("image", "inspect", IMAGE, "--format", "{{json .Labels}}"))
    told = {
        name.rpartition(".")[2]: value for name, value in labels.items() if name.startswith("org.opencontainers.image.")
    }
    assert told["title"] == "hubspot-list-sync"
    assert told["version"] == __version__
    assert set(told) == {"title", "version", "description", "revision"}


def test_the_version_is_said_once() -> None:
    """What the package, the project and the Dockerfile call the version is one."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__
    assert f"ARG VERSION={__version__}\n" in DOCKERFILE.read_text()


def test_the_dockerfile_is_sound() -> None:
    """Hadolint finds nothing, and the base is the official Python, slim and of one version."""
    run([program("hadolint"), DOCKERFILE])
    repository, _, tag = official_base().rpartition(":")
    assert repository == "docker.io/library/python"
    assert tag.startswith("3.11.")
    assert "-slim" in tag

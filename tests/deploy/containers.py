"""Podman, with a storage of its own: what the tests build is not among anybody's images, and one folder to delete.

It runs containers with runc, which works on machines where crun does not find its way in the cgroups.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from tests.house.tree import ROOT
from tests.real.processes import Process, run, running

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hubspot-list-sync"
SUITE = "bookworm"
INCLUDED = "python3,python3-venv,ca-certificates"
BASE = f"localhost/python-by-debootstrap:{SUITE}"
IMAGE = "localhost/hubspot-list-sync:test"

_CONTAINERS = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
# The limits are what every machine grants: podman's own are above what a container may set on some.
_STORAGE = """
[storage]
driver = "overlay"
graphroot = "{graph}"
runroot = "{run}"
"""


class Podman:
    """Podman, and the image of this tree once `build` has made it.

    AssertionError with a message if a program is missing, or the rights that debootstrap asks for.
    """

    def __init__(self, folder: Path) -> None:
        missing = [each for each in ("podman", "runc", "catatonit", "debootstrap") if not shutil.which(each)]
        assert not missing, f"the image is built and run by podman: install {', '.join(missing)}"
        assert os.geteuid() == 0, "debootstrap makes the base of the image, and it asks for root: run the tests as root"
        self.environ = {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }
        (folder / "containers.conf").write_text(_CONTAINERS)
        (folder / "storage.conf").write_text(_STORAGE.format(graph=CACHE / "containers", run=CACHE / "run"))

    def __call__(self, *words: str | Path, code: int = 0) -> str:
        """Run podman to its end; give what it prints. AssertionError with all it said unless it exits with `code`."""
        return run(["podman", *words], environ=self.environ, code=code).decode()

    @contextmanager
    def running(self, log_file: Path, words: Sequence[str | Path]) -> Iterator[Process]:
        """Run a container until the context is left; SIGTERM to the process given reaches the one in the container."""
        name = log_file.stem
        try:
            with running(["podman", "run", "--name", name, *words], log_file, self.environ) as process:
                yield process
        finally:
            self("rm", "--force", "--ignore", name)

    def clear(self) -> None:
        """Remove what a run left behind that was killed."""
        self("pod", "rm", "--all", "--force")
        self("rm", "--all", "--force")
        self("volume", "rm", "--all", "--force")
        self("secret", "rm", "--all")

    def has(self, image: str) -> bool:
        """Tell whether an image is in the storage."""
        return _is_there(image, self.environ)

    def build(self) -> None:
        """Make the image as people do, by `make image`, from what git has, or would take, of this tree."""
        with _context() as folder:
            run(
                ["make", "-C", folder, "image", f"BASE={self.base}", f"IMAGE={IMAGE}", "BUILDER=podman"],
                environ=self.environ,
            )
        self("image", "prune", "--force", "--filter=until=24h")  # what former builds left behind

    @cached_property
    def base(self) -> str:
        """An image with Python: the Dockerfile's own where somebody has pulled it, else Debian's Python.

        Nothing is pulled here. Debian's is made by debootstrap, which takes a minute, and kept.
        """
        official = official_base()
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            root, archive = Path(scratch) / "root", Path(scratch) / "root.tar"
            if not self.has(official) and _is_there(official):
                run(["podman", "save", "--quiet", "--output", archive, official])
                self("load", "--quiet", "--input", archive)
            if self.has(official):
                return official
            if not self.has(BASE):
                run(["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, root])
                run(["tar", "-C", root, "--exclude=./dev", "--exclude=./var/cache/apt", "-cf", archive, "."])
                self("import", "--quiet", archive, BASE)
        return BASE


def _is_there(image: str, environ: Mapping[str, str] | None = None) -> bool:
    with suppress(AssertionError):
        run(["podman", "image", "exists", image], environ=environ)
        return True
    return False


def official_base() -> str:
    """Give the image that the Dockerfile is built on."""
    [line] = [
        each for each in (ROOT / "deploy" / "Dockerfile").read_text().splitlines() if each.startswith("ARG BASE=")
    ]
    return line.removeprefix("ARG BASE=")


@contextmanager
def _context() -> Iterator[Path]:
    """Give a folder with this tree's files, and with the wheels that a build without an index takes."""
    listed = run(
        ["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    )
    with tempfile.TemporaryDirectory() as folder:
        names = [name for name in listed.decode().split("\0") if name and (ROOT / name).exists()]
        given = "".join(f"{name}\0" for name in names).encode()
        packed = run(["tar", "-C", ROOT, "--null", "--files-from=-", "-cf", "-"], given=given)
        run(["tar", "-C", folder, "-xf", "-"], given=packed)
        run(["make", "-C", ROOT, "image-wheels", f"WHEELS={folder}/dist/wheels"])
        yield Path(folder)

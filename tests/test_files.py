"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from consumer.files import write_whole

NOBODY = 65534


def test_a_file_gets_the_mode_that_is_asked_for_where_the_umask_allows(tmp_path: Path) -> None:
    """And the content, whole, with nothing beside it."""
    old = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", b"content", 0o666)
    finally:
        os.umask(old)
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o640
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.fixture(name="open_folder")
def _open_folder() -> Iterator[Path]:
    """Give a folder that everybody can get to; pytest's own are for one user."""
    with TemporaryDirectory() as name:
        yield Path(name)


@contextmanager
def user(groups: list[int] | None) -> Iterator[None]:
    """Be somebody who is not root, in these groups; None: be who one is."""
    if groups is None:
        yield
        return
    before = os.getgroups()
    os.setgroups(groups)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(before)


# Only root can give files away, and become somebody else. Who is not root finds out what is refused.
CASES: list[tuple[list[int] | None, tuple[int, int] | None]] = [(None, None)]
if os.geteuid() == 0:
    CASES = [(None, (1234, 5678)), ([5678], (NOBODY, 5678)), ([], None)]


@pytest.mark.parametrize(("groups", "owner"), CASES)
def test_a_file_keeps_its_owner_or_at_least_its_group(
    open_folder: Path, groups: list[int] | None, owner: tuple[int, int] | None
) -> None:
    """The group is who reads it besides; where not even that can be kept, the file is left alone."""
    file = open_folder / "file"
    file.write_bytes(b"old")
    file.chmod(0o664)
    status = list(file.stat())
    status[4:6] = [1234, 5678]
    if groups is not None:
        os.chown(open_folder, NOBODY, -1)
    with user(groups), pytest.raises(PermissionError) if owner is None else nullcontext():
        write_whole(file, b"new", 0o600, os.stat_result(status))
    found = file.stat()
    assert file.read_bytes() == (b"old" if owner is None else b"new")
    assert found.st_mode & 0o7777 == 0o664
    assert owner in (None, (found.st_uid, found.st_gid))
    assert list(open_folder.iterdir()) == [file]

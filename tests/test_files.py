"""Files that are written whole or not at all."""

import os
from pathlib import Path

import pytest

from consumer.files import write_whole


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


@pytest.mark.parametrize(
    ("may", "asked"),
    [("all", [(1234, 5678)]), ("group", [(1234, 5678), (-1, 5678)]), ("nothing", [(1234, 5678), (-1, 5678)])],
)
def test_a_file_keeps_its_owner_or_at_least_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may: str, asked: list[tuple[int, int]]
) -> None:
    """The group is who reads it besides; where not even that can be kept, the file is left alone."""
    file = tmp_path / "file"
    file.write_bytes(b"old")
    file.chmod(0o664)
    status = list(file.stat())
    status[4:6] = [1234, 5678]
    calls: list[tuple[int, int]] = []

    def fchown(_: int, owner: int, group: int) -> None:
        calls.append((owner, group))
        if may == "nothing" or (may == "group" and owner != -1):
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", fchown)
    if may == "nothing":
        with pytest.raises(PermissionError):
            write_whole(file, b"new", 0o600, os.stat_result(status))
    else:
        write_whole(file, b"new", 0o600, os.stat_result(status))
    assert calls == asked
    assert file.read_bytes() == (b"old" if may == "nothing" else b"new")
    assert file.stat().st_mode & 0o7777 == 0o664
    assert list(tmp_path.iterdir()) == [file]

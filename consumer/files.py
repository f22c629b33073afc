"""Files that are written whole or not at all."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write_whole(file: Path, content: bytes, mode: int, like: os.stat_result | None = None) -> None:
    """Write `content` beside `file`, and rename that: a reader finds the old content or the new, never half of one.

    The file has `mode`, as far as the process's umask allows, from its first byte on; or mode, owner and group of
    `like`. Raises OSError; then nothing lies beside `file`.
    """
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            if like is not None:
                _become(descriptor, like)
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
        fresh.replace(file)
    except BaseException:
        fresh.unlink()
        raise
    _keep_name(file.parent)


def _become(descriptor: int, like: os.stat_result) -> None:
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        try:
            os.fchown(descriptor, like.st_uid, like.st_gid)
        except PermissionError:
            os.fchown(descriptor, -1, like.st_gid)  # the group is who else reads it
    os.fchmod(descriptor, like.st_mode & 0o7777)


def _keep_name(folder: Path) -> None:
    """See that the new name outlives a crash of the machine, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

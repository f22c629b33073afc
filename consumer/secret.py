"""Values that nobody may see: where they come from, and how they are kept out of every text."""

import base64
import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, quote_plus

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from consumer.errors import SecretUnreadable, SecretUnwritable
from consumer.files import write_whole

__all__ = ["HIDDEN", "HeldSecret", "Redactor", "Secret", "SecretUnreadable", "SecretUnwritable", "write_secret"]

HIDDEN = "***"

MODE = 0o600
"""Of a file that holds a secret: nobody but its owner reads it."""


class Secret:
    """A value that shows itself as `***` everywhere, and knows where it was read."""

    __slots__ = ("_file", "_place", "_value")

    def __init__(self, value: str, *, place: str = "memory", file: Path | None = None) -> None:
        self._value = value
        self._place = place
        self._file = file

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """Read the value from `file`, without the white space around it.

        Raises SecretUnreadable.
        """
        return cls(_read(file), place=f"file {file}", file=file)

    @classmethod
    def from_environment(cls, name: str, environ: Mapping[str, str]) -> Self:
        """Read the value from the variable `name` of `environ`, without the white space around it.

        Raises SecretUnreadable.
        """
        if name not in environ:
            raise SecretUnreadable(
                f"the environment variable {name} is not set", f"Set {name}, or name another variable"
            )
        value = environ[name].strip()
        if not value:
            raise SecretUnreadable(f"the environment variable {name} is empty", f"Give {name} a value")
        return cls(value, place=f"env {name}")

    @property
    def place(self) -> str:
        """Where the value was read: `file PATH` or `env NAME`."""
        return self._place

    def reveal(self) -> str:
        """Return the value as it was when it was first read."""
        return self._value

    def read_again(self) -> str:
        """Return what the file holds now; the value itself where it came from no file.

        Raises SecretUnreadable.
        """
        return self._value if self._file is None else _read(self._file)

    def write(self, value: str) -> bool:
        """Put `value` into the file, whole or not at all, with mode 0600; False where that cannot be done.

        False is nothing unusual: Kubernetes mounts Secrets read-only. `reveal` goes on giving the first value.
        """
        if self._file is None:
            return False
        try:
            file = self._file.resolve(strict=True)  # a link stays a link
            if not os.access(file, os.W_OK):
                return False
            write_whole(file, value.encode(), MODE)
        except OSError:
            return False
        return True

    def __repr__(self) -> str:
        return HIDDEN

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - pydantic's signature
        """Let a field take a Secret and nothing else, and dump it as `***`."""
        del source, handler
        hidden = core_schema.plain_serializer_function_ser_schema(lambda _: HIDDEN)
        return core_schema.is_instance_schema(cls, serialization=hidden)


class HeldSecret(Secret):
    """A secret that has no place yet: in memory it is kept, and so is what is written to it."""

    __slots__ = ("_newest",)

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self._newest = value

    def read_again(self) -> str:
        """Return what was written last."""
        return self._newest

    def write(self, value: str) -> bool:
        """Keep `value`; True."""
        self._newest = value
        return True


def _read(file: Path) -> str:
    try:
        value = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise SecretUnreadable(f"the file {file} is not there", "Create the file, or mend the path") from None
    except OSError as error:
        raise SecretUnreadable(
            f"the file {file} cannot be read ({error.strerror})", "Make it readable for the user that runs the service"
        ) from None
    except ValueError:  # not chained: a UnicodeDecodeError carries the bytes
        raise SecretUnreadable(f"the file {file} is not UTF-8 text", "Write the value as plain text") from None
    if not value:
        raise SecretUnreadable(f"the file {file} is empty", "Write the value into it")
    return value


def write_secret(file: Path, value: str) -> None:
    """Put `value` into `file`, new or not, whole or not at all, with mode 0600; a link stays a link.

    The folder is made, with mode 0700, if it is not there; what is around it must be. Raises SecretUnwritable.
    """
    try:
        value.encode()
    except UnicodeEncodeError:  # not chained: it carries the value
        raise SecretUnwritable("the value is not text", "Copy it once more") from None
    if not value.strip():
        raise SecretUnwritable("the value is empty", "Give it a value")
    try:
        target = file.resolve()  # a link stays a link
        target.parent.mkdir(mode=0o700, exist_ok=True)
        if target.exists() and not target.is_file():
            raise SecretUnwritable(f"{file} is there, and is no file", "Remove it, or name another path")
        if target.exists() and not os.access(target, os.W_OK):
            raise SecretUnwritable(f"the file {file} is read-only", "Make it writable, or name another path")
        write_whole(target, value.encode(), MODE)
    except FileNotFoundError:
        rule = f"the folder of {file} cannot be made: the one around it is not there"
        raise SecretUnwritable(rule, "Make that folder, or name another path") from None
    except FileExistsError:
        raise SecretUnwritable(f"{file.parent} is there, and is no folder", "Remove it, or name another path") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = error.strerror if isinstance(error, OSError) else "its links lead in a circle"
        remedy = "Mend that, or name another path"
        raise SecretUnwritable(f"the file {file} cannot be written ({reason})", remedy) from None


class Redactor:
    """The secret values known so far, and the cleaning of a text from them. Any thread may use it."""

    SHORTEST = 4  # shorter values occur in ordinary words: the stars would ruin the log and give the value away

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: tuple[str, ...] = ()
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Hide `value` from now on. A value of less than `SHORTEST` characters is left alone."""
        if len(value) >= self.SHORTEST:
            with self._lock:
                # A longer secret may hold a shorter one, so the longer goes first.
                self._forms = tuple(sorted({*self._forms, *_forms(value)}, key=lambda form: (-len(form), form)))

    def forget(self, value: str) -> None:
        """No longer look for `value`: for access tokens that have expired, or the work would grow for ever."""
        with self._lock:
            self._forms = tuple(form for form in self._forms if form not in _forms(value))

    def clean(self, text: str) -> str:
        """Return `text` with `***` in place of every secret, also where it is quoted or encoded."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text


def _forms(value: str) -> set[str]:
    """Return what `value` looks like in JSON, a repr, a URL, a form body and a basic authorization header."""
    return {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        json.dumps(repr(value)[1:-1])[1:-1],
        repr(value)[1:-1],
        quote(value, safe="", errors="replace"),
        quote_plus(value, errors="replace"),
        base64.b64encode(value.encode(errors="replace")).decode(),
    }

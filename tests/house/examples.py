"""Example configurations, with the secrets that they refer to."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ruamel.yaml import YAML


def put(text: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """Write a configuration and the files it refers to into `folder`; give its path and the variables it wants."""
    file = folder / "example.yaml"
    file.write_text(text, "utf-8")
    environ = {}
    for kind, name in _references(YAML(typ="safe").load(text)):
        if kind == "env":
            environ[name] = f"value-of-{name}"
        else:
            assert not Path(name).is_absolute(), f"{name}: an example refers to files beside it"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"content-of-{Path(name).name}\n", "utf-8")
    return file, environ


def _references(value: object) -> Iterator[tuple[str, str]]:
    """Yield kind and name of every `{file: PATH}` and `{env: NAME}`."""
    match value:
        case {"file": str(name)}:
            yield "file", name
        case {"env": str(name)}:
            yield "env", name
        case Mapping():
            for inner in value.values():
                yield from _references(inner)
        case list():
            for inner in value:
                yield from _references(inner)

"""The configuration: one YAML file, read once at start, checked as a whole.

`load` is the way in. It raises everything that is wrong at once, with place, line, rule and remedy.
"""

from collections.abc import Mapping
from pathlib import Path

from consumer.errors import ConfigurationError
from consumer.settings import document
from consumer.settings.examination import BASE_URL, examine
from consumer.settings.model import (
    Account,
    Admin,
    Audit,
    Connector,
    Guard,
    HubSpot,
    Limits,
    Retry,
    Settings,
    Shutdown,
    Surroundings,
    Topics,
    Window,
)
from consumer.settings.properties import Properties
from consumer.settings.values import Address, Source

__all__ = [
    "BASE_URL",
    "Account",
    "Address",
    "Admin",
    "Audit",
    "Connector",
    "Guard",
    "HubSpot",
    "Limits",
    "Properties",
    "Retry",
    "Settings",
    "Shutdown",
    "Source",
    "Surroundings",
    "Topics",
    "Window",
    "load",
]


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """Read and check the configuration file `path`; raises ConfigurationError with every problem it has."""
    found = examine(document.read(path), environ)
    if found.settings is None or found.problems:
        raise ConfigurationError(str(path), tuple(problem for _, problem in found.problems))
    return found.settings

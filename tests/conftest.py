"""What holds for every test, and how they are shared out among workers."""

import pytest
from hypothesis import settings

# No test depends on the speed of its machine.
settings.register_profile("house", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)  # `make test-unit`
settings.load_profile("house")

# Folders whose files take long, the longest first: begun first, or one worker would be alone with them in the end.
LONG = ("chaos", "deploy", "browser", "real", "load", "simulation", "commands", "setup")

# What one worker has and keeps until its end: podman's storage is one, and a browser is dear. Of two workers the other
# would wait, or begin anew.
KEPT = ("podman", "chromium")


@pytest.hookimpl(tryfirst=True)  # before the workers look at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests first, and let a file's tests stay together, with what they have in common."""
    items.sort(key=_length)
    for item in items:
        kept = next((name for name in KEPT if name in getattr(item, "fixturenames", ())), None)
        item.add_marker(pytest.mark.xdist_group(kept or item.path.as_posix()))


def _length(item: pytest.Item) -> int:
    folder = item.path.relative_to(item.config.rootpath / "tests").parts[0]
    return LONG.index(folder) if folder in LONG else len(LONG)

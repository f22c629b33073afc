"""Names for connectors, made from the names of lists."""

import re
from collections.abc import Collection
from itertools import count

LONGEST = 80  # characters; a number may follow


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Give a name like `wanted` that a connector may have, and that is not `taken`: `vip`, `vip-2`, `vip-3`."""
    name = re.sub(r"[^a-z0-9]+", "-", wanted.casefold()).strip("-")[:LONGEST] or "list"
    candidates = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(each for each in candidates if each not in taken)

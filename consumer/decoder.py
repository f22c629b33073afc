"""A decoder made for one writer's schema, several times as fast as the general one in `avro.py`. No I/O.

It is made for what writers usually send, and where anything is unusual it gives None: the general decoder decides. So
it need not tell one defect from another, only never take for an event what the general decoder would not, or otherwise.

- It is made as Python source for the fields in the writer's order: strings, enums, numbers, booleans, maps of strings.
  For a schema with anything else there is none.
- Every string is decoded, also those that nobody looks at, for what is not UTF-8 makes the event undecodable.
- Positions only grow, and at the end all bytes are used up: so no string was cut short by the end of the body.
"""

from collections.abc import Callable, Mapping, Sequence
from struct import Struct, error
from textwrap import indent
from typing import Any

_PAIRS = Struct("<HHH")
_BITS = [pair & 127 | (pair >> 8 & 127) << 7 for pair in range(1 << 16)]  # of the seven low bits of each of two bytes

Decoder = Callable[[bytes], tuple[Any, ...] | None]

Node = str | list[Any] | dict[str, Any]

_STRING = """\
n = b[p]
if n & 129:
    m = b[p + 1]
    if n & 1 or m > 127:
        return None
    n = n & 127 | m << 7; p += 1
p += 1; q = p + (n >> 1)
{name} = b[p:q].decode(); p = q
"""
_ENUM = """\
{name} = {symbols}[b[p]]; p += 1
"""
_NUMBER = """\
n = shift = 0
while (m := b[p]) > 127:
    n |= (m & 127) << shift
    p += 1; shift += 7
n |= m << shift
p += 1
if shift > 56:
    return None
{name} = n >> 1 ^ -(n & 1)
"""
_TIME = """\
n, m, high = pairs(b, p)
if n & m & 0x8080 == 0x8080 and high & 0x8080 == 0x0080:  # six bytes, as a time in milliseconds takes until 2039
    n = bits[n] | bits[m] << 14 | bits[high] << 28
    p += 6
    {name} = n >> 1 ^ -(n & 1)
else:
{number}
"""
_BOOLEAN = """\
p += 1
"""
_MAP = """\
{name} = {{}}
count = b[p]; p += 1
while count:
    if count & 129:
        return None
    for _ in range(count >> 1):
{entry}
        {name}[key] = value
    count = b[p]; p += 1
"""
_PRIMITIVES = {"string": _STRING, "int": _NUMBER, "long": _NUMBER, "boolean": _BOOLEAN}
_FUNCTION = """\
def decoder(b):
    p = {begin}
    try:
{body}
        if p != len(b):
            return None
    except (LookupError, ValueError, struct_error):
        return None
    return {result}
"""


def compile_decoder(
    writer: Node, reader: Sequence[Mapping[str, Any]], units: Mapping[str, int], begin: int
) -> Decoder | None:
    """Make a decoder for records of `writer`; None if its schema has what only the general decoder can read.

    `writer` is an expanded record of fastavro's, `reader` are the fields of the reader's schema, in whose order the
    decoder gives their values. A field in `units` is divided by what is given there. The decoder takes a whole message,
    with `begin` bytes before the body; where it gives None, the general decoder has to look.
    """
    if not isinstance(writer, dict):
        return None
    written = {each["name"]: number for number, each in enumerate(writer["fields"])}
    wanted = {each["name"]: each["type"] for each in reader}
    known: dict[str, Any] = {"pairs": _PAIRS.unpack_from, "bits": _BITS, "struct_error": error}
    body = []
    for name, number in written.items():
        kind = writer["fields"][number]["type"]
        source = _source(kind, wanted.get(name, kind), f"f{number}", known)
        if source is None:
            return None
        is_time = name in units and _bare(kind) in ("int", "long")
        body.append(_TIME.format(name=f"f{number}", number=indent(source, " " * 4).rstrip()) if is_time else source)
    result = []
    for each in reader:
        name = each["name"]
        if name in written:
            result.append(f"f{written[name]} // {units[name]}" if units.get(name, 1) != 1 else f"f{written[name]}")
        else:
            known[f"default_{name}"] = each["default"]
            result.append(f"default_{name}")
    source = _FUNCTION.format(begin=begin, body=indent("".join(body), " " * 8), result=", ".join(result))
    exec(source, known)  # noqa: S102 - of the templates above; names and values of the schema are not in it
    decoder: Decoder = known["decoder"]
    return decoder


def _source(kind: Node, wanted: Node, name: str, known: dict[str, Any]) -> str | None:
    """Give the source that reads a value of `kind` into the variable `name`; None if there is none."""
    kind, wanted = _bare(kind), _bare(wanted)
    if isinstance(kind, str) and (kind == wanted or (kind, wanted) == ("int", "long")):
        return _PRIMITIVES[kind].format(name=name) if kind in _PRIMITIVES else None
    if not (isinstance(kind, dict) and isinstance(wanted, dict) and kind["type"] == wanted["type"]):
        return None
    if kind["type"] == "enum":
        # Other symbols are the general decoder's, and so are those whose number does not fit into one byte.
        numbers = {2 * number: symbol for number, symbol in enumerate(kind["symbols"][:64])}
        known[f"symbols_{name}"] = {number: each for number, each in numbers.items() if each in wanted["symbols"]}
        return _ENUM.format(name=name, symbols=f"symbols_{name}")
    if kind["type"] == "map" and _bare(kind["values"]) == _bare(wanted["values"]) == "string":
        entry = _STRING.format(name="key") + _STRING.format(name="value")
        return _MAP.format(name=name, entry=indent(entry, " " * 8).rstrip())
    return None


def _bare(kind: Node) -> Node:
    """Give a primitive type by its name alone."""
    return kind["type"] if isinstance(kind, dict) and kind.keys() == {"type"} else kind

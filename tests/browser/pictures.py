"""Pictures of pages, small enough for a repository: PNG with a palette."""

import base64
import struct
import zlib
from collections import Counter
from typing import Final

from playwright.sync_api import Page

COLOURS: Final = 64  # text in grey levels, and a few colours of our own

# The browser decodes its own picture: four bytes for each pixel, from the top left one on.
_PIXELS: Final = """async picture => {
    const bitmap = await createImageBitmap(await (await fetch("data:image/png;base64," + picture)).blob());
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const bytes = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
    const parts = [];
    for (let at = 0; at < bytes.length; at += 30000) parts.push(String.fromCharCode(...bytes.subarray(at, at + 30000)));
    return [bitmap.width, bitmap.height, btoa(parts.join(""))];
}"""


def pixels_of(blank: Page, picture: bytes) -> tuple[int, int, bytes]:
    """Give a PNG's width, height and pixels, four bytes each; `blank` is an empty page, which decodes it."""
    width, height, pixels = blank.evaluate(_PIXELS, base64.b64encode(picture).decode())
    return width, height, base64.b64decode(pixels)


def palette_png(width: int, height: int, pixels: bytes) -> bytes:
    """Give a PNG with the colours that are most frequent in the pixels; any other becomes the nearest of them.

    A pixel is four bytes, of which the last (how opaque it is) does not count.
    """
    each = [pixels[at : at + 3] for at in range(0, len(pixels), 4)]
    counted = Counter(each)
    palette = [colour for colour, _ in counted.most_common(COLOURS)]
    numbers = {colour: min(range(len(palette)), key=lambda n: _distance(palette[n], colour)) for colour in counted}
    rows = [bytes(numbers[pixel] for pixel in each[at : at + width]) for at in range(0, len(each), width)]
    assert len(rows) == height
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks = ((b"IHDR", header), (b"PLTE", b"".join(palette)), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _distance(one: bytes, other: bytes) -> int:
    return sum((left - right) ** 2 for left, right in zip(one, other, strict=True))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

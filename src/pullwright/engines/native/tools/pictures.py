"""`view_image`: an image file of the sandbox, shown to a model that can see."""

import struct
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from pullwright.domain.errors import SandboxError, SandboxLost
from pullwright.domain.transcript import Picture
from pullwright.engines.native.tools.base import Context, Result, Tool, text_of, tool
from pullwright.sandbox.base import WORKSPACE

# What the strictest of the usual providers takes (https://docs.anthropic.com/en/docs/build-with-claude/vision).
MOST_BYTES = 5 * 1024 * 1024
MOST_PIXELS = 8000  # of either side

MediaType = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]

# JPEG's start-of-frame markers; C4, C8 and CC in their midst are others (ITU-T T.81, table B.1).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True)
class Size:
    """What an image's own header says of it."""

    media_type: MediaType
    width: int
    height: int


def size_of(data: bytes) -> Size | None:
    """What kind of image the bytes are, and its size in pixels; None where they are none that models take."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            return Size("image/png", *struct.unpack(">II", data[16:24]))
        if data[:6] in (b"GIF87a", b"GIF89a"):
            return Size("image/gif", *struct.unpack("<HH", data[6:10]))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
    except (struct.error, IndexError):
        pass  # cut short
    return None


def _webp(data: bytes) -> Size | None:
    """https://developers.google.com/speed/webp/docs/riff_container."""
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return Size("image/webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return Size("image/webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X" and len(data) >= 30:
        return Size("image/webp", int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1)
    return None


def _jpeg(data: bytes) -> Size | None:
    at = 2
    while data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF:  # padding
            at += 1
        elif kind in _NO_LENGTH:
            at += 2
        elif kind in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return Size("image/jpeg", width, height)
        else:
            at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None


class ViewArguments(BaseModel):
    """What `view_image` takes."""

    path: str = Field(min_length=1, description="Of a PNG, JPEG, GIF or WebP file.")


async def _view(context: Context, asked: ViewArguments) -> Result:
    path = text_of(asked.path).replace("\0", "")
    whole = path if path.startswith("/") else f"{WORKSPACE}/{path}"
    try:
        data = await context.work.sandbox.read(whole, MOST_BYTES)
    except FileNotFoundError:
        return Result(f"There is no file {path}.", failed=True)
    except SandboxLost:
        raise
    except SandboxError as error:
        return Result(f"{error}. Make a smaller copy first, if it is an image.", failed=True)
    size = size_of(data)
    if size is None:
        return Result(f"{path} is no PNG, JPEG, GIF or WebP image. Convert it first, or read it as text.", failed=True)
    words = f"{path}: {size.media_type}, {size.width} x {size.height} pixels, {len(data)} bytes"
    if not (0 < size.width <= MOST_PIXELS and 0 < size.height <= MOST_PIXELS):
        return Result(f"{words}. Sides may have 1 to {MOST_PIXELS} pixels: make a smaller copy first.", failed=True)
    kept = await context.work.log.output(data, inline=0)
    if kept.blob is None:
        raise AssertionError("what is not inline is in a blob")
    return Result(words, pictures=(Picture(media_type=size.media_type, blob=kept.blob),))


def pictures() -> Tool:
    """`view_image`."""
    return tool("view_image", "Look at an image file.", ViewArguments, _view, fits=lambda context: context.sees)

"""What an image's header says, and that nothing crashes on it."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pullwright.engines.native.tools.pictures import Size, size_of

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + b"\0" * 10 + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 40, 30) + b"\x03"
WEBP = b"RIFF\0\0\0\0WEBP"


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"GIF89a" + struct.pack("<HH", 7, 9), Size("image/gif", 7, 9)),
        (JPEG, Size("image/jpeg", 30, 40)),
        (WEBP + b"VP8 " + b"\0" * 10 + struct.pack("<HH", 5, 6), Size("image/webp", 5, 6)),
        (WEBP + b"VP8L" + b"\0" * 4 + b"\x2f" + struct.pack("<I", 4 | 5 << 14), Size("image/webp", 5, 6)),
        (WEBP + b"VP8X" + b"\0" * 8 + b"\x04\0\0\x05\0\0", Size("image/webp", 5, 6)),
        (b"", None),
        (b"<svg/>", None),
        (JPEG[:12], None),
    ],
)
def test_the_header_tells_kind_and_size(data: bytes, size: Size | None) -> None:
    assert size_of(data) == size


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"GIF89a", WEBP, b"\xff\xd8\xff"]), st.binary(max_size=60))
@example(b"\xff\xd8\xff", b"\xff" * 60)
def test_no_header_crashes_it(start: bytes, rest: bytes) -> None:
    found = size_of(start + rest)
    assert found is None or found.width >= 0

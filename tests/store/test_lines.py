"""Line ends, as they are served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.store import lines
from mailhub.store.files import Files

OCTETS = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bc"]), max_size=30).map(b"".join)


@given(OCTETS)
def test_conversion(octets: bytes) -> None:
    """No LF stands alone; CR LF and bare CR stay; a second time nothing changes."""
    served = lines.to_crlf(octets)
    assert served.replace(b"\r\n", b"").count(b"\n") == 0
    assert lines.to_crlf(served) == served
    assert served.replace(b"\r\n", b"\n") == octets.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("piece", [1, 2, 3, 1 << 20])
@pytest.mark.parametrize("octets", [b"", b"a\nb\r\nc\rd\r\n\n", b"\n\n", b"\r\n\r\n"])
def test_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, octets: bytes) -> None:
    """The size is that of what is served, however the file is read."""
    monkeypatch.setattr(lines, "_PIECE", piece)
    (tmp_path / "file").write_bytes(octets)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    assert lines.served_size(Files(), descriptor) == len(lines.to_crlf(octets))
    os.close(descriptor)


@pytest.mark.parametrize(
    ("octets", "end"),
    [(b"A: b\r\n\r\nbody", 8), (b"\r\nbody", 2), (b"A: b\r\n", None), (b"", None)],
)
def test_header_end(octets: bytes, end: int | None) -> None:
    """The header section ends with the first empty line, and includes it."""
    assert lines.header_end(octets) == end

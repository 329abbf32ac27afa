"""Compressed connections: flushed, bounded, and cheap."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.net.deflate import MEMORY, PIECE, Broken, Deflate


def peer() -> tuple[zlib._Compress, zlib._Decompress]:
    return zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)


@given(st.lists(st.binary()), st.integers(1, 20))
def test_round_trip(pieces: list[bytes], cut: int) -> None:
    """What either side says arrives whole, when it was said, however it is cut on its way."""
    packing, unpacking = peer()
    ours = Deflate()
    for piece in pieces:
        assert unpacking.decompress(ours.pack(piece)) == piece
        sent = packing.compress(piece) + packing.flush(zlib.Z_SYNC_FLUSH)
        cuts = range(0, len(sent), cut)
        assert b"".join(ours.unpack(sent[at : at + cut]) for at in cuts) == piece
        assert not ours.more
    assert not ours.ended


def test_bomb() -> None:
    """Octets that expand a thousandfold come out piece by piece."""
    packing, _ = peer()
    octets = bytes(100 * PIECE + 5)
    ours = Deflate()
    found = [ours.unpack(packing.compress(octets) + packing.flush(zlib.Z_SYNC_FLUSH))]
    while ours.more:
        found.append(ours.unpack())
    assert max(map(len, found)) == PIECE
    assert b"".join(found) == octets


def test_exactly_a_piece() -> None:
    """A piece that is just full leaves nothing behind."""
    packing, _ = peer()
    ours = Deflate()
    sent = packing.compress(bytes(PIECE)) + packing.flush(zlib.Z_SYNC_FLUSH)
    assert ours.unpack(sent) == bytes(PIECE)
    while ours.more:
        assert ours.unpack() == b""


def test_no_deflate() -> None:
    """Plain text is not taken for anything else."""
    with pytest.raises(Broken):
        Deflate().unpack(b"a NOOP\r\nb NOOP\r\n" * 100)


def test_ended() -> None:
    """A peer that ends its stream is known to be silent."""
    packing, _ = peer()
    ours = Deflate()
    assert ours.unpack(packing.compress(b"x") + packing.flush()) == b"x"
    assert ours.ended


def test_memory() -> None:
    """A hundred connections that have talked both ways cost what is said of one."""
    packing, _ = peer()
    sent = packing.compress(bytes(range(256)) * 500) + packing.flush(zlib.Z_SYNC_FLUSH)
    tracemalloc.start()
    try:
        connections = [Deflate() for _ in range(100)]
        for connection in connections:
            connection.pack(b"* 1 FETCH (UID 1)\r\n" * 1000)
            connection.unpack(sent)
            while connection.more:
                connection.unpack()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / len(connections) < MEMORY

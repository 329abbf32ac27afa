"""What a hub is given of the world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mailhub import surroundings
from tests.hubs import World


def test_nonces(tmp_path: Path) -> None:
    """A nonce is printable, has no comma (RFC 5802 §5.1), and no two are the same."""
    world = World(tmp_path).surroundings()
    nonces = {world.nonce() for _ in range(100)}
    assert len(nonces) == 100
    assert all(it.isalnum() and len(it) == 2 * surroundings.NONCE_OCTETS for it in nonces)


@given(st.integers(1, 64), st.binary(min_size=8, max_size=8))
def test_numbers(bits: int, octets: bytes) -> None:
    """A number has as many bits as were asked for, and each may be set."""
    world = World(Path("/nowhere")).surroundings()
    drawn = replace(world, entropy=lambda count: octets[:count]).number(bits)
    assert 0 <= drawn < 1 << bits
    assert replace(world, entropy=lambda count: b"\xff" * count).number(bits) == (1 << bits) - 1


def test_no_resolv_conf(tmp_path: Path) -> None:
    """A machine without that file has no servers in it."""
    assert surroundings._read(str(tmp_path / "none")) == ""

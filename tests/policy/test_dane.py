"""What TLSA records ask, and which certificates meet them."""

from __future__ import annotations

import hashlib

import pytest

from mailhub.policy.dane import Shown, Standing, anchors, entity, matches, standing, usable
from mailhub.ports.resolver import Tlsa

LEAF = Shown(b"leaf certificate", b"leaf key")
MIDDLE = Shown(b"middle certificate", b"middle key")
ROOT = Shown(b"root certificate", b"root key")
SHA256 = hashlib.sha256
SHA512 = hashlib.sha512


@pytest.mark.parametrize(
    ("selector", "matching", "data"),
    [
        (0, 0, LEAF.whole),
        (0, 1, SHA256(LEAF.whole).digest()),
        (0, 2, SHA512(LEAF.whole).digest()),
        (1, 0, LEAF.key),
        (1, 1, SHA256(LEAF.key).digest()),
        (1, 2, SHA512(LEAF.key).digest()),
    ],
)
def test_matching(selector: int, matching: int, data: bytes) -> None:
    """Each selector and matching type is compared with its part (RFC 6698 §2.1)."""
    assert matches(Tlsa(3, selector, matching, data), LEAF)
    assert not matches(Tlsa(3, selector, matching, data), MIDDLE)
    assert not matches(Tlsa(3, 1 - selector, matching, data), LEAF)


@pytest.mark.parametrize(
    "record",
    [
        Tlsa(0, 1, 1, bytes(32)),
        Tlsa(1, 1, 1, bytes(32)),
        Tlsa(4, 1, 1, bytes(32)),
        Tlsa(3, 2, 1, bytes(32)),
        Tlsa(3, 1, 3, bytes(32)),
        Tlsa(3, 1, 1, bytes(31)),
        Tlsa(3, 1, 2, bytes(32)),
    ],
)
def test_unusable(record: Tlsa) -> None:
    """Usages for the web, unknown numbers and digests of another length (RFC 7672 §3.1.3)."""
    assert usable([record]) == ()
    assert standing([record]) is Standing.UNUSABLE
    assert standing([record, Tlsa(2, 0, 0, b"whole")]) is Standing.USABLE


def test_absent() -> None:
    """No records, no demand."""
    assert standing([]) is Standing.ABSENT


def test_entity() -> None:
    """Only a DANE-EE record can be about the host's own certificate alone."""
    digest = SHA256(LEAF.key).digest()
    assert entity([Tlsa(2, 1, 1, digest), Tlsa(3, 1, 1, digest)], LEAF)
    assert not entity([Tlsa(2, 1, 1, digest)], LEAF)
    assert not entity([Tlsa(3, 1, 1, digest)], MIDDLE)


def test_anchors() -> None:
    """DANE-TA records name anchors anywhere in the chain, and DANE-EE records none."""
    chain = [LEAF, MIDDLE, ROOT]
    records = [Tlsa(2, 0, 0, ROOT.whole), Tlsa(2, 1, 1, SHA256(MIDDLE.key).digest())]
    assert anchors(records, chain) == (1, 2)
    assert anchors([Tlsa(3, 0, 0, ROOT.whole)], chain) == ()

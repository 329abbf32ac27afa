"""Mail that goes round is stopped; mail that has come a long way is not."""

from __future__ import annotations

import pytest

from mailhub.mail.address import Path
from mailhub.mail.header import Header
from mailhub.mail.reply import Refusal
from mailhub.policy.loop import HOPS_LIMIT, check_delivered_to, check_hops

ALICE = Path("alice", "hub.example")


def header(*fields: bytes) -> Header:
    return Header(b"".join(field + b"\r\n" for field in fields) + b"\r\n")


def test_hops() -> None:
    """So many hosts are borne, and not one more (RFC 5321 §6.3)."""
    assert HOPS_LIMIT >= 100
    hops = [b"Received: from a by b", b"received : x", b"RECEIVED:\r\n\tfolded"] * 34
    check_hops(header(*hops[:100]))
    with pytest.raises(Refusal) as caught:
        check_hops(header(*hops[:101]))
    assert caught.value.reply.text.startswith("554 5.4.6 ")


def test_other_fields_are_no_hops() -> None:
    """Talk of being received is not counted."""
    check_hops(
        header(*[b"X-Received: y", b"Subject: received: received:", b"A: b\r\n received: c"] * 99)
    )


@pytest.mark.parametrize(
    "field",
    [
        b"Delivered-To: alice@hub.example",
        b"DELIVERED-TO: Alice@HUB.example",
        b"Delivered-To:\r\n alice@hub.example",
    ],
)
def test_delivered_to(field: bytes) -> None:
    """What was in this mailbox before does not come in again."""
    with pytest.raises(Refusal) as caught:
        check_delivered_to(header(b"Subject: x", field), [Path("bob", "hub.example"), ALICE])
    assert caught.value.reply.text.startswith("554 5.4.6 ")


@pytest.mark.parametrize(
    "field",
    [
        b"Delivered-To: bob@hub.example",
        b"Delivered-To: alice+list@hub.example",
        b"Delivered-To: \xff\xfe",
        b"Delivered-To:",
        b"Subject: Delivered-To: alice@hub.example",
        b"To: alice@hub.example",
    ],
)
def test_delivered_elsewhere(field: bytes) -> None:
    """Another mailbox's mark, or none that can be read, is no loop."""
    check_delivered_to(header(field), [ALICE])

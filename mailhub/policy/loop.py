"""Mail that goes round in circles: found by the marks that each round leaves in the header."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mailhub.mail.address import Path, parse_address
from mailhub.mail.header import Header
from mailhub.mail.reply import Refusal
from mailhub.policy.rule import Rule

HOPS_LIMIT: Final = 100
"""Received fields above which a message is going round: at least 100 (RFC 5321 §6.3)."""
HOPS: Final = Rule("smtp", "hops")


def check_hops(header: Header, limit: int = HOPS_LIMIT) -> None:
    """Judge the number of hosts that a message came through.

    Raises:
        Refusal: 554 5.4.6, above `limit`.
    """
    # Nearly all mail passes the first, cheap question, which may only count too many.
    if header.block.lower().count(b"received") > limit and header.count(b"received") > limit:
        words = "Too many hops: this message is going round in a loop"
        raise Refusal(554, "4.6", words).by(HOPS)


def check_delivered_to(header: Header, paths: Iterable[Path]) -> None:
    """Judge whether a message was in one of these mailboxes before, and was sent on from there.

    The whole message is refused, so that nobody's copy is lost unsaid.

    Raises:
        Refusal: 554 5.4.6.
    """
    if b"delivered-to" not in header.block.lower():
        return
    before = {key for value in header.all(b"delivered-to") if (key := _key(value))}
    if any(path.key in before for path in paths):
        raise Refusal(554, "4.6", "Mail loop: this message was delivered here before")


def _key(value: bytes) -> str | None:
    try:
        return parse_address(value.decode("utf-8", "surrogateescape")).key
    except Refusal:
        return None

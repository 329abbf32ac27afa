"""What an attempt leaves behind: the facts of a journey, as values and as rows.

Nothing is judged or worded here; the spool keeps the rows, whoever draws a
journey reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.ports.outgoing import Attempt

ATTEMPTS_LIMIT: Final = 8
"""Connections kept of one outcome: the first and the latest tell the story."""

Row = tuple[float, float, str, str, int, str, str, int, str, str, int]
"""An `Attempt`'s facts, in the order of its attributes."""


@value(frozen=True, slots=True)
class Attempted:
    """One connection was tried for some of an item's recipients.

    Attributes:
        numbers: Which of the item's recipients it was for.
    """

    numbers: tuple[int, ...]
    attempt: Attempt


def bounded(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """All of them, or the first and the latest where there are too many."""
    if len(attempts) <= ATTEMPTS_LIMIT:
        return attempts
    return (attempts[0], *attempts[1 - ATTEMPTS_LIMIT :])


def to_row(attempt: Attempt) -> Row:
    """The facts as a database takes them."""
    return (
        attempt.started,
        attempt.ended,
        attempt.host,
        attempt.address,
        attempt.port,
        attempt.tls,
        attempt.certificate,
        int(attempt.reused),
        attempt.stage,
        reply_to_text(attempt.reply),
        int(attempt.in_doubt),
    )


def from_row(row: Row) -> Attempt:
    """The facts as they were."""
    started, ended, host, address, port, tls, certificate, reused, stage, reply, doubt = row
    return Attempt(
        started,
        ended,
        host,
        address,
        port,
        tls,
        certificate,
        bool(reused),
        stage,
        reply_from_text(reply),
        bool(doubt),
    )


def reply_to_text(reply: Reply) -> str:
    """A reply as one text: ``550 1.1`` and then its lines."""
    text = "\n".join((f"{reply.code} {reply.detail}", *reply.lines))
    if text.isascii():
        return text
    # A peer may have said octets that are no UTF-8; no database takes those as text.
    return text.encode("utf-8", "replace").decode()


def reply_from_text(text: str) -> Reply:
    """The reply that `reply_to_text` wrote."""
    first, *lines = text.split("\n")
    code, _, detail = first.partition(" ")
    return Reply(int(code), detail, tuple(lines))


def numbers_to_text(numbers: Iterable[int]) -> str:
    """Ascending numbers as runs: ``0-2,5``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == z else f"{a}-{z}" for a, z in runs)


def numbers_from_text(text: str) -> tuple[int, ...]:
    """The numbers that `numbers_to_text` wrote."""
    found: list[int] = []
    for run in filter(None, text.split(",")):
        first, _, last = run.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)

"""A journey as a message: what a sender finds in the mailbox of what was sent.

The same events give the same octets: what a client was told once stays true.
"""

from __future__ import annotations

import textwrap
from binascii import b2a_qp
from collections.abc import Iterator, Sequence
from typing import Final

from mailhub.mail.date import format_date
from mailhub.mail.header import make
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Event, Fated, State
from mailhub.queue.standing import Standing, standing
from mailhub.queue.timeline import text

LISTED: Final = 200
"""Recipients whose state is told one by one."""
LINES: Final = 1000
"""Lines of the story that are told: the latest."""
SUBJECT: Final = 3
"""Recipients that the subject names."""
WIDTH: Final = 96
"""Columns after which the story's lines are folded."""


def letter(queue_id: QueueId, events: Sequence[Event], host: str, number: int) -> bytes:
    """The message about a message, as it stands after these events.

    `host` is our name, `number` that of the last part of its journey: it tells this
    letter from earlier ones.
    """
    stands = standing(events)
    accepted = stands.accepted
    assert accepted is not None, "who knows nothing of a message does not write about it"
    about = accepted.message_id if accepted.message_id.startswith("<") else ""
    fields = [
        ("From", f"The queue of {host} <mailer-daemon@{host}>"),
        ("To", f"<{accepted.sender}>"),
        ("Subject", _subject(stands)),
        ("Date", format_date(accepted.at)),
        ("Message-ID", f"<{queue_id}.{number}@{host}>"),
        *((("In-Reply-To", about), ("References", about)) if about else ()),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "quoted-printable"),
    ]
    head = b"".join(make(name, value) for name, value in fields)
    body = "\n".join(_body(queue_id, events, stands)) + "\n"
    encoded = b2a_qp(body.encode("utf-8", "replace"), istext=True)
    return head + b"\r\n" + encoded.replace(b"\n", b"\r\n")


def _subject(stands: Standing) -> str:
    accepted = stands.accepted
    assert accepted is not None
    to = ", ".join(accepted.recipients[:SUBJECT])
    more = len(accepted.recipients) - SUBJECT
    return f"{stands.word}: {to}{f' and {more} more' if more > 0 else ''}: {accepted.subject}"


def _body(queue_id: QueueId, events: Sequence[Event], stands: Standing) -> Iterator[str]:
    accepted = stands.accepted
    assert accepted is not None
    sent = _moment(accepted.at)
    yield f"{stands.word}. Queue id {queue_id}, {accepted.size} octets, sent {sent}."
    yield ""
    for number, recipient in enumerate(accepted.recipients[:LISTED]):
        yield from _folded(f"<{recipient}>: {_fate(stands.fates.get(number))}", "", "    ")
    if len(accepted.recipients) > LISTED:
        yield f"... and {len(accepted.recipients) - LISTED} more."
    if stands.open:
        yield ""
        yield "To cancel what has not been sent yet, delete this message."
        yield "To get it back and change it, move this message to Drafts."
    yield ""
    yield "What has happened, the times in UTC:"
    yield ""
    story = list(text(events, _moment, rules=False))  # those are the operator's
    if len(story) > LINES:
        yield f"({len(story) - LINES} earlier lines are left out)"
    for line in story[-LINES:]:
        indent = " " * (len(line) - len(line.lstrip()))
        yield from _folded(line, "", f"{indent}    ")


def _fate(fate: Fated | None) -> str:
    """What has become of a recipient."""
    if fate is None or fate.state is State.RELEASED:
        return "to be sent now"
    words = f": {fate.reply}" if fate.reply else ""
    if fate.state is State.DEFERRED:
        return f"delayed, next attempt {_moment(fate.due)}{words}"
    return f"{fate.state.value} {_moment(fate.at)}{words}"


def _folded(line: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        line,
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def _moment(at: float) -> str:
    """A moment in UTC: the same wherever the hub runs, and whenever it is written."""
    day, month, year, clock = format_date(at).split()[1:5]
    return f"{day} {month} {year} {clock}"

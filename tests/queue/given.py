"""Items for the queue's tests: by hand, and by hypothesis."""

from __future__ import annotations

import sqlite3

from hypothesis import strategies as st

from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Body, DeliverBy, Envelope, Notify, Recipient, Return
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.ports.accounts import AccountId
from mailhub.ports.outgoing import Attempt, QueueId
from mailhub.queue.amend import START, At
from mailhub.queue.change import Amend, Due, Strand
from mailhub.queue.flow import COMMON, Flow
from mailhub.queue.ids import to_queue_id
from mailhub.queue.item import (
    Cancelled,
    Delivered,
    Expanded,
    Failed,
    Fate,
    Held,
    Item,
    Local,
    Origin,
    Pending,
    Relayed,
    cancel,
    new_item,
)
from mailhub.queue.spool import Spool


def sqlite_error(code: int, text: str) -> sqlite3.OperationalError:
    """What SQLite raises with a code."""
    made = sqlite3.OperationalError(text)
    made.sqlite_errorcode = code
    return made


NEVER = (-1.0, "")
"""The place of no strand, before all."""

SENDER = Path("alice", "hub.example")
BOB = Path("bob", "remote.example")
CAROL = Path("carol", "remote.example")
DAVE = Path("dave", "hub.example")

OK = Reply(250, "1.5", ("Ok",))
LATER = Reply(451, "7.1", ("Greylisted", "come back"))
NO = Reply(550, "1.1", ("No such user",))


def queue_id(number: int) -> QueueId:
    """Some queue id: greater for a greater number."""
    return to_queue_id((1 << 50) + number)


def item(
    *recipients: Recipient | Path,
    number: int = 1,
    sender: Path = SENDER,
    places: dict[int, Local] | None = None,
    arrived: float = 1000.0,
    content: bytes = b"Subject: x\r\n\r\nx\r\n",
    flow: Flow = COMMON,
    **envelope: object,
) -> Item:
    """A fresh item; remote recipients unless `places` says otherwise."""
    asked = tuple(r if isinstance(r, Recipient) else Recipient(r) for r in recipients)
    return new_item(
        queue_id(number),
        arrived,
        Envelope(sender, asked or (Recipient(BOB),), **envelope),  # type: ignore[arg-type]
        [(places or {}).get(n) for n in range(len(asked) or 1)],
        len(content),
        Origin("192.0.2.1", "client.example", "ESMTP", ""),
        flow=flow,
    )


def cancelled(item: Item) -> Item:
    """The item as an operator leaves it who cancels all of it."""
    return cancel(item, item.open, 1.0)


def strands(spool: Spool, now: float) -> list[Strand]:
    """Every strand that is due."""
    return [
        strand for flow, _ in spool.awaited() for strand in spool.strands(flow, now, NEVER, 1000)
    ]


def due(spool: Spool, now: float) -> list[Due]:
    """Every recipient that is due, found as the runner finds them."""
    return [
        each
        for strand in strands(spool, now)
        for each in spool.due(strand.flow, strand.domain, now, 1000)
    ]


def amended(spool: Spool, change: Amend, limit: int = 5000) -> int:
    """Make an amendment to its end; how many it was for."""
    total = 0
    at: At | None = START
    while at is not None:
        count, at = spool.amend(change, at, limit)
        total += count
    return total


def attempt(
    host: str = "mx.remote.example", reply: Reply = LATER, started: float = 1000.0
) -> Attempt:
    """Some attempt's facts."""
    return Attempt(
        started, started + 1, host, "192.0.2.25", 25, "TLSv1.3 X", "verified", False, "rcpt", reply
    )


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
moments = st.floats(0, 1e10)
replies = st.builds(
    Reply,
    st.sampled_from([250, 251, 421, 450, 452, 550, 552, 554]),
    st.sampled_from(["", "0.0", "1.1", "7.26"]),
    st.lists(texts, min_size=1, max_size=3).map(tuple),
)
pendings = st.builds(
    Pending,
    moments,
    st.integers(1, 50),
    st.none() | replies,
    texts,
    st.booleans(),
    st.none() | st.sampled_from(Cause),
    route=texts,
)
fates: st.SearchStrategy[Fate] = st.one_of(
    st.builds(Pending, moments),
    pendings,
    st.builds(Held, pendings, texts),
    st.builds(Delivered, replies, moments),
    st.builds(Relayed, replies, moments, texts, st.booleans()),
    st.builds(Expanded, replies, moments),
    st.builds(Failed, replies, moments, texts, st.booleans()),
    st.builds(Cancelled, moments),
)
paths = st.sampled_from(
    [BOB, CAROL, DAVE, Path("Łukasz", "xn--80ak6aa92e.example"), Path("x y", "[192.0.2.9]")]
)
recipients = st.builds(
    Recipient,
    paths,
    st.none()
    | st.sampled_from(
        [Notify.NEVER, Notify.SUCCESS, Notify.SUCCESS | Notify.DELAY, Notify.FAILURE]
    ),
    st.none() | st.just("rfc822;bob+40x"),
)
places = st.none() | st.builds(
    Local, st.integers(1, 9).map(AccountId), st.sampled_from(["INBOX", "Junk"])
)


wishes = st.one_of(
    st.tuples(st.integers(1, 1 << 30), st.none()),
    st.tuples(st.none(), st.none() | st.floats(2e10, 3e10)),
)
"""For how long, or until when, a message is to be held."""


@st.composite
def items(draw: st.DrawFn, fate: st.SearchStrategy[Fate] = fates) -> Item:
    """Any item."""
    rows = draw(st.lists(st.tuples(recipients, places, fate), min_size=1, max_size=5))
    hold_for, hold_until = draw(wishes)
    envelope = Envelope(
        draw(st.sampled_from([NULL, SENDER, Path("grüße", "hub.example")])),
        tuple(recipient for recipient, _, _ in rows),
        draw(st.sampled_from(Body)),
        draw(st.none() | st.sampled_from(Return)),
        draw(st.none() | st.just("QQ+3D1")),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.none() | st.integers(0, 1 << 40)),
        hold_for,
        hold_until,
        draw(st.none() | st.builds(DeliverBy, st.integers(-9, 9), st.booleans(), st.booleans())),
        draw(st.none() | st.integers(-9, 9)),
    )
    return Item(
        to_queue_id(draw(st.integers(1, (1 << 60) - 1))),
        draw(moments),
        envelope,
        draw(st.integers(0, 1 << 40)),
        tuple(place for _, place, _ in rows),
        tuple(each for _, _, each in rows),
        draw(st.builds(Origin, texts, texts, texts, texts)),
        draw(st.binary(max_size=20)),
        draw(st.builds(Flow, texts, texts, st.integers(-9, 9))),
    )

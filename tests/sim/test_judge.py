"""The judge catches what is wrong: faults put into the code on purpose."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Reply
from mailhub.net.conversation import Conversation
from mailhub.net.journal import Journal
from mailhub.policy import loop
from mailhub.policy import pace as pacing
from mailhub.ports.filing import Filing
from mailhub.ports.message import Content
from mailhub.ports.outgoing import Outcome, QueueId
from mailhub.ports.store import StoreRefused
from mailhub.queue.item import Delivered, Item, Relayed
from mailhub.queue.spool import Spool
from mailhub.queue.telling import Action, to_report
from mailhub.relay import allowances, pool, report
from mailhub.relay.local import LocalDelivery
from mailhub.relay.remote import Remote
from mailhub.relay.report import Reporter
from mailhub.relay.traffic import Gate, Traffic
from mailhub.sim.disk import FaultyDisk, _Followed
from mailhub.sim.manners import Manners
from mailhub.sim.providers import Providers
from mailhub.sim.world import World
from mailhub.smtp import session
from mailhub.smtp.handover import CLIENT_LIMITS
from mailhub.store.account import AccountStore
from mailhub.store.box import Box
from mailhub.store.filing import MaildirFiler
from mailhub.store.mailbox import SharedMailbox
from tests.sim.cycle import Letter, Pair, cycle
from tests.sim.harms import power
from tests.sim.test_pace import LIMITS, letters

Patch = pytest.MonkeyPatch


def told(found: Sequence[str], words: str) -> bool:
    """Whether one of the faults is this."""
    return any(words in fault for fault in found)


def run(*, letters: Sequence[Letter] = (), text: str = "") -> tuple[Pair, list[str]]:
    """A cycle in which nothing goes wrong but what is wrong in the code; its verdict."""
    with World(1) as world:
        pair = Pair(world, text)
        if letters:
            pair.send(pair.hubs[0], tuple(letters))
        else:
            pair.send(pair.hubs[0])
        pair.settle()
        return pair, pair.judge.verdict()


# ---- What a loss of power reveals ----------------------------------------------------------

MOMENTS = (60.0, 0.45, 0.6, 0.9, 0.35, 0.25, 0.2, 2.0, 5.0)
"""Seconds from the first letter to the loss of power."""


def after_power_cuts() -> Iterator[list[str]]:
    """Verdicts of cycles in which a hub loses its power, while it cannot reach the other one."""
    for seconds in MOMENTS:
        with World(f"power {seconds}") as world:
            pair = Pair(world)
            one, other = (hub.host for hub in pair.hubs)
            world.network.cut(one, other)
            pair.send(pair.hubs[0])
            world.run(seconds)
            pair.hubs[0].crash(power=True)
            pair.judge.disturbed()
            world.run(60)
            world.network.mend(one, other)
            pair.settle()
            yield pair.judge.verdict()


def lost_by_power() -> bool:
    """Whether anything is lost, or not whole, by one of these cuts."""
    return any(told(found, "lost") or told(found, "not whole") for found in after_power_cuts())


def test_nothing_is_wrong() -> None:
    """Power cuts are survived."""
    assert [fault for found in after_power_cuts() for fault in found] == []


SYNCS = {
    "content of a large message": r"spool/content/../\w+",
    "directory of large messages": r"spool/content(/..)?",
    "message in a maildir": r"mail/.*/(new|cur)/.+",
    "directory new": r"mail/.*/new",
    "directory of an account": r"mail/[^/]+/ann",
    "directory of a domain": r"mail(/[^/]+)?",
}


@pytest.mark.parametrize("kind", SYNCS)
def test_a_dropped_sync(monkeypatch: Patch, kind: str) -> None:
    """A sync that is not made, of each kind: after a power cut something is lost."""
    honest = FaultyDisk._synced
    dropped = 0

    def lying(self: FaultyDisk, path: bytes) -> None:
        nonlocal dropped
        if re.fullmatch(SYNCS[kind], os.path.relpath(os.fsdecode(path), os.fsdecode(self.root))):
            dropped += 1
        else:
            honest(self, path)

    monkeypatch.setattr(FaultyDisk, "_synced", lying)
    assert lost_by_power()
    assert dropped


def test_a_commit_without_a_sync(monkeypatch: Patch) -> None:
    """The spool's commits are not synced: lost."""
    honest = _Followed.execute

    def careless(self: _Followed, sql: str, parameters: Any = ()) -> Any:
        return honest(self, sql.replace("synchronous=FULL", "synchronous=NORMAL"), parameters)

    monkeypatch.setattr(_Followed, "execute", careless)
    assert lost_by_power()


def test_forgotten_before_it_is_durable(monkeypatch: Patch) -> None:
    """The spool forgets what was never synced in its mailbox: lost."""
    monkeypatch.setattr(MaildirFiler, "_sync", lambda *_: None)
    assert lost_by_power()


def test_a_mailbox_that_is_not_synced(monkeypatch: Patch) -> None:
    """A message that is moved within an account is in neither mailbox after a power cut."""
    honest = FaultyDisk._synced

    def lying(self: FaultyDisk, path: bytes) -> None:
        if not path.endswith(b"/cur"):
            honest(self, path)

    monkeypatch.setattr(FaultyDisk, "_synced", lying)
    calls = cycle("reading", 0, 0, power("nothing")).calls
    last = [number for number, call in enumerate(calls, 1) if call.name == "rename"]
    found = [cycle("reading", 0, number, power("nothing")).wrong for number in last[-6:]]
    assert any(found)


@cache
def commits() -> tuple[int, ...]:
    """The commits of the spool in a cycle: the numbers of their calls."""
    calls = cycle("mail", 0, 0, power("nothing")).calls
    return tuple(
        number
        for number, call in enumerate(calls, 1)
        if (call.name, call.path) == ("commit", "spool/spool.db")
    )


def lost_at_commits() -> bool:
    """Whether anything is lost by a loss of power at one of the spool's commits."""
    harm = power("nothing")
    return any(told(cycle("mail", 0, number, harm).wrong, "lost") for number in commits())


def test_250_before_the_commit(monkeypatch: Patch) -> None:
    """The sender is told before it is true: seen at once, and lost if the power fails."""
    commits()
    honest = Journal.accept

    async def hasty(self: Journal, *arguments: Any) -> None:
        Deferred.fromCoroutine(honest(self, *arguments)).addErrback(lambda _: None)

    monkeypatch.setattr(Journal, "accept", hasty)
    assert told(run()[1], "which is nowhere")
    assert lost_at_commits()


def test_a_recipient_forgotten(monkeypatch: Patch) -> None:
    """A start after a crash forgets somebody: lost."""
    commits()
    honest = Spool.recover

    def forgetful(self: Spool, boot_id: str) -> int:
        with self._database.transaction(patient=True):
            self._database.execute("DELETE FROM recipient WHERE state IN (0, 2)")
        self._database.commit()
        return honest(self, boot_id)

    monkeypatch.setattr(Spool, "recover", forgetful)
    assert lost_at_commits()


# ---- What shows by itself ------------------------------------------------------------------


def test_settled_before_the_reply(monkeypatch: Patch) -> None:
    """A relay that takes a message for delivered before the next hop has said so: lost."""

    async def hasty(self: Remote, hop: object, envelope: Envelope, content: Content) -> Outcome:
        del self, hop, content
        return Outcome((Reply(250, "0.0", ("Ok",)),) * len(envelope.recipients), ())

    monkeypatch.setattr(Remote, "deliver", hasty)
    assert told(run()[1], "small to ann@other.example: lost")


def test_a_bounce_for_one_that_was_delivered(monkeypatch: Patch) -> None:
    """Whoever got it is reported as failed."""
    honest = to_report

    def wrong(before: Item | None, after: Item) -> dict[int, Action]:
        here = {
            number: Action.FAILED
            for number, fate in enumerate(after.fates)
            if isinstance(fate, Relayed | Delivered)
        }
        return {**honest(before, after), **(here if after.envelope.reverse_path else {})}

    monkeypatch.setattr(report, "to_report", wrong)
    assert told(run()[1], "bounced and delivered")


def test_two_bounces(monkeypatch: Patch) -> None:
    """A failure is reported twice."""
    honest = Reporter.reports

    async def twice(self: Reporter, *arguments: Any) -> Any:
        return [*await honest(self, *arguments), *await honest(self, *arguments)]

    monkeypatch.setattr(Reporter, "reports", twice)
    assert told(run()[1], "small to nobody@other.example: bounced 2 times")


def test_a_bounce_of_what_comes_from_nobody(monkeypatch: Patch) -> None:
    """A null reverse-path is never reported to: somebody invented a sender."""
    honest = Reporter.reports

    async def to_ann(self: Reporter, before: Item | None, after: Item, content: Content) -> Any:
        ann = replace(after.envelope.recipients[0].path, local="ann", domain="one.example")
        sender = replace(after, envelope=replace(after.envelope, reverse_path=ann))
        return await honest(self, before, sender, content)

    monkeypatch.setattr(Reporter, "reports", to_ann)
    letter = ("from nobody", "", ("nobody@other.example",))
    assert told(run(letters=[letter])[1], "bounced to nobody")


ROUND = """
[route round]
host = mx.{}.example:25
recipients = round.example
tls = none
"""


def gone_round() -> list[str]:
    """The verdict of two hubs each of which takes the other for the next hop."""
    with World(1) as world:
        pair = Pair(
            world,
            ROUND.format("other"),
            ROUND.format("one"),
            trusted="198.18.0.0/15, 198.19.255.1/32",
            hops=LIMIT,
        )
        for intake in (hub.parts.intake for hub in pair.hubs):
            intake.limits = replace(intake.limits, hops=LIMIT - 2)
        pair.send(pair.hubs[0], (("round", "ann@one.example", ("ann@round.example",)),))
        world.run(3)
        return pair.judge.verdict()


LIMIT = 10
"""Received fields of a message whose hops were counted, and that was bounced then."""


def test_a_loop(monkeypatch: Patch) -> None:
    """Hops that nobody counts."""
    assert gone_round() == []
    monkeypatch.setattr(loop, "check_hops", lambda *_: None)
    assert told(gone_round(), "went round")


def test_filed_twice(monkeypatch: Patch) -> None:
    """A message is put into a mailbox twice."""
    honest = LocalDelivery._file

    async def twice(
        self: LocalDelivery, filings: Sequence[Filing]
    ) -> Sequence[StoreRefused | None]:
        await honest(self, [replace(it, unique=QueueId(f"{it.unique}x")) for it in filings])
        return await honest(self, filings)

    monkeypatch.setattr(LocalDelivery, "_file", twice)
    assert told(run()[1], "alone to ann@one.example: 2 copies")


def test_sent_after_it_was_cancelled(monkeypatch: Patch) -> None:
    """Somebody is told that his message is cancelled, and it leaves all the same."""
    monkeypatch.setattr(Spool, "amend", lambda *_: (1, None))
    found = cycle("recalling", 0, 0, power("nothing")).wrong
    assert told(found, "expunged to expunged@far.example: sent after it was cancelled")
    assert told(found, "dropped to dropped@far.example: sent after it was cancelled")


def test_refused_and_delivered() -> None:
    """Whoever was refused must not get anything."""
    pair, found = run()
    assert found == []
    pair.judge.sent["<alone@judge.example>"].refused = ("ann@one.example",)
    assert told(pair.judge.verdict(), "refused, and delivered")


# ---- The order of replies ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "other", "words"),
    [
        ("_SENDER_OK", "_RECIPIENT_OK", "MAIL <ann@one.example> is answered with 250 2.1.5"),
        ("_RECIPIENT_OK", "_SENDER_OK", "is answered with 250 2.1.0 Sender ok, which is another's"),
    ],
)
def test_replies_that_are_swapped(monkeypatch: Patch, name: str, other: str, words: str) -> None:
    """A hub that gives a command another one's reply."""
    monkeypatch.setattr(session, name, getattr(session, other))
    assert told(run()[1], words)


def test_replies_that_overtake_each_other(monkeypatch: Patch) -> None:
    """A hub that answers what was pipelined in another order than it was asked."""
    honest = Conversation._flush

    def backwards(self: Any) -> None:
        first, *rest = b"".join(self._out).splitlines(keepends=True) or [b""]
        if rest and first.startswith(b"250 2.1.0"):
            self._out = [*rest, first]
        honest(self)

    monkeypatch.setattr(Conversation, "_flush", backwards)
    assert told(run()[1], "is answered with")


# ---- The pace ------------------------------------------------------------------------------


def too_fast(number: int = 12, recipients: int = 1) -> list[str]:
    """The verdict of a hub that has much to send, and little leave to."""
    with World(3) as world:
        pair = Pair(world, LIMITS)
        Providers(world, pair.judge).add(
            Manners("Far", domains=("far.example",), exchanges=("mx.far.example",))
        )
        pair.send(pair.hubs[0], letters(number, recipients))
        world.run(900)
        return pair.judge.verdict()


def test_too_many_in_a_minute(monkeypatch: Patch) -> None:
    """Slots that are given away before their time."""
    assert too_fast() == []
    monkeypatch.setattr(pacing, "slot", lambda _, __, now: now)
    assert told(too_fast(), "to far in 60 s: 8, where 7 may be")


def test_transactions_that_nobody_counts(monkeypatch: Patch) -> None:
    """Only the first transaction of each message is counted."""
    assert too_fast(6, 9) == []
    monkeypatch.setattr(Gate, "begins", lambda *_: None)
    assert told(too_fast(6, 9), "to far in 60 s: 8, where 7 may be")


def test_too_many_recipients(monkeypatch: Patch) -> None:
    """A limit of the configuration's that nobody obeys; and one of messages on a connection."""
    monkeypatch.setattr(pool.Link, "_limits", lambda _: CLIENT_LIMITS)
    monkeypatch.setattr(Gate, "begins", lambda *_: None)
    found = too_fast(8, 9)
    assert told(found, "to far: recipients: 5, where 4 may be")
    assert told(found, "to far: messages: 4, where 3 may be")


def test_too_many_connections(monkeypatch: Patch) -> None:
    """More are made than there may be."""
    monkeypatch.setattr(Traffic, "limits_of", lambda *_: pacing.Limits(9))
    assert told(too_fast(), "to far: connections: 3, where 2 may be")


def test_an_account_that_sends_too_much(monkeypatch: Patch) -> None:
    """What an account sends is not counted."""
    monkeypatch.setattr(allowances.Allowances, "_exceeded", lambda *_: None)
    with World(1) as world:
        pair = Pair(world, "[limit accounts]\nmessages per hour = 3\n")
        these = [(f"m{it}", "ann@one.example", ("ann@other.example",)) for it in range(5)]
        pair.submit(pair.hubs[0], tuple(these))
        world.run(60)
        words = "ann@one.example in messages per hour: 4, where 3 may be"
        assert told(pair.judge.verdict(), words)


# ---- Mailboxes -----------------------------------------------------------------------------


def tampered(change: Callable[[Path, bytes], None], *, seen: bool = False) -> list[str]:
    """The verdict where each file that has come to an INBOX is changed behind our backs."""
    with World(1) as world:
        pair = Pair(world)
        pair.send(pair.hubs[0])
        world.run(60)
        if seen:
            pair.judge.look(pair.hubs[0])
        for path in sorted(Path(pair.hubs[0].state).glob("mail/*/ann/[nc][eu][wr]/*")):
            change(path, path.read_bytes())
        return pair.judge.verdict()


def test_a_second_copy() -> None:
    """Whatever is there twice without a doubt is told, and so is a second notice."""

    def again(path: Path, octets: bytes) -> None:
        other = octets.replace(b"Message-ID: <c", b"Message-ID: <C")
        path.with_name("1.again.example").write_bytes(octets)
        path.with_name("2.again.example").write_bytes(other)

    found = tampered(lambda path, octets: again(path, octets) if b"failed" in octets else None)
    assert told(found, "2 copies")
    assert "small to nobody@other.example: bounced 2 times" in found


def test_half_of_one() -> None:
    """What is not whole is told, by whichever protocol it is read."""

    def halve(path: Path, octets: bytes) -> None:
        path.write_bytes(octets[:-9] + bytes(9))

    found = [fault for fault in tampered(halve) if "not whole" in fault]
    assert told(found, "INBOX")
    assert told(found, "by POP3")


def test_written_in_place(monkeypatch: Patch) -> None:
    """A message that is visible before all of it is there."""
    honest = LocalDelivery._file

    async def halves(
        self: LocalDelivery, filings: Sequence[Filing]
    ) -> Sequence[StoreRefused | None]:
        cut = [
            replace(it, content=it.content[:-40], size=it.size - 40)
            if isinstance(it.content, bytes)
            else it
            for it in filings
        ]
        return await honest(self, cut)

    monkeypatch.setattr(LocalDelivery, "_file", halves)
    assert told(run()[1], "is not whole")


def test_another_under_the_same_name() -> None:
    """What was seen under a UID, and a unique-id, is another message later."""
    wrong = b"Subject: other\r\nMessage-ID: <other@x>\r\n\r\n"

    def other(path: Path, octets: bytes) -> None:
        path.write_bytes(wrong + bytes(len(octets) - len(wrong) - 4) + b"--\r\n")

    found = tampered(other, seen=True)
    assert told(found, "INBOX")
    assert told(found, "by POP3: under")
    assert told(found, "is another message than there was")


def test_a_uid_used_twice(monkeypatch: Patch) -> None:
    """A mailbox that gives out again what it gave before."""
    monkeypatch.setattr(Box, "allocate", lambda self, count: self.kept.uid_next)
    found = run()[1]
    assert told(found, "INBOX")


def test_one_that_is_gone() -> None:
    """What is not there is lost."""
    found = tampered(lambda path, _: path.unlink())
    assert "alone to ann@one.example: lost" in found


@pytest.mark.parametrize(
    ("part", "name"),
    [(AccountStore, "synced"), (SharedMailbox, "_settle"), (MaildirFiler, "settle")],
    ids=["the log of flags", "the message of flags", "what is appended"],
)
def test_a_store_that_is_not_durable(monkeypatch: Patch, part: type, name: str) -> None:
    """OK is said to STORE before a sync that it needs."""

    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr(part, name, nothing)
    # Somewhere behind OK, and before the next sync, the power fails.
    assert any(cycle("marking", 0, call, power("nothing")).wrong for call in range(46, 130, 11))

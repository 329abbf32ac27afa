"""Items and fates: transitions, what is to be reported, queue ids."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.envelope import DeliverBy, Notify, Recipient
from mailhub.policy.cause import Cause
from mailhub.policy.retry import DAY, HOUR, MINUTE, Schedule
from mailhub.ports.accounts import AccountId
from mailhub.queue import item as queue
from mailhub.queue.item import (
    Answer,
    Cancelled,
    Delivered,
    Failed,
    Held,
    Item,
    Local,
    Pending,
    Relayed,
    attempted,
)
from mailhub.queue.telling import Action, to_report
from tests.queue import given as make
from tests.queue.given import BOB, CAROL, DAVE, LATER, NO, OK

SCHEDULE = Schedule(jitter=0.0)
HERE = Local(AccountId(4))
answers = st.builds(
    Answer,
    make.replies,
    make.texts,
    st.booleans(),
    cause=st.none() | st.sampled_from(Cause),
)


def is_open(item: Item, number: int) -> bool:
    return isinstance(item.fates[number], Pending | Held)


class TestItem:
    def test_a_fate_for_each(self) -> None:
        """An item whose recipients, places and fates do not match cannot be made."""
        with pytest.raises(ValueError, match="for each recipient"):
            replace(make.item(BOB), fates=())

    def test_who_is_to_be_served_how(self) -> None:
        """Fresh local ones are to be filed at once, pending remote ones attempted."""
        item = make.item(BOB, DAVE, CAROL, places={1: HERE})
        assert (item.local, item.remote, item.open) == ((1,), (0, 2), (0, 1, 2))
        deferred = attempted(item, {1: Answer(LATER)}, 1001.0, SCHEDULE)
        assert deferred.local == ()
        held = queue.hold(item, [0], "")
        assert held.remote == (2,)

    def test_a_next_hop_is_offered_its_own_recipients(self) -> None:
        """The envelope for some of the recipients keeps all else."""
        item = make.item(BOB, DAVE, CAROL, envid="x")
        envelope = queue.addressed(item, (0, 2), 1000.0)
        assert [r.path for r in envelope.recipients] == [BOB, CAROL]
        assert (envelope.envid, envelope.reverse_path) == ("x", item.envelope.reverse_path)


class TestAttempted:
    def test_relayed(self) -> None:
        """Accepted by the next hop, the recipient is settled, and who reports is noted."""
        after = attempted(make.item(BOB), {0: Answer(OK, "mx", dsn=True)}, 1001.0, SCHEDULE)
        assert after.fates == (Relayed(OK, 1001.0, "mx", dsn=True),)
        assert after.settled

    def test_delivered(self) -> None:
        """A mailbox of ours is final delivery."""
        item = make.item(DAVE, places={0: HERE})
        assert attempted(item, {0: Answer(OK)}, 1001.0, SCHEDULE).fates == (Delivered(OK, 1001.0),)

    def test_failed(self) -> None:
        """A permanent reply ends it at the first attempt."""
        after = attempted(make.item(BOB), {0: Answer(NO, "mx")}, 1001.0, SCHEDULE)
        assert after.fates == (Failed(NO, 1001.0, "mx"),)

    def test_deferred(self) -> None:
        """A temporary reply makes it wait as the schedule says; the others stay as they were."""
        item = make.item(BOB, CAROL)
        after = attempted(item, {0: Answer(LATER, "mx")}, 1001.0, SCHEDULE)
        assert after.fates == (Pending(1001.0 + MINUTE, 1, LATER, "mx"), item.fates[1])

    def test_warned(self) -> None:
        """The first failure at or after the warning's moment is the one that warns."""
        item = make.item(BOB)
        for now, warned in ((1000.0, False), (1000 + 4 * HOUR, True), (1000 + 5 * HOUR, True)):
            before, item = item, attempted(item, {0: Answer(LATER)}, now, SCHEDULE)
            [fate] = item.fates
            assert isinstance(fate, Pending)
            assert fate.warned is warned
            expected = {0: Action.DELAYED} if now == 1000 + 4 * HOUR else {}
            assert to_report(before, item) == expected

    def test_expired(self) -> None:
        """After its lifetime a temporary reply is final, and known to be no more than that."""
        now = 1000 + 5 * DAY
        item = replace(make.item(BOB), fates=(Pending(now, 7),))
        after = attempted(item, {0: Answer(LATER, "mx")}, now, SCHEDULE)
        assert after.fates == (Failed(LATER, now, "mx", expired=True),)

    def test_put_off(self) -> None:
        """What was not attempted is no attempt, comes again when it may, and ends in time."""
        item = make.item(BOB)
        again = Answer(LATER, again=1500.0)
        after = attempted(item, {0: again}, 1001.0, SCHEDULE)
        assert after.fates == (Pending(1500.0, 0, LATER),)
        far = Answer(LATER, again=item.arrived + 30 * DAY)
        warning = item.arrived + SCHEDULE.warning
        [fate] = attempted(item, {0: far}, 1001.0, SCHEDULE).fates
        assert fate == Pending(warning, 0, LATER)
        warned = attempted(item, {0: far}, warning, SCHEDULE)
        assert warned.fates == (Pending(item.arrived + SCHEDULE.lifetime, 0, LATER, warned=True),)
        ended = attempted(warned, {0: far}, item.arrived + SCHEDULE.lifetime, SCHEDULE)
        assert isinstance(ended.fates[0], Failed)

    def test_a_clock_gives_nothing_up(self) -> None:
        """Few attempts in a long time mean that the machine slept, or that its clock was set."""
        item = make.item(BOB)
        for _ in range(SCHEDULE.least - 1):
            item = attempted(item, {0: Answer(LATER)}, 1000 + 9 * DAY, SCHEDULE)
            assert isinstance(item.fates[0], Pending)
        assert attempted(item, {0: Answer(LATER)}, 1000 + 9 * DAY, SCHEDULE).settled

    def test_a_moment_of_its_own(self) -> None:
        """Time runs from the moment that the sender wanted it released, and not from arrival."""
        item = make.item(BOB, DAVE, places={1: HERE}, hold_for=9 * int(DAY))
        assert item.release == 1000 + 9 * DAY
        assert item.fates == (Pending(item.release), Pending(item.release, put_off=True))
        assert item.local == ()
        after = attempted(item, {0: Answer(LATER)}, item.release, SCHEDULE)
        assert after.fates[0] == Pending(item.release + MINUTE, 1, LATER)

    def test_late_is_failed(self) -> None:
        """By-mode R: the deadline is an attempt's moment, and a failure there is final."""
        by = DeliverBy(90, returned=True)
        item = make.item(BOB, by=by)
        assert not queue.is_late(item, 1089.0)
        after = attempted(item, {0: Answer(LATER)}, 1040.0, SCHEDULE)
        assert isinstance(after.fates[0], Pending)
        assert after.fates[0].due == 1090.0
        assert queue.is_late(after, 1090.0)
        assert attempted(after, {0: Answer(LATER)}, 1090.0, SCHEDULE).settled
        assert queue.addressed(item, (0,), 1040.0).by == DeliverBy(50, returned=True)

    def test_late_is_told(self) -> None:
        """By-mode N: its sender hears of the delay, and it is tried on."""
        item = make.item(BOB, by=DeliverBy(90, returned=False))
        assert not queue.is_late(item, 1100.0)
        after = attempted(item, {0: Answer(LATER)}, 1090.0, SCHEDULE)
        assert to_report(item, after) == {0: Action.DELAYED}

    def test_nobody_watches_the_time_from_here(self) -> None:
        """A sender who set a time hears of the relay that does not know of it."""
        item = make.item(BOB, by=DeliverBy(90, returned=False))
        after = attempted(item, {0: Answer(OK, "mx")}, 1001.0, SCHEDULE)
        assert to_report(item, after) == {0: Action.RELAYED}
        silent = make.item(Recipient(BOB, Notify.NEVER), by=DeliverBy(90, returned=False))
        after = attempted(silent, {0: Answer(OK, "mx")}, 1001.0, SCHEDULE)
        assert to_report(silent, after) == {}
        plain = make.item(BOB, by=DeliverBy(90, returned=True))
        after = attempted(plain, {0: Answer(OK, "mx")}, 1001.0, SCHEDULE)
        assert to_report(plain, after) == {}

    def test_a_cause_has_its_own_delays(self) -> None:
        """A full mailbox is emptied by a person: that takes hours."""
        said = {0: Answer(LATER, cause=Cause.MAILBOX_FULL)}
        [fate] = attempted(make.item(BOB), said, 1000.0, SCHEDULE).fates
        assert fate == Pending(1000 + HOUR, 1, LATER, cause=Cause.MAILBOX_FULL)

    def test_held_meanwhile(self) -> None:
        """An attempt under way settles a held recipient, or leaves it held; it never expires."""
        item = queue.hold(make.item(BOB), [0], "why")
        assert attempted(item, {0: Answer(OK)}, 1001.0, SCHEDULE).settled
        assert attempted(item, {0: Answer(NO)}, 1001.0, SCHEDULE).settled
        late = attempted(item, {0: Answer(LATER)}, 1000 + 6 * DAY, SCHEDULE)
        [fate] = late.fates
        assert isinstance(fate, Held)
        assert (fate.why, fate.pending.attempts, fate.pending.warned) == ("why", 1, False)

    def test_held_and_put_off(self) -> None:
        """One that is held meanwhile may be put off long after its time was over."""
        item = queue.hold(make.item(BOB), [0], "why")
        late = 1000 + 6 * DAY
        [fate] = attempted(item, {0: Answer(LATER, again=late + 60)}, late, SCHEDULE).fates
        assert fate == Held(Pending(late + 60, 0, LATER), "why")

    @given(make.items(), st.dictionaries(st.integers(0, 4), answers), make.moments)
    def test_settled_is_settled(self, item: Item, said: dict[int, Answer], now: float) -> None:
        """No answer changes a settled fate: it is refused, and with it the whole attempt."""
        said = {n: a for n, a in said.items() if n < len(item.fates)}
        if all(is_open(item, n) for n in said):
            after = attempted(item, said, now, SCHEDULE)
            assert all(after.fates[n] == fate for n, fate in enumerate(item.fates) if n not in said)
        else:
            with pytest.raises(ValueError, match="settled already"):
                attempted(item, said, now, SCHEDULE)


class TestHeldBack:
    """An answer may say that a recipient is to wait for the operator."""

    def test_held(self) -> None:
        """Then it is neither attempted nor given up, however long that takes."""
        before = make.item(BOB, CAROL)
        answers = {0: Answer(NO, held="on a list"), 1: Answer(OK, "mx", dsn=True)}
        after = attempted(before, answers, 1e9, SCHEDULE)
        assert after.fates == (
            Held(Pending(1000.0), "on a list"),
            Relayed(OK, 1e9, "mx", dsn=True),
        )
        assert to_report(before, after) == {}

    def test_held_already(self) -> None:
        """Why it was held first, stays."""
        before = queue.hold(make.item(BOB), (0,), "by hand")
        assert attempted(before, {0: Answer(NO, held="on a list")}, 1e9, SCHEDULE) == before


class TestByOperators:
    def test_hold_and_release(self) -> None:
        """What is held waits, keeps its history, and is due when released."""
        item = attempted(make.item(BOB, CAROL), {0: Answer(LATER)}, 1001.0, SCHEDULE)
        held = queue.hold(item, [0, 1], "suspicious")
        assert held.fates[0] == Held(item.fates[0], "suspicious")  # type: ignore[arg-type]
        assert queue.hold(held, [0], "again") == held
        released = queue.release(held, [0], 2000.0)
        assert released.fates == (Pending(2000.0, 1, LATER), held.fates[1])
        assert queue.release(item, [0], 2000.0) == item

    def test_flush(self) -> None:
        """What was to wait is due; what is due already does not come later."""
        item = attempted(make.item(BOB, CAROL), {0: Answer(LATER)}, 1001.0, SCHEDULE)
        flushed = queue.flush(item, [0, 1], 1010.0)
        assert [fate.due for fate in flushed.fates if isinstance(fate, Pending)] == [1010.0, 1000.0]

    @given(make.items(), make.moments)
    def test_cancel(self, item: Item, now: float) -> None:
        """Cancelling settles what is open, and nothing else, and nobody is told."""
        after = queue.cancel(item, range(len(item.fates)), now)
        assert after.settled
        assert to_report(item, after) == {}
        for before, fate in zip(item.fates, after.fates, strict=True):
            opened = isinstance(before, Pending | Held)
            assert fate == (Cancelled(now) if opened else before)

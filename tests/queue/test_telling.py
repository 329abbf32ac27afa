"""What senders are told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import NULL
from mailhub.mail.envelope import Notify, Recipient
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.policy.retry import DAY, HOUR, Schedule
from mailhub.queue import item as queue
from mailhub.queue.item import Answer, Delivered, Expanded, Failed, Item, Pending, attempted
from mailhub.queue.telling import Action, lost, to_report, to_tell
from tests.queue import given as make
from tests.queue.given import BOB, DAVE, LATER, NO, OK

SCHEDULE = Schedule(jitter=0.0)
answers = st.builds(
    Answer, make.replies, make.texts, st.booleans(), cause=st.none() | st.sampled_from(Cause)
)


@given(make.items(st.builds(Pending, make.moments)), st.data())
def test_a_failure_is_reported_once(item: Item, data: st.DataObject) -> None:
    """Over a whole life each failure is told in one step, none twice, none to NULL."""
    told: list[int] = []
    now = item.arrived
    while not item.settled:
        said = {n: data.draw(answers) for n in item.open}
        now += data.draw(st.floats(1, 2 * DAY))
        after = attempted(item, said, now, SCHEDULE)
        told += [n for n, a in to_report(item, after).items() if a is Action.FAILED]
        assert to_report(after, after) == {}
        item = after
    failed = {
        n
        for n, fate in enumerate(item.fates)
        if isinstance(fate, Failed)
        and item.envelope.reverse_path != NULL
        and item.envelope.recipients[n].notify in (None, Notify.FAILURE)
    }
    assert sorted(told) == sorted(failed)


@pytest.mark.parametrize(
    ("notify", "reply", "action"),
    [
        (None, NO, Action.FAILED),
        (None, OK, None),
        (Notify.FAILURE, NO, Action.FAILED),
        (Notify.NEVER, NO, None),
        (Notify.SUCCESS, NO, None),
        (Notify.SUCCESS, OK, Action.RELAYED),
    ],
)
def test_notify(notify: Notify | None, reply: Reply, action: Action | None) -> None:
    """NOTIFY says what is reported; without it failures (and delays) are (RFC 3461 §4.1)."""
    before = make.item(Recipient(BOB, notify))
    after = attempted(before, {0: Answer(reply)}, 1001.0, SCHEDULE)
    assert to_report(before, after) == ({} if action is None else {0: action})


def test_passed_on() -> None:
    """A host that knows DSN reports success itself (RFC 3461 §5.2.1)."""
    before = make.item(Recipient(BOB, Notify.SUCCESS))
    after = attempted(before, {0: Answer(OK, "mx", dsn=True)}, 1001.0, SCHEDULE)
    assert to_report(before, after) == {}


def test_of_a_new_item() -> None:
    """What an item arrives with is news: an alias that was expanded, a recipient delivered."""
    item = make.item(Recipient(BOB, Notify.SUCCESS), Recipient(DAVE, Notify.SUCCESS))
    item = replace(item, fates=(Expanded(OK, 1.0), Delivered(OK, 1.0)))
    assert to_report(None, item) == {0: Action.EXPANDED, 1: Action.DELIVERED}
    assert to_report(None, make.item(BOB)) == {}


def test_warned_before_it_was_held() -> None:
    """A delay told before a hold is not told again after it."""
    item = attempted(make.item(BOB), {0: Answer(LATER)}, 1000 + 5 * HOUR, SCHEDULE)
    held = queue.hold(item, [0], "")
    assert to_report(held, queue.release(held, [0], 9.0)) == {}


def test_lost() -> None:
    """A failure of what nobody has sent is told to whoever else hears of it, and once."""
    never = Recipient(DAVE, Notify.NEVER)
    before = make.item(BOB, BOB, never, sender=NULL)
    after = attempted(before, {0: Answer(NO), 1: Answer(LATER), 2: Answer(NO)}, 1001.0, SCHEDULE)
    assert lost(before, after) == to_tell(before, after) == {0: Action.FAILED}
    assert lost(None, after) == {0: Action.FAILED}
    assert lost(after, after) == {}
    ours = make.item(BOB)
    failed = attempted(ours, {0: Answer(NO)}, 1001.0, SCHEDULE)
    assert lost(ours, failed) == {}
    assert to_tell(ours, failed) == to_report(ours, failed) == {0: Action.FAILED}

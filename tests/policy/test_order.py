"""What operators order, and what they are shown."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.reply import Reply
from mailhub.policy import repute as standing
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Rule, Verdict
from mailhub.policy.order import Order, What, carried_out, row, told
from mailhub.policy.pace import Limits, Pace
from mailhub.policy.provider import Provider
from mailhub.policy.repute import FAILURES, Repute

NOW = 1_700_000_000.0
BIG = Provider("big", detour="relay")
LIMITS = Limits(connections=4)
NO = Reply(550, "7.1", ("Blocked",))


class TestOrders:
    @given(
        st.builds(
            Order,
            st.sampled_from(What),
            st.text(),
            st.none() | st.text(),
            st.floats(0, 1e6),
            st.text(),
            st.floats(0, 1e6),
        )
    )
    def test_json(self, order: Order) -> None:
        """An order survives the line of JSON that it travels in."""
        assert Order.from_json(json.loads(json.dumps(order.as_json()))) == order

    @pytest.mark.parametrize("other", [{}, {"what": "dance"}, {"what": "suspend"}])
    def test_other(self, other: dict[str, str]) -> None:
        """What is no order is told as such."""
        with pytest.raises(ValueError):  # noqa: PT011  # whatever it was
            Order.from_json(other)

    def test_carried_out(self) -> None:
        """Suspended for a time or for ever, resumed, and slowed."""
        for seconds, until in ((60.0, NOW + 60), (0.0, math.inf)):
            order = Order(What.SUSPEND, "big", seconds=seconds, why="moving")
            repute = carried_out(Repute(), order, NOW)
            assert (repute.suspended, repute.by, repute.why) == (until, "operator", "moving")
        assert carried_out(repute, Order(What.RESUME, "big"), NOW).suspended == 0
        assert carried_out(repute, Order(What.PACE, "big", rate=7.0), NOW).pace.rate == 7.0


class TestRows:
    def state(self, repute: Repute) -> tuple[str, float | None]:
        it = row(BIG, "one", repute, LIMITS, NOW, 2)
        return it.state, it.until

    def test_states(self) -> None:
        """Each state is told with its end."""
        assert self.state(Repute()) == ("open", None)
        assert self.state(Repute(pace=Pace(rate=3.0))) == ("slow", None)
        assert self.state(Repute(trial=True)) == ("trial", None)
        assert self.state(standing.suspend(Repute(), NOW + 5, "x")) == ("suspended", NOW + 5)
        assert self.state(standing.suspend(Repute(), math.inf, "x")) == ("suspended", None)
        blocked = standing.refused(
            Repute(), BIG, LIMITS, Verdict(Cause.BLOCKED, Rule(Cause.BLOCKED)), NO, "rcpt", NOW
        )
        assert self.state(blocked) == ("detour", NOW + BIG.detour_for)
        dead = Repute()
        for _ in range(FAILURES):
            dead = standing.unreached(dead, NO, NOW)
        assert self.state(dead) == ("dead", NOW + 60)

    def test_numbers(self) -> None:
        """Connections, pace, what was sent, and when the next may go."""
        repute = standing.begun(Repute(pace=Pace(rate=6.0)), BIG, NOW)
        it = row(BIG, "", repute, LIMITS, NOW, 1)
        assert (it.busy, it.places, it.rate, it.next) == (1, 4, 6.0, NOW + 10)
        assert (it.sent_minute, it.sent_hour, it.sent_day) == (1, 1, 1)
        configured = row(BIG, "", Repute(), Limits(per_minute=9), NOW)
        assert configured.rate == 9
        assert json.loads(json.dumps(it.next)) == NOW + 10

    def test_told(self) -> None:
        """In sentences: nothing, if nothing holds mail back."""
        assert told(row(BIG, "", Repute(), LIMITS, NOW), NOW) == ()
        suspended = standing.suspend(Repute(), NOW + 90, "moving")
        [line] = told(row(BIG, "one", suspended, LIMITS, NOW), NOW)
        assert line == "suspended from one for 90 s: moving (operator)"
        slow = standing.begun(Repute(pace=Pace(rate=6.0)), BIG, NOW)
        lines = told(row(BIG, "", slow, LIMITS, NOW), NOW)
        assert lines == ("slow: 6 messages a minute", "next slot in 10 s")

"""How we stand with a provider: what replies, silence and orders do to it."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.reply import Reply
from mailhub.policy import repute as state
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Rule, Verdict
from mailhub.policy.pace import Limits
from mailhub.policy.provider import Provider
from mailhub.policy.repute import (
    FAILURES,
    REST,
    REST_LIMIT,
    SUSPENSION_LIMIT,
    News,
    Repute,
    Way,
    news,
    places,
    way,
)

NOW = 1_700_000_000.0
PLAIN = Provider("plain")
ROUND = Provider("round", detour="relay", detour_for=3600.0, probe=600.0)
LIMITS = Limits(connections=8)
OK = Reply(250, "0.0", ("Ok",))
NO = Reply(550, "7.1", ("Blocked",))
LATER = Reply(421, "7.0", ("Slow down",))


def refused(
    before: Repute,
    cause: Cause,
    now: float = NOW,
    *,
    provider: Provider = PLAIN,
    suspend: float = 0,
) -> Repute:
    verdict = Verdict(cause, Rule(cause, suspend=suspend))
    return state.refused(before, provider, LIMITS, verdict, LATER, "rcpt", now)


def unreached(times: int, now: float = NOW) -> Repute:
    repute = Repute()
    for _ in range(times):
        repute = state.unreached(repute, LATER, now)
    return repute


class TestSuspension:
    def test_rule(self) -> None:
        """A rule suspends; then one message at a time tries, and one that is taken ends it."""
        repute = refused(Repute(), Cause.RATE_LIMITED, suspend=100)
        assert way(repute, PLAIN, NOW + 99) is Way.WAIT
        assert way(repute, PLAIN, NOW + 100) is Way.DIRECT
        assert places(repute, LIMITS) == 1
        repute = state.taken(repute, LIMITS, OK, NOW + 101)
        assert places(repute, LIMITS) == 8
        assert (repute.suspended, repute.why, repute.term) == (0, "", 0)

    def test_doubled(self) -> None:
        """A trial that is refused for the same reason waits twice as long, to an end."""
        repute, now, terms = Repute(), NOW, []
        for _ in range(12):
            repute = refused(repute, Cause.RATE_LIMITED, now, suspend=100)
            terms.append(repute.suspended - now)
            now = repute.suspended
        assert terms[:3] == [100, 200, 400]
        assert terms[-1] == SUSPENSION_LIMIT

    def test_meanwhile(self) -> None:
        """Replies to what was on its way do not lengthen it."""
        repute = refused(Repute(), Cause.RATE_LIMITED, suspend=100)
        again = refused(repute, Cause.RATE_LIMITED, NOW + 1, suspend=100)
        assert again.suspended == repute.suspended

    def test_operator(self) -> None:
        """What an operator ordered is undone by an operator, not by a message that was taken."""
        repute = state.suspend(Repute(), math.inf, "moving")
        assert way(repute, ROUND, NOW + 1e9) is Way.WAIT
        assert state.taken(repute, LIMITS, OK, NOW).suspended == math.inf
        assert way(state.resume(repute), ROUND, NOW) is Way.DIRECT


class TestDetour:
    def test_blocked(self) -> None:
        """A block sends mail round, one message tries in between, and a taken one ends it."""
        repute = refused(Repute(), Cause.BLOCKED, provider=ROUND)
        assert way(repute, ROUND, NOW + 599) is Way.DETOUR
        assert way(repute, ROUND, NOW + 600) is Way.DIRECT
        repute = state.begun(repute, ROUND, NOW + 600)
        assert way(repute, ROUND, NOW + 601) is Way.DETOUR
        repute = state.taken(repute, LIMITS, OK, NOW + 602)
        assert way(repute, ROUND, NOW + 603) is Way.DIRECT

    def test_expiry(self) -> None:
        """It ends by itself."""
        repute = refused(Repute(), Cause.BLOCKED, provider=ROUND)
        assert way(repute, ROUND, NOW + 3600) is Way.DIRECT

    def test_none(self) -> None:
        """Without a detour a block is a reply like another."""
        repute = refused(Repute(), Cause.BLOCKED)
        assert way(repute, PLAIN, NOW) is Way.DIRECT
        assert repute.cause == "blocked"


class TestDead:
    def test_rest(self) -> None:
        """Who is not reached some times in a row is left alone, ever longer, to an end."""
        assert way(unreached(FAILURES - 1), PLAIN, NOW) is Way.DIRECT
        repute = unreached(FAILURES)
        assert way(repute, PLAIN, NOW) is Way.DEAD
        rests, now = [repute.rest - NOW], repute.rest
        for _ in range(8):
            assert way(repute, PLAIN, now) is Way.DIRECT
            assert places(repute, LIMITS) == 1
            repute = state.unreached(repute, LATER, now)
            rests.append(repute.rest - now)
            now = repute.rest
        assert rests[:3] == [REST, 2 * REST, 4 * REST]
        assert rests[-1] == REST_LIMIT

    def test_back(self) -> None:
        """Whoever speaks is there, whatever is said."""
        repute = unreached(FAILURES)
        for after in (refused(repute, Cause.BUSY), state.taken(repute, LIMITS, OK, NOW)):
            assert way(after, PLAIN, NOW) is Way.DIRECT
            assert places(after, LIMITS) == 8
            assert not after.troubled


class TestPace:
    def test_rate(self) -> None:
        """A complaint slows down; one before any message was sent is about connections."""
        assert refused(Repute(), Cause.RATE_LIMITED).pace.rate == 1.0
        verdict = Verdict(Cause.RATE_LIMITED)
        for stage in ("connect", "banner", "ehlo"):
            repute = state.refused(Repute(), PLAIN, LIMITS, verdict, LATER, stage, NOW)
            assert places(repute, LIMITS) == 4
            assert repute.pace.rate == 0

    def test_other_causes(self) -> None:
        """Only rate limits do."""
        for cause in set(Cause) - {Cause.RATE_LIMITED}:
            assert not refused(Repute(), cause).pace.slowed

    def test_set(self) -> None:
        """An operator may say how fast; it recovers from there. 0 forgets what was learnt."""
        repute = state.set_pace(Repute(), 30.0, NOW)
        assert repute.pace.rate == 30.0
        assert not state.set_pace(repute, 0.0, NOW).pace.slowed


class TestNews:
    def test_none(self) -> None:
        """Mail that goes as usual is no news."""
        assert news(Repute(), state.taken(Repute(), LIMITS, OK, NOW), PLAIN, NOW) == ()
        assert news(Repute(), refused(Repute(), Cause.CONTENT), PLAIN, NOW) == ()

    def test_all(self) -> None:
        """Each change that an operator wants to know is a sentence."""
        suspended = refused(Repute(), Cause.RATE_LIMITED, suspend=100)
        first, second = news(Repute(), suspended, PLAIN, NOW)
        assert first == News("is suspended for 100 s (reply): 421 4.7.0 Slow down", urgent=True)
        assert second.text.startswith("wants us to go slower; now 1 messages a minute")
        free = state.taken(suspended, LIMITS, OK, NOW + 200)
        assert news(suspended, free, PLAIN, NOW + 200) == (News("is no longer suspended"),)
        blocked = refused(Repute(), Cause.BLOCKED, provider=ROUND)
        [told] = news(Repute(), blocked, ROUND, NOW)
        assert told.text.startswith("blocks us; its mail goes through relay")
        assert told.urgent
        [told] = news(blocked, state.taken(blocked, LIMITS, OK, NOW), ROUND, NOW)
        assert told.text.endswith("the detour has ended")
        dead = unreached(FAILURES)
        [told] = news(unreached(FAILURES - 1), dead, PLAIN, NOW)
        assert told.text.startswith("is not reached")
        assert not told.urgent
        assert news(dead, refused(dead, Cause.BUSY), PLAIN, NOW) == (News("is reached again"),)
        forever = state.suspend(Repute(), math.inf, "why")
        assert news(Repute(), forever, PLAIN, NOW) == (News("is suspended (operator): why"),)

    def test_again(self) -> None:
        """What goes on is told once, or not by letter again."""
        suspended = refused(Repute(), Cause.RATE_LIMITED, suspend=100)
        later = NOW + 200
        again = refused(suspended, Cause.RATE_LIMITED, later, suspend=100)
        assert not news(suspended, again, PLAIN, later)[0].urgent
        dead = unreached(FAILURES)
        assert news(dead, state.unreached(dead, LATER, dead.rest), PLAIN, dead.rest) == ()
        blocked = refused(Repute(), Cause.BLOCKED, provider=ROUND)
        again = refused(blocked, Cause.BLOCKED, NOW + 600, provider=ROUND)
        assert again.detour > blocked.detour
        assert news(blocked, again, ROUND, NOW + 600) == ()


class TestAlways:
    @given(st.lists(st.sampled_from([*Cause, "taken", "unreached"]), max_size=30))
    def test_ends(self, events: list[Cause | str]) -> None:
        """Whatever happens, mail goes again after a day without further events."""
        repute, now = Repute(), NOW
        for event in events:
            now += 17.0
            if event == "taken":
                repute = state.taken(repute, LIMITS, OK, now)
            elif event == "unreached":
                repute = state.unreached(repute, LATER, now)
            else:
                assert isinstance(event, Cause)
                repute = refused(repute, event, now, provider=ROUND, suspend=30)
            assert places(repute, LIMITS) >= 1
        assert way(repute, ROUND, now + 86_400) is Way.DIRECT

    def test_special(self) -> None:
        """Only what differs from a stranger is remembered."""
        assert not Repute().special
        assert refused(Repute(), Cause.BUSY).special
        assert state.suspend(Repute(), NOW, "x").special
        assert replace(Repute(), trial=True).special

"""Return paths of our own: read back, and never forged."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailhub.mail.address import LOCAL_LIMIT, Path, parse_path
from mailhub.policy.returnpath import (
    ROTATION,
    Key,
    Keys,
    Ticket,
    day_of,
    named,
    renewed,
    shaped,
)
from mailhub.ports.outgoing import QueueId
from mailhub.queue.ids import to_queue_id

TODAY = 20_760
LIFE = 30
KEYS = Keys((Key(TODAY - 100, b"old secret"), Key(TODAY - 10, b"new secret")))
TICKET = Ticket(TODAY, QueueId("0k3m9x7c4e2d"), 0)
DOMAIN = "hub.example"

tickets = st.builds(
    Ticket,
    st.integers(TODAY - LIFE, TODAY),
    st.integers(0, 2**60 - 1).map(to_queue_id),
    st.integers(0, 2**30 - 1),
)
domains = st.sampled_from(["hub.example", "xn--bcher-kva.example", "a.b.c.d"])


class TestRoundTrip:
    @given(tickets, domains)
    def test_read_back(self, ticket: Ticket, domain: str) -> None:
        """What was put in comes out."""
        assert KEYS.read(KEYS.path(ticket, domain), TODAY, LIFE) == ticket

    @given(tickets)
    def test_form(self, ticket: Ticket) -> None:
        """It is a local part that every mail system takes, and that all cases leave whole."""
        path = KEYS.path(ticket, DOMAIN)
        assert len(path.local) <= LOCAL_LIMIT
        assert set(path.local) <= set("abcdefghijklmnopqrstuvwxyz0123456789+=-")
        assert parse_path(str(path)) == path
        assert KEYS.read(Path(path.local.upper(), DOMAIN), TODAY, LIFE) == ticket
        assert shaped(path)

    def test_the_same_at_each_attempt(self) -> None:
        """Nothing in it is of the moment, or greylisting would never end."""
        later = Keys((*KEYS.all, Key(TODAY + 1, b"newest")))
        assert later.path(TICKET, DOMAIN) == KEYS.path(TICKET, DOMAIN)


class TestForgery:
    @given(tickets, st.data())
    def test_changed(self, ticket: Ticket, data: st.DataObject) -> None:
        """Any other character, one more or one less: it is not ours."""
        path = KEYS.path(ticket, DOMAIN)
        local = path.local
        at = data.draw(st.integers(0, len(local) - 1))
        letter = data.draw(st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz+=-"))
        how = data.draw(st.sampled_from(["other", "more", "less"]))
        rest = local[at:] if how == "more" else local[at + 1 :]
        changed = local[:at] + ("" if how == "less" else letter) + rest
        assume(changed != local)
        assert KEYS.read(Path(changed, DOMAIN), TODAY, LIFE) is None

    @given(st.text(max_size=64))
    def test_any_text(self, local: str) -> None:
        """Nothing raises, and nothing is read that was not signed."""
        assert KEYS.read(Path(local, DOMAIN), TODAY, LIFE) is None
        assert not shaped(Path(local, DOMAIN)) or local.lower().startswith("bounce+")

    def test_another_domain(self) -> None:
        """One of another domain of ours cannot be made of it."""
        local = KEYS.path(TICKET, DOMAIN).local
        assert KEYS.read(Path(local, "other.example"), TODAY, LIFE) is None

    def test_another_key(self) -> None:
        """Somebody else's are not ours."""
        strange = Keys((Key(0, b"another secret"),))
        assert KEYS.read(strange.path(TICKET, DOMAIN), TODAY, LIFE) is None


class TestTime:
    @pytest.mark.parametrize(
        ("age", "known"), [(-1, True), (0, True), (30, True), (31, False), (-2, False)]
    )
    def test_expiry(self, age: int, known: bool) -> None:
        """It lives so many days; a clock that was set back a day does no harm."""
        path = KEYS.path(TICKET, DOMAIN)
        assert (KEYS.read(path, TODAY + age, LIFE) is not None) is known

    def test_years_later(self) -> None:
        """When the days' numbers come again, old ones are not young again."""
        path = KEYS.path(TICKET, DOMAIN)
        assert KEYS.read(path, TODAY + 1024, LIFE) is None

    def test_day(self) -> None:
        """Days begin at midnight UTC."""
        assert day_of(86_400.0 * TODAY) == TODAY
        assert day_of(86_400.0 * TODAY - 1) == TODAY - 1


class TestKeys:
    def test_first(self) -> None:
        """The first start makes a key, which signs at once."""
        assert renewed((), b"one", TODAY, LIFE) == (Key(TODAY, b"one"),)

    def test_rotation(self) -> None:
        """A new key signs from tomorrow on; what was signed today stays as it is."""
        old = (Key(TODAY - ROTATION, b"one"),)
        both = renewed(old, b"two", TODAY, LIFE)
        assert both == (*old, Key(TODAY + 1, b"two"))
        path = Keys(old).path(TICKET, DOMAIN)
        assert Keys(both).read(path, TODAY + LIFE, LIFE) == TICKET
        assert renewed(both, b"three", TODAY + 1, LIFE) == both

    def test_forgotten(self) -> None:
        """An old key goes when nothing that it has signed is alive."""
        both = (Key(TODAY - 100, b"one"), Key(TODAY, b"two"))
        assert renewed(both, b"", TODAY + LIFE, LIFE) == both
        assert renewed(both, b"", TODAY + LIFE + 1, LIFE) == both[1:]

    def test_before_the_first(self) -> None:
        """What is older than all keys is signed with the oldest."""
        ticket = TICKET._replace(day=TODAY - LIFE)
        keys = Keys((Key(TODAY, b"one"),))
        assert keys.read(keys.path(ticket, DOMAIN), TODAY, LIFE) == ticket


class TestNamed:
    def test_in_a_text(self) -> None:
        """They are found wherever they stand, each once, and not within something else."""
        path = KEYS.path(TICKET, DOMAIN)
        text = f"Return-Path: <{path}>\nX: {str(path).upper()}, x{path} news@hub.example"
        assert named(text) == [path]

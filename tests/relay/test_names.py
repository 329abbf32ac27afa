"""Lookups, and what is remembered of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from mailhub.mail.reply import Refusal
from mailhub.ports.resolver import Answer, LookupFailed, Mx, NoSuchDomain, Tlsa
from mailhub.relay.names import Names
from tests.rig import run


class FakeResolver:
    """Knows one domain."""

    async def mx(self, domain: str) -> Answer[Mx]:
        if domain == "null.example":
            return Answer((Mx(0, ""),))
        if domain != "far.example":
            raise NoSuchDomain
        return Answer((Mx(10, "mx.far.example"), Mx(20, "mx2.far.example")), authentic=True)

    async def addresses(self, host: str) -> Answer[str]:
        if host == "slow.example":
            raise LookupFailed("timed out")
        return Answer(() if host == "empty.example" else ("192.0.2.1",))

    async def txt(self, name: str) -> Answer[bytes]:
        raise NoSuchDomain

    async def ptr(self, address: str) -> Answer[str]:
        raise NoSuchDomain

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        raise NoSuchDomain


@pytest.fixture
def names() -> Names:
    moments: Iterator[int] = count(1)
    return Names(FakeResolver(), lambda: float(next(moments)))


def test_answers(names: Names) -> None:
    """Question, answer, and how long that took."""
    assert run(names.mx("far.example")).records[0] == Mx(10, "mx.far.example")
    run(names.addresses("mx.far.example"))
    run(names.mx("null.example"))
    run(names.addresses("empty.example"))
    first, second, third, fourth = names.lookups
    assert first.question == "MX far.example"
    assert first.answer == "10 mx.far.example, 20 mx2.far.example"
    assert (first.authentic, first.started, first.ended) == (True, 1.0, 2.0)
    assert (second.question, second.answer) == ("A/AAAA mx.far.example", "192.0.2.1")
    assert third.answer == "0 ."
    assert fourth.answer == "no records"


def test_failures(names: Names) -> None:
    """What came of it is remembered also where there is no answer."""
    with pytest.raises(NoSuchDomain):
        run(names.mx("nowhere.example"))
    with pytest.raises(LookupFailed):
        run(names.addresses("slow.example"))
    assert [it.answer for it in names.lookups] == ["no such name", "failed: timed out"]


def test_exchanges(names: Names) -> None:
    """Without an answer there is no sending: for good where there is no such domain."""
    with pytest.raises(Refusal) as gone:
        run(names.exchanges("nowhere.example"))
    assert gone.value.reply.code == 550


def test_literals(names: Names) -> None:
    """An IP address is looked up by nobody."""
    assert run(names.addresses("192.0.2.9")).records
    assert names.lookups == []


def test_the_same_again(names: Names) -> None:
    """A question that is answered the same again is one lookup."""
    for _ in range(3):
        run(names.addresses("mx.far.example"))
    assert [it.question for it in names.lookups] == ["A/AAAA mx.far.example"]


def test_texts() -> None:
    """Texts are shown as text, whatever octets are in them."""

    class Texts(FakeResolver):
        async def txt(self, name: str) -> Answer[bytes]:
            return Answer((b"v=STSv1; id=1", b"\xff"))

    names = Names(Texts(), lambda: 1.0)
    run(names.txt("_mta-sts.far.example"))
    assert names.lookups[0].answer == '"v=STSv1; id=1", "\\xff"'

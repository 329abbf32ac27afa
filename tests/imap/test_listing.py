"""Patterns against a brute model, and what LIST says of names."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.listing import BATCH, Wanted, matcher, patterns, rows, subscriptions
from mailhub.ports.store import Listed

PATTERN = st.text(alphabet="ab/*%", max_size=8)
NAME = st.text(alphabet="ab/", max_size=8)


@given(PATTERN, NAME)
def test_model(pattern: str, name: str) -> None:
    """A pattern matches what the obvious regular expression matches."""
    wild = {"*": ".*", "%": "[^/]*"}
    expression = "".join(wild.get(character, re.escape(character)) for character in pattern)
    assert matcher(pattern)(name) == (re.fullmatch(expression, name) is not None)


def test_hostile() -> None:
    """A pattern that would make a backtracker freeze costs nothing."""
    matches = matcher("*a" * 100 + "b")
    assert not matches("a" * 200)


def test_too_long() -> None:
    """A pattern longer than any name can match is not even compiled."""
    assert patterns(b"", [b"x" * 500], 100) == []
    assert patterns(b"", [b"*" * 500], 100)[0]("anything")


def test_inbox() -> None:
    """INBOX matches in any case, others only in theirs."""
    [match] = patterns(b"", [b"inb%"], 100)
    assert match("INBOX")
    assert not match("INBOUND")


def listed(*names: str, subscribed: bool = False) -> list[Listed]:
    return [Listed(name, selectable=True, subscribed=subscribed) for name in names]


def lines(mail: list[Listed], wanted: Wanted) -> list[bytes]:
    """The LIST responses."""
    return [told.line for batch in rows(mail, wanted) for told in batch]


def test_levels() -> None:
    """A level that is no mailbox is told, though the store does not name it."""
    wanted = Wanted([matcher("%")])
    assert lines(listed("a/b"), wanted) == [b'* LIST (\\Noselect \\HasChildren) "/" a\r\n']


def test_gone_subscription() -> None:
    """A subscription to a mailbox that is no more is not listed as a mailbox."""
    gone = [Listed("x", selectable=False, subscribed=True)]
    assert lines(gone, Wanted([matcher("*")])) == []


def test_once() -> None:
    """A name that several patterns match is told once (RFC 5258 §3)."""
    wanted = Wanted([matcher("*"), matcher("a")])
    assert len(lines(listed("a"), wanted)) == 1


def test_childinfo() -> None:
    """CHILDINFO is told of parents, alone only where the child is not told itself."""
    mail = [*listed("a"), *listed("a/b", "c", subscribed=True)]
    selection = frozenset({"SUBSCRIBED", "RECURSIVEMATCH"})
    hidden = lines(mail, Wanted([matcher("%")], selection, extended=True))
    assert hidden[0].endswith(b'a ("CHILDINFO" ("SUBSCRIBED"))\r\n')
    shown = lines(mail, Wanted([matcher("*")], selection, extended=True))
    assert [row.split()[-1] for row in shown] == [b"a/b", b"c"]


def test_lsub_levels() -> None:
    r"""LSUB tells a level with ``\Noselect`` where only names below are subscribed."""
    mail = listed("a/b", "c", subscribed=True)
    assert list(subscriptions(mail, matcher("%"))) == [
        b'* LSUB (\\Noselect) "/" a\r\n',
        b'* LSUB () "/" c\r\n',
    ]


def test_childinfo_of_special_use() -> None:
    """With SPECIAL-USE likewise (RFC 6154 §5.2)."""
    mail = [*listed("a"), Listed("a/b", selectable=True, subscribed=False, special_use=("\\Sent",))]
    selection = frozenset({"SPECIAL-USE", "RECURSIVEMATCH"})
    [row] = lines(mail, Wanted([matcher("%")], selection, extended=True))
    assert row.endswith(b'a ("CHILDINFO" ("SPECIAL-USE"))\r\n')


def test_in_steps() -> None:
    """However many mailboxes there are, only so many are looked at in one step."""
    mail = listed(*(f"m{number:05d}" for number in range(10_000)))
    batches = list(rows(mail, Wanted([matcher("*")])))
    assert max(len(batch) for batch in batches) == BATCH
    assert sum(len(batch) for batch in batches) == 10_000


def test_asked() -> None:
    """More is told of mailboxes that met the selection, not of levels above them."""
    mail = [*listed("a"), *listed("a/b", subscribed=True), *listed("a/c")]
    gone = Listed("gone", selectable=False, subscribed=True)
    selection = frozenset({"SUBSCRIBED", "RECURSIVEMATCH"})
    wanted = Wanted([matcher("%"), matcher("a/b")], selection, extended=True)
    told = [told for batch in rows([*mail, gone], wanted) for told in batch]
    found = {it.name: (it.asked, it.selectable) for it in told}
    assert found == {"a/b": (True, True), "gone": (True, False)}
    hidden = Wanted([matcher("%")], selection, extended=True)
    assert [it.asked for batch in rows(mail, hidden) for it in batch] == [False]

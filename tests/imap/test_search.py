"""SEARCH: flags and ranges against a brute model; text in all its disguises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhub.imap.criteria import (
    And,
    Comparison,
    Flagged,
    Key,
    Keyword,
    Not,
    Numbers,
    Or,
    Size,
    Uids,
)
from mailhub.imap.search import Searching
from mailhub.imap.sequence import SequenceSet
from mailhub.ports.message import Uid
from tests.imap.fakes import NOW, FakeStore
from tests.imap.given import BARE, Talk, store
from tests.rig import run

FLAG = st.sampled_from([1, 2, 4, 8, 16])
LEAF: st.SearchStrategy[Key] = st.one_of(
    st.builds(Flagged, FLAG),
    st.just(Keyword("kw")),
    st.tuples(st.integers(1, 9), st.integers(0, 4)).map(
        lambda pair: Numbers(SequenceSet(((pair[0], sum(pair)),)))
    ),
    st.tuples(st.integers(1, 9), st.integers(0, 4)).map(
        lambda pair: Uids(SequenceSet(((pair[0], sum(pair)),)))
    ),
    st.builds(Size, st.sampled_from(Comparison), st.integers(18, 28)),
)
KEY = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Or, inner, inner),
        st.lists(inner, max_size=3).map(lambda keys: And(tuple(keys))),
    ),
    max_leaves=6,
)


def matches(key: Key, seq: int, uid: int, bits: int, size: int) -> bool:
    """The brute model."""
    match key:
        case And(keys):
            return all(matches(inner, seq, uid, bits, size) for inner in keys)
        case Or(one, other):
            return matches(one, seq, uid, bits, size) or matches(other, seq, uid, bits, size)
        case Not(inner):
            return not matches(inner, seq, uid, bits, size)
        case Flagged(bit):
            return bool(bits & bit)
        case Keyword():
            return bool(bits & 32)
        case Numbers(numbers):
            return any(a <= seq <= b for a, b in numbers.ranges)
        case Uids(uids):
            return any(a <= uid <= b for a, b in uids.ranges)
        case Size(comparison, octets):
            return {
                "<": size < octets,
                "=": size == octets,
                ">": size > octets,
                ">=": size >= octets,
            }[comparison.value]
        case _:
            raise AssertionError


async def found(searching: Searching) -> list[int]:
    return [number async for numbers in searching.found() for number in numbers]


class TestModel:
    @settings(deadline=None)
    @given(KEY, st.lists(st.integers(0, 63), max_size=8), st.booleans(), st.integers(0, 9))
    def test_arrays(self, key: Key, flags: list[int], by_uid: bool, gone: int) -> None:
        """Programs over flags, sizes and numbers mean what they say, ghosts apart."""
        mail = FakeStore()
        mail.inbox.keywords.append("kw")
        mail.inbox.deliver(BARE)
        run(mail.inbox.expunge([Uid(1)]))  # so that numbers and UIDs differ
        for place, bits in enumerate(flags):
            mail.inbox.deliver(BARE + b"x" * place, bits)
        selected = Talk(mail).select().session._state.box
        rows = list(zip(mail.inbox.uids, mail.inbox.flags, mail.inbox.sizes, strict=True))
        run(mail.inbox.expunge([Uid(gone)]))
        expected = [
            uid if by_uid else seq
            for seq, (uid, bits, size) in enumerate(rows, 1)
            if uid != gone and matches(key, seq, uid, bits, size)
        ]
        assert run(found(Searching(selected, key, by_uid=by_uid, now=NOW))) == expected

    def test_contradiction(self) -> None:
        """Two conjuncts about one flag are both heeded."""
        talk = Talk().select()
        assert talk.say("a SEARCH SEEN UNSEEN")[0] == "* SEARCH"
        assert talk.say("a SEARCH SEEN SEEN")[0] == "* SEARCH 2"


class TestTiers:
    def test_order(self) -> None:
        """The dearest key decides what must be read."""
        talk = Talk().select()
        talk.say("a SEARCH SEEN BODY nothing")
        assert talk.store.inbox.digested == [2]

    def test_mixed(self) -> None:
        """An OR of cheap and dear keys is judged by the dear tier."""
        talk = Talk().select()
        assert talk.say("a SEARCH OR SEEN BODY how")[0] == "* SEARCH 1 2"
        assert talk.say("a SEARCH OR DELETED SUBJECT plain")[0] == "* SEARCH 1 3"
        assert talk.say("a SEARCH (OR SEEN DELETED) NOT BODY zzz SUBJECT gr")[0] == "* SEARCH 2"

    def test_many(self) -> None:
        """Batches of headers and contents join without gaps."""
        mail = FakeStore()
        for place in range(250):
            mail.inbox.deliver(b"Subject: s%d\r\n\r\nb%d" % (place % 2, place % 3) + b"x" * 3000)
        talk = Talk(mail).select()
        assert len(talk.say("a SEARCH SUBJECT s1")[0].split()) == 2 + 125
        assert len(talk.say("a SEARCH BODY b2")[0].split()) == 2 + 83

    @pytest.mark.parametrize("program", ["SUBJECT short", "BODY .", "SUBJECT short BODY ."])
    def test_vanishing(self, program: str) -> None:
        """A message that goes amid the search is not found."""
        talk = Talk().select()

        def expunge() -> None:
            run(_quietly(talk.store, 3))

        talk.store.inbox.during = expunge
        assert talk.say(f"a SEARCH {program}")[0] == "* SEARCH"


async def _quietly(mail: FakeStore, uid: int) -> None:
    mail.inbox.during = lambda: None
    await mail.inbox.expunge([Uid(uid)])


TEXT = (
    b"Subject: =?iso-8859-1?q?Stra=DFe?=\r\n folded\r\nTo: a@b\r\nTo: c@d\r\nDate: nonsense\r\n"
    b"Content-Type: multipart/mixed; boundary=cut\r\n\r\npreamble\r\n"
    b"--cut\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner words\r\n\r\ninner body\r\n"
    b"--cut\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"w6Rwcmljb3QgIG1hcm1hbGFkZQ==\r\n"
    b"--cut\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n"
    b"--cut\r\nContent-Type: application/pdf\r\n\r\nnot searched\r\n--cut--\r\n"
)


class TestText:
    @pytest.mark.parametrize(
        ("program", "hit"),
        [
            ('CHARSET UTF-8 SUBJECT "STRAßE FOLDED"', True),
            ("TO c@d", True),
            ("CC c@d", False),
            ("BODY INNER", True),
            ('BODY "inner words"', True),
            ("BODY marmalade", True),
            ('CHARSET UTF-8 BODY "ÄPRICOT  M"', True),
            ("BODY preamble", False),
            ('BODY "not searched"', False),
            ('BODY "action: failed"', True),
            ("BODY folded", False),
            ("TEXT folded", True),
            ('TEXT "to: c@d"', True),
            ("SENTON 14-Nov-2023", True),
            ("SENTBEFORE 14-Nov-2023", False),
            ('HEADER To ""', True),
            ('HEADER X-None ""', False),
        ],
    )
    def test_disguises(self, program: str, hit: bool) -> None:
        """Encoded words, folds, transfer encodings, nested messages, several fields of a name."""
        mail = FakeStore()
        mail.inbox.deliver(TEXT)
        assert Talk(mail).select().say(f"a SEARCH {program}")[0] == "* SEARCH" + " 1" * hit

    def test_no_date(self) -> None:
        """A message without a Date was sent when it arrived."""
        talk = Talk(store()).select()
        assert talk.say("a SEARCH SENTON 15-Nov-2023")[0] == "* SEARCH 3"

    def test_charset(self) -> None:
        """A key in another charset finds the same text."""
        heard = Talk().select().raw(b'a SEARCH CHARSET ISO-8859-1 BODY "sch\xf6n"\r\n')
        assert heard.startswith(b"* SEARCH 2\r\n")

"""Names on disk: of messages and of mailboxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.name import canonical
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import name
from mailhub.store.limits import Limits

PLAIN = st.text(st.characters(codec="utf-8"), min_size=1)
LEVEL = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="/"),
    min_size=1,
    max_size=6,
)


class TestStems:
    def test_shape(self) -> None:
        """Seconds, a unique part with the microseconds, our name."""
        assert name.make_stem(1_700_000_000.25, "Q1", "hub.example") == (
            b"1700000000.H250000_Q1.hub.example"
        )

    def test_deterministic_and_sortable(self) -> None:
        """The same filing has the same stem, and stems sort by time."""
        early, late = (name.make_stem(when, "u", "h") for when in (1.5, 1.75))
        assert early == name.make_stem(1.5, "u", "h")
        assert name.delivery_order(early) < name.delivery_order(late)

    def test_before_the_epoch(self) -> None:
        """A date before 1970 counts as its first second."""
        assert name.make_stem(-5.0, "u", "h") == b"0.H000000_u.h"

    @given(PLAIN, PLAIN)
    def test_unique_stays_unique(self, one: str, other: str) -> None:
        """Different unique parts give different stems, without separators inside."""
        stems = [name.make_stem(1.0, text, "h") for text in (one, other)]
        assert len(set(stems)) == len({one, other})
        for stem, text in zip(stems, (one, other), strict=True):
            assert name.own_unique(stem) == name.spelt_unique(text)
            assert not set(stem) & set(b"/:, ")

    @pytest.mark.parametrize("foreign", [b"1700000000.M5P6.host", b"x.H000000_a.b", b"12", b""])
    def test_others_are_not_ours(self, foreign: bytes) -> None:
        """Names that other programs made are told apart."""
        assert name.own_unique(foreign) is None

    def test_seconds(self) -> None:
        """The time of a stem, if it has one."""
        assert name.seconds_of(b"17.x") == 17
        assert name.seconds_of(b"msg") is None
        assert name.delivery_order(b"msg") == (0, b"msg")


class TestBases:
    def test_ours(self) -> None:
        """Stem, size and UID."""
        base = name.base_of(name.numbered(b"1.x.h", 12, 7, b"S"))
        assert name.parse_base(base) == name.Base(b"1.x.h", 12, 7)
        assert name.parse_base(name.unnumbered(b"1.x.h", 12)) == name.Base(b"1.x.h", 12, None)

    def test_line_ends(self) -> None:
        """A file that is served longer than it is has both sizes, as Dovecot wants it."""
        base = name.base_of(name.numbered(b"1.x.h", 12, 7, b"S", 15))
        assert base == b"1.x.h,S=12,W=15,U=7"
        assert name.parse_base(base) == name.Base(b"1.x.h", 12, 7, 15)
        assert name.numbered(b"1.x.h", 12, 7, b"S", 12) == b"1.x.h,S=12,U=7:2,S"

    @pytest.mark.parametrize(
        ("base", "expected"),
        [
            (b"1.M2P3.h,S=5,W=6", name.Base(b"1.M2P3.h", 5, None, 6)),
            (b"1.h,X=1,S=2", name.Base(b"1.h,X=1", 2, None)),
            (b"1.h,S=,U=x", name.Base(b"1.h", None, None)),
            (b"1.h,U=99999999999999999999", name.Base(b"1.h", None, None)),
        ],
    )
    def test_others(self, base: bytes, expected: name.Base) -> None:
        """Sizes are ours to say; fields we do not know stay."""
        assert name.parse_base(base) == expected


class TestFlags:
    def test_letters(self) -> None:
        """Maildir's letters, then keywords a to z, in the order of ASCII."""
        assert name.flags_of(b"FS") == 4 | 1
        assert name.flags_of(b"ab") == 32 | 64
        assert name.relettered(b"S", 1 | 4 | 32, name.known_bits(1)) == b"FSa"

    def test_unknown_letters_stay(self) -> None:
        """What another program means by a letter is not taken from it."""
        assert name.relettered(b"PSc", 2, name.known_bits(1)) == b"PRc"

    def test_no_letters_yet(self) -> None:
        """A name from ``new`` has none."""
        assert name.letters_of(b"1.h") == b""

    @pytest.mark.parametrize(
        ("before", "now", "ours", "expected"),
        [
            (b"1.h:2,", b"1.h:2,F", 1, 1 | 4),  # both have set one
            (b"1.h:2,FS", b"1.h:2,S", 1 | 4 | 2, 1 | 2),  # theirs is off, ours is on
            (b"1.h:2,S", b"1.h:2,FS", 0, 4),  # we took off what they left alone
            (b"1.h:2,S", b"1.h:2,", 0, 0),  # both took it off
            (b"1.h", b"1.h:2,a", 1, 1),  # a letter that means nothing here
        ],
    )
    def test_two_changed_them(self, before: bytes, now: bytes, ours: int, expected: int) -> None:
        """Another program's word counts for the flags that it changed, ours for the rest."""
        assert name.flags_now(before, now, ours, name.known_bits(0)) == expected

    @given(st.integers(0, 2**31 - 1), st.integers(0, 26))
    def test_round_trip(self, flags: int, keywords: int) -> None:
        """Flags that are known come back from the letters."""
        known = name.known_bits(keywords)
        assert name.flags_of(name.relettered(b"", flags, known)) == flags & known


class TestMailboxes:
    @pytest.mark.parametrize(
        ("mailbox", "directory"),
        [
            ("INBOX", b""),
            ("A/B", b".A.B"),
            ("Entwürfe", b".Entw&APw-rfe"),
            ("v1.0/x", b".v1&AC4-0.x"),
            ("R&D", b".R&-D"),
        ],
    )
    def test_directories(self, mailbox: str, directory: bytes) -> None:
        """Maildir++: a dot before each level, modified UTF-7, a dot inside escaped."""
        assert name.directory_of(mailbox) == directory
        assert name.mailbox_of(directory) == mailbox

    @given(st.lists(LEVEL, min_size=1, max_size=4).map("/".join))
    def test_round_trip(self, mailbox: str) -> None:
        """Each name has one directory, and each directory one name."""
        mailbox = canonical(mailbox)
        if mailbox != name.INBOX:
            assert name.mailbox_of(name.directory_of(mailbox)) == mailbox

    @pytest.mark.parametrize(
        "directory",
        [
            b"cur",
            b".",
            b"..",
            b".A.",
            b"..A",
            b".\xe4",
            b".A&",
            b".INBOX",
            b".inbox.x",
            b".A&AC8-B",
        ],
    )
    def test_no_mailbox(self, directory: bytes) -> None:
        """Directories that are spelt otherwise are none of ours."""
        assert name.mailbox_of(directory) is None

    @pytest.mark.parametrize(
        "bad", ["", "/", "a//b", "/a", "a/", "a\x00", "a\x7f", "\ud800", "x" * 300, "a/" * 40 + "b"]
    )
    def test_bad_names(self, bad: str) -> None:
        """Empty levels, control characters, lone surrogates and too much of anything: CANNOT."""
        with pytest.raises(StoreRefused) as refused:
            name.checked(bad, Limits())
        assert refused.value.fault is StoreFault.CANNOT

    def test_good_name(self) -> None:
        """A good name comes back in its canonical form."""
        assert name.checked("inbox/Ä", Limits()) == "INBOX/Ä"

    def test_parents(self) -> None:
        """The levels above, outermost first."""
        assert name.parents("a/b/c") == ["a", "a/b"]
        assert name.parents("a") == []


@given(st.text(alphabet="aX.&/-Inbox %é", max_size=12))
def test_quick_way(text: str) -> None:
    """Names with nothing to decode are what the long way makes of them."""
    directory = b"." + text.encode("utf-8")
    found = name.mailbox_of(directory)
    if found is not None:
        assert name.directory_of(found) == directory
        assert name.checked(found, Limits()) == found

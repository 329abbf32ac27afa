"""Header sections: split, looked up, filtered, edited; and fields made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail import header
from mailhub.mail.header import LINE_LIMIT, SECTION_LIMIT, Header, make, unwanted, wanted

BLOCK = (
    b"Received: from a\r\n\tby b;\r\n Fri\r\n"
    b"From: ann@hub.example\r\n"
    b"SUBJECT :  two  words \r\n"
    b"received: from c\r\n"
    b"Bcc: secret@hub.example,\r\n  other@hub.example\r\n"
    b"\r\n"
)
octets = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"A", b":", b" ", b"\r", b"\n", b"\r\n", b"b: c", b"\x00", b"\xff"]),
    max_size=30,
).map(b"".join)


class TestEnd:
    """Where the header section ends."""

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"", 0),
            (b"\r\nbody", 2),
            (b"\nbody", 1),
            (b"A: b\r\n\r\nbody", 8),
            (b"A: b\n\nbody", 6),
            (b"A: b\n\r\nbody", 7),
            (b"A: b\r\n\nbody\r\n\r\n", 7),
            (b"A: b\n\nbody\n\r\n", 6),
            (b"A: b\r\n", 6),
            (b"A: b", 4),
            (b"A: b\r\n \r\n\r\nx", 11),
        ],
    )
    def test_empty_line(self, content: bytes, expected: int) -> None:
        """The first empty line ends it, with CR LF or LF; without one all is header."""
        assert header.end(content) == expected

    def test_within(self) -> None:
        """An empty line beyond `stop` does not count, one before `start` neither."""
        assert header.end(b"A: b\r\n\r\n", 0, 6) == 6
        assert header.end(b"\r\nA: b\r\n\r\n", 2) == 10

    @given(octets)
    def test_total(self, content: bytes) -> None:
        """It lies within the content, and no empty line stands before it."""
        end = header.end(content)
        assert 0 <= end <= len(content)
        assert b"\n\n" not in content[: end - 1]
        assert b"\n\r\n" not in content[: end - 1]


class TestHeader:
    """Lookups and edits."""

    def test_lookup(self) -> None:
        """Names are compared without regard to case, and blanks before the colon do not matter."""
        found = Header(BLOCK)
        assert found.first(b"Subject") == b"two  words"
        assert found.first(b"from") == b"ann@hub.example"
        assert found.first(b"To") is None
        assert found.last(b"To") is None
        assert b"bcc" in found
        assert b"To" not in found

    def test_several(self) -> None:
        """Fields of one name keep their order."""
        found = Header(BLOCK)
        assert found.count(b"Received") == 2
        assert found.all(b"RECEIVED") == [b"from a\tby b; Fri", b"from c"]
        assert found.last(b"received") == b"from c"

    def test_unfolded(self) -> None:
        """Unfolding takes out line ends and nothing else (RFC 5322 §2.2.3)."""
        assert header.unfold(b" a\r\n b\n\tc \r\n") == b"a b\tc"
        assert header.unfold(b" plain\r\n") == b"plain"

    def test_fields(self) -> None:
        """All fields in order, each as it stood."""
        fields = Header(BLOCK).fields()
        assert [field.name for field in fields] == [
            b"Received", b"From", b"SUBJECT", b"received", b"Bcc",
        ]  # fmt: skip
        assert bytes(fields[1]) == b"From: ann@hub.example\r\n"
        assert fields[4].value == b"secret@hub.example,  other@hub.example"

    def test_of(self) -> None:
        """The section is cut from the front of a content."""
        assert bytes(Header.of(BLOCK + b"To: not a field\r\n")) == BLOCK

    @pytest.mark.parametrize(
        "junk",
        [b"no colon at all\r\n", b"From ann Fri Nov 21\r\n", b": no name\r\n", b" leading\r\n"],
    )
    def test_junk(self, junk: bytes) -> None:
        """A line that is no field is none, and hides no other."""
        found = Header(b"A: 1\r\n" + junk + b"B: 2\r\n\r\n")
        assert found.first(b"B") == b"2"
        assert found.first(b"A") in {b"1", b"1 leading"}

    def test_odd_octets(self) -> None:
        """NULs, bare CRs and 8-bit octets are octets like others."""
        found = Header(b"A\x00\xff: x\ry\x00\xe9\r\nB: 2\n\n")
        assert found.first(b"a\x00\xff") == b"x\ry\x00\xe9"
        assert found.first(b"b") == b"2"

    def test_drop(self) -> None:
        """A field goes with its folds; everything else stays in place."""
        assert bytes(Header(BLOCK).drop(b"bcc", b"Received")) == (
            b"From: ann@hub.example\r\nSUBJECT :  two  words \r\n\r\n"
        )
        assert bytes(Header(BLOCK).drop()) == BLOCK
        assert bytes(Header(BLOCK).drop(b"To")) == BLOCK

    def test_drop_means_literally(self) -> None:
        """A name is no pattern."""
        assert bytes(Header(b"Bcc: x\r\n\r\n").drop(b"B.c")) == b"Bcc: x\r\n\r\n"

    def test_on_top(self) -> None:
        """New fields stand before all others, in the given order."""
        edited = Header(b"A: 1\r\n\r\n").on_top(make("B", "2"), make("C", "3"))
        assert bytes(edited) == b"B: 2\r\nC: 3\r\nA: 1\r\n\r\n"

    def test_whole(self) -> None:
        """Whoever must see every field can ask whether lookups do; dropping always does."""
        long = Header(b"A: 1\r\n" * (SECTION_LIMIT // 6 + 1) + b"Bcc: x\r\n\r\n")
        assert not long.whole
        assert b"bcc" not in long
        assert b"Bcc" not in bytes(long.drop(b"bcc"))
        assert Header(BLOCK).whole

    @given(octets, st.sampled_from([b"A", b"b", b""]))
    def test_never_raises(self, block: bytes, name: bytes) -> None:
        """Whatever stands there is split; dropping a name leaves none of it."""
        found = Header(block)
        assert found.count(name) == sum(
            field.name.lower() == name.lower() for field in found.fields()
        )
        assert found.drop(name).count(name) == 0 or b":" in found.drop(name).block


class TestFiltered:
    """HEADER.FIELDS and HEADER.FIELDS.NOT."""

    def test_wanted(self) -> None:
        """The named fields, in the message's order, and the empty line (RFC 3501 §6.4.5)."""
        assert wanted(BLOCK, [b"subject", b"FROM"]) == (
            b"From: ann@hub.example\r\nSUBJECT :  two  words \r\n\r\n"
        )
        assert wanted(BLOCK, [b"To"]) == b"\r\n"

    def test_unwanted(self) -> None:
        """The others, junk included."""
        block = b"A: 1\r\njunk\r\nB: 2\r\n\r\n"
        assert unwanted(block, [b"b"]) == b"A: 1\r\njunk\r\n\r\n"
        assert unwanted(block, []) == block

    def test_no_empty_line(self) -> None:
        """Where the message has no empty line the subset has none (RFC 3501 §6.4.5)."""
        assert wanted(b"A: 1\r\nB: 2", [b"A"]) == b"A: 1\r\n"
        assert unwanted(b"A: 1\r\nB: 2", [b"A"]) == b"B: 2"

    def test_bare_lf(self) -> None:
        """The empty line is the message's own."""
        assert wanted(b"A: 1\nB: 2\n\n", [b"B"]) == b"B: 2\n\n"
        assert unwanted(b"\n", [b"B"]) == b"\n"
        assert unwanted(b"\r\n", [b"B"]) == b"\r\n"

    @given(octets)
    def test_complement(self, content: bytes) -> None:
        """Every octet is in one of the two."""
        block = content[: header.end(content)]
        named, others = wanted(block, [b"a", b"b"]), unwanted(block, [b"a", b"b"])
        last = len(wanted(block, []))
        assert len(named) + len(others) == len(block) + last


class TestMake:
    """Fields of our own."""

    def test_short(self) -> None:
        """A short field is one line."""
        assert make("Subject", "hello") == b"Subject: hello\r\n"

    def test_folds(self) -> None:
        """Lines fold before blanks, at 78 octets if they can (RFC 5322 §2.1.1)."""
        made = make("Received", "from a.example by b.example " * 6)
        lines = made.split(b"\r\n")
        assert all(len(line) <= 78 for line in lines)
        assert len(lines) > 2
        assert (
            header.unfold(made.partition(b":")[2]) == (b"from a.example by b.example " * 6).strip()
        )

    def test_long_word(self) -> None:
        """A word is cut only beyond 998 octets, and not within a character."""
        made = make("X", "é" * 1200)
        lines = made.split(b"\r\n")
        assert all(len(line) <= LINE_LIMIT for line in lines)
        for line in lines:
            line.decode()

    def test_no_utf8(self) -> None:
        """Octets that are no UTF-8 can be cut anywhere."""
        made = make("X", "\udc80" * 2000)
        assert all(len(line) <= LINE_LIMIT for line in made.split(b"\r\n"))

    @pytest.mark.parametrize("value", ["a\r\nBcc: x", "a\nb", "a\rb", "a\x00b", "\r\n\r\nbody"])
    def test_no_injection(self, value: str) -> None:
        """No value adds a line of its own."""
        made = make("X", value)
        assert made.count(b"\n") == 1
        assert Header(made).count(b"x") == 1

    @pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r\n"])
    def test_name(self, name: str) -> None:
        """A name is a name (RFC 5322 §3.6.8)."""
        with pytest.raises(ValueError, match="field name"):
            make(name, "x")

    @given(st.text(max_size=300))
    def test_one_field(self, value: str) -> None:
        """Whatever the value, one field comes out, and its words are kept."""
        made = make("X-Test", value.encode("utf-8", "replace").decode())
        assert len(Header(made).fields()) == 1
        assert made.endswith(b"\r\n")
        assert b"\r\n\r\n" not in made
        assert b"".join(made.split()) == b"".join(
            b"".join((b"X-Test:", make("Y", value.encode("utf-8", "replace").decode())[2:])).split()
        )

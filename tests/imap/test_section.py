"""BODY[section]."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.section import (
    Section,
    UnknownEncoding,
    binary,
    find,
    narrow,
    section,
    select,
    span,
)
from mailhub.mail.part import parse

CORPUS = Path(__file__).parent.parent / "corpus" / "mime"
KINDS = ["", "HEADER", "TEXT", "MIME", "HEADER.FIELDS", "HEADER.FIELDS.NOT"]


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


# RFC 3501 §6.4.5's own tree:
# HEADER, TEXT; 1 TEXT/PLAIN; 2 APPLICATION/OCTET-STREAM; 3 MESSAGE/RFC822 (3.1, 3.2);
# 4 MULTIPART/MIXED (4.1 IMAGE/GIF, 4.2 MESSAGE/RFC822 (4.2.1, 4.2.2 MULTIPART/ALTERNATIVE))
TREE = crlf(
    "Subject: outer\nContent-Type: multipart/mixed; boundary=a\n\npreamble\n"
    "--a\nX-Part: 1\n\nfirst\n"
    "--a\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\nQUJD\n"
    "--a\nContent-Type: message/rfc822\n\n"
    "Subject: third\nTo: x@y\nContent-Type: multipart/mixed; boundary=b\n\n"
    "--b\n\nthree one\n--b\nContent-Type: application/octet-stream\n\nthree two\n--b--\n\n"
    "--a\nContent-Type: multipart/mixed; boundary=c\n\n"
    "--c\nContent-Type: image/gif\nContent-ID: <gif>\n\ngif\n"
    "--c\nContent-Type: message/rfc822\n\n"
    "Subject: fourth\nContent-Type: multipart/mixed; boundary=d\n\n"
    "--d\n\nfour two one\n"
    "--d\nContent-Type: multipart/alternative; boundary=e\n\n"
    "--e\n\nplain\n--e\nContent-Type: text/richtext\n\nrich\n--e--\n\n--d--\n\n--c--\n\n--a--\n"
)
LEAF = crlf("Subject: x\nTo: y@z\n\nbody\n")
MESSAGE = crlf("Content-Type: message/rfc822\n\nSubject: inner\n\ninner body\n")


class TestNumbers:
    """Part numbers (RFC 3501 §6.4.5)."""

    @pytest.mark.parametrize(
        ("numbers", "expected"),
        [
            ((1,), b"first"),
            ((2,), b"QUJD"),
            ((3, 1), b"three one"),
            ((3, 2), b"three two"),
            ((4, 1), b"gif"),
            ((4, 2, 1), b"four two one"),
            ((4, 2, 2, 1), b"plain"),
            ((4, 2, 2, 2), b"rich"),
        ],
    )
    def test_example(self, numbers: tuple[int, ...], expected: bytes) -> None:
        """RFC 3501's own example of a tree."""
        assert section(TREE, Section(numbers)) == expected

    @pytest.mark.parametrize(
        "numbers", [(5,), (1, 1), (3, 3), (2, 1), (4, 3), (4, 1, 1), (4, 2, 2, 3), (4, 2, 2, 1, 1)]
    )
    def test_missing(self, numbers: tuple[int, ...]) -> None:
        """A part that is not there is None, whatever is asked of it."""
        for kind in KINDS:
            assert section(TREE, Section(numbers, kind, (b"To",))) is None

    def test_leaf(self) -> None:
        """A message that is no multipart is its own part 1."""
        assert section(LEAF, Section((1,))) == b"body\r\n"
        assert section(LEAF, Section((1,), "MIME")) == b"Subject: x\r\nTo: y@z\r\n\r\n"
        assert section(LEAF, Section((2,))) is None
        assert section(LEAF, Section((1, 1))) is None
        assert section(LEAF, Section((1,), "TEXT")) is None

    def test_message(self) -> None:
        """A message that is a message has the embedded one's parts below part 1."""
        assert section(MESSAGE, Section((1,))) == crlf("Subject: inner\n\ninner body\n")
        assert section(MESSAGE, Section((1,), "HEADER")) == crlf("Subject: inner\n\n")
        assert section(MESSAGE, Section((1, 1))) == b"inner body\r\n"
        assert section(MESSAGE, Section((1, 1, 1))) is None

    def test_no_parts(self) -> None:
        """A multipart without parts has the empty part that BODYSTRUCTURE shows."""
        content = (CORPUS / "no_delimiter.eml").read_bytes()
        assert section(content, Section((1,))) == b""
        assert section(content, Section((1,), "MIME")) == b""
        assert section(content, Section((1, 1))) is None
        assert section(content, Section((2,))) is None

    def test_find(self) -> None:
        """No numbers are no part."""
        assert find(parse(TREE), ()) is None


class TestKinds:
    """HEADER, TEXT, MIME and the field lists."""

    def test_of_the_message(self) -> None:
        """Without numbers they are the message's own."""
        head, _, body = TREE.partition(b"\r\n\r\n")
        assert section(TREE, Section()) == TREE
        assert section(TREE, Section(kind="HEADER")) == head + b"\r\n\r\n"
        assert section(TREE, Section(kind="TEXT")) == body
        assert section(TREE, Section(kind="MIME")) is None

    def test_of_an_embedded_message(self) -> None:
        """With numbers they are an embedded message's."""
        assert section(TREE, Section((3,), "HEADER")) == crlf(
            "Subject: third\nTo: x@y\nContent-Type: multipart/mixed; boundary=b\n\n"
        )
        text = section(TREE, Section((4, 2), "TEXT"))
        assert text is not None
        assert text.startswith(b"--d\r\n")
        assert section(TREE, Section((3,), "HEADER.FIELDS", (b"TO", b"From"))) == b"To: x@y\r\n\r\n"
        assert section(TREE, Section((3,), "HEADER.FIELDS.NOT", (b"Content-type",))) == crlf(
            "Subject: third\nTo: x@y\n\n"
        )

    def test_of_other_parts(self) -> None:
        """Parts that are no messages have none but MIME."""
        assert section(TREE, Section((1,), "MIME")) == b"X-Part: 1\r\n\r\n"
        assert section(TREE, Section((4, 1), "MIME")) == crlf(
            "Content-Type: image/gif\nContent-ID: <gif>\n\n"
        )
        assert section(TREE, Section((3,), "MIME")) == b"Content-Type: message/rfc822\r\n\r\n"
        for kind in ("HEADER", "TEXT", "HEADER.FIELDS"):
            assert section(TREE, Section((1,), kind, (b"X-Part",))) is None
            assert section(TREE, Section((4,), kind, (b"X-Part",))) is None

    def test_header_only(self) -> None:
        """A message without empty line: all is header."""
        assert section(b"A: b\r\n", Section(kind="HEADER")) == b"A: b\r\n"
        assert section(b"A: b\r\n", Section(kind="TEXT")) == b""


sections = st.builds(
    Section,
    st.lists(st.integers(1, 3), max_size=4).map(tuple),
    st.sampled_from(KINDS),
    st.just((b"Subject", b"To")),
)


class TestSpans:
    """Offsets instead of octets."""

    @given(sections, st.sampled_from([TREE, LEAF, MESSAGE, b"", b"x", TREE[:300]]))
    def test_agree(self, wanted: Section, content: bytes) -> None:
        """A span cut out is the section, and both exist or neither does (invariant 1)."""
        tree = parse(content)
        found = span(tree, wanted)
        octets = section(content, wanted)
        assert octets == section(content, wanted, tree)
        if found is None:
            assert octets is None
        else:
            assert octets == select(content[found[0] : found[1]], wanted)

    @given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 30), st.integers(0, 30))
    def test_narrow(self, start: int, size: int, offset: int, count: int) -> None:
        """A partial fetch is a slice (RFC 3501 §6.4.5)."""
        content = bytes(range(60))
        first, last = narrow((start, start + size), offset, count)
        assert content[first:last] == content[start : start + size][offset : offset + count]


class TestBinary:
    """BINARY (RFC 3516)."""

    def test_decoded(self) -> None:
        """The body with its encoding undone."""
        assert binary(TREE, (2,)) == b"ABC"
        assert binary(TREE, (1,)) == b"first"
        quoted = crlf("MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\na=3Db\n")
        assert binary(quoted, (1,), parse(quoted)) == b"a=b\r\n"

    def test_structured(self) -> None:
        """Parts with parts have no encoding (RFC 2045 §6.4)."""
        assert binary(TREE, (3,)) == section(TREE, Section((3,)))

    def test_missing(self) -> None:
        """No such part is None."""
        assert binary(TREE, (9,)) is None

    def test_whole(self) -> None:
        """The message as a whole has no encoding."""
        assert binary(TREE, ()) == TREE

    def test_unknown(self) -> None:
        """An encoding that nobody knows cannot be undone (RFC 3516 §4.3)."""
        with pytest.raises(UnknownEncoding):
            binary(b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: x-own\r\n\r\nx", (1,))

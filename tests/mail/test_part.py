"""The MIME structure of a content."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail import header
from mailhub.mail.part import Limits, Part, parse

CORPUS = Path(__file__).parent.parent / "corpus" / "mime"
SIMPLE_TIME = 60e-6
"""Seconds for a simple message of 4 KB (measured: 10 µs)."""

pieces = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: multipart/digest; boundary=bb\r\n",
        b"Content-Type: message/rfc822\r\n", b"Content-Type: text/html; charset=x\r\n",
        b"Content-Type: multipart/mixed\r\n", b"Subject: x\r\n", b"\r\n", b"\n", b"\r\n\r\n",
        b"--b\r\n", b"--bb\r\n", b"--b--\r\n", b"--bb--\r\n", b"--b", b"--", b"text\r\n", b"\r",
        b"\x00",
        b"Content-Transfer-Encoding: base64\r\n",
    ]
)  # fmt: skip
MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
NEST = b"".join(MIXED.replace(b"=b", b"=x%d" % i) + b"--x%d\r\n" % i for i in range(99))
contents = st.lists(pieces, max_size=40).map(b"".join) | st.binary(max_size=100)


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def kinds(part: Part) -> object:
    """The tree as nested types."""
    name = f"{part.type.decode()}/{part.subtype.decode()}".lower()
    return (name, [kinds(child) for child in part.children]) if part.children else name


def bodies(content: bytes, part: Part) -> list[bytes]:
    """The bodies of the leaves."""
    return [content[p.body : p.end] for p in part.walk() if not p.children]


def check(content: bytes, tree: Part) -> None:
    """Invariant 2."""
    assert (tree.start, tree.end) == (0, len(content))
    for part in tree.walk():
        assert 0 <= part.start <= part.body <= part.end <= len(content)
        assert part.size == part.end - part.body
        last = part.body
        for child in part.children:
            assert last <= child.start <= child.end <= part.end
            last = child.end
        if not part.is_multipart:
            assert part.lines == content.count(b"\n", part.body, part.end)


def test_leaves() -> None:
    """What a message is made of, in order; a message that it holds is one piece."""
    content = crlf(
        "Content-type: multipart/mixed; boundary=a\n\n"
        "--a\nContent-type: multipart/alternative; boundary=b\n\n"
        "--b\n\nplain\n--b\nContent-type: text/html\n\nhtml\n--b--\n"
        "--a\nContent-type: message/rfc822\n\nSubject: inner\n\ninner\n--a--\n"
    )
    assert [it.subtype for it in parse(content).leaves()] == [b"plain", b"html", b"rfc822"]
    [alone] = parse(crlf("Subject: x\n\nx\n")).leaves()
    assert alone.subtype == b"plain"


class TestExamples:
    """The RFCs' own examples."""

    def test_rfc2046_mixed(self) -> None:
        """RFC 2046 §5.1.1: preamble and epilogue are ignored, line ends belong to delimiters."""
        content = crlf(
            "From: Nathaniel Borenstein <nsb@bellcore.com>\n"
            "To: Ned Freed <ned@innosoft.com>\n"
            "Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)\n"
            "Subject: Sample message\n"
            "MIME-Version: 1.0\n"
            'Content-type: multipart/mixed; boundary="simple boundary"\n'
            "\n"
            "This is the preamble.  It is to be ignored.\n"
            "\n"
            "--simple boundary\n"
            "\n"
            "This is implicitly typed plain US-ASCII text.\n"
            "It does NOT end with a linebreak.\n"
            "--simple boundary\n"
            "Content-type: text/plain; charset=us-ascii\n"
            "\n"
            "This is explicitly typed plain US-ASCII text.\n"
            "It DOES end with a linebreak.\n"
            "\n"
            "--simple boundary--\n"
            "\n"
            "This is the epilogue.  It is also to be ignored.\n"
        )
        tree = parse(content)
        check(content, tree)
        assert kinds(tree) == ("multipart/mixed", ["text/plain", "text/plain"])
        first, second = bodies(content, tree)
        assert first.endswith(b"with a linebreak.")
        assert second.endswith(b"with a linebreak.\r\n")
        assert tree.fields is not None
        assert header.unfold(tree.fields[b"subject"][0]) == b"Sample message"

    def test_rfc2046_digest(self) -> None:
        """RFC 2046 §5.1.5: parts of a digest are messages by default."""
        content = crlf(
            'Content-Type: multipart/mixed; boundary="---- main boundary ----"\n\n'
            "------ main boundary ----\n\n"
            "...Introductory text or table of contents...\n"
            "------ main boundary ----\n"
            'Content-Type: multipart/digest; boundary="---- next message ----"\n\n'
            "------ next message ----\n\n"
            "From: someone-else\nSubject: my opinion\n\n...body goes here ...\n\n"
            "------ next message ----\n\n"
            "From: someone-else-again\nSubject: my different opinion\n\n... another body\n\n"
            "------ next message ------\n"
            "------ main boundary ------\n"
        )
        tree = parse(content)
        check(content, tree)
        message = ("message/rfc822", ["text/plain"])
        assert kinds(tree) == (
            "multipart/mixed",
            ["text/plain", ("multipart/digest", [message] * 2)],
        )
        opinion = tree.children[1].children[0].children[0]
        assert opinion.fields is not None
        assert opinion.fields[b"subject"] == [b" my opinion\r\n"]
        assert content[opinion.body : opinion.end] == b"...body goes here ...\r\n"

    def test_rfc2049(self) -> None:
        """RFC 2049, appendix A: a multipart in a multipart, and a message in it."""
        content = crlf(
            "MIME-Version: 1.0\nFrom: Nathaniel Borenstein <nsb@nsb.fv.com>\n"
            "Content-Type: multipart/mixed;\n              boundary=unique-boundary-1\n\n"
            "This is the preamble area of a multipart message.\n\n"
            "--unique-boundary-1\n\n  ... Some text appears here ...\n\n"
            "--unique-boundary-1\nContent-type: text/plain; charset=US-ASCII\n\nexplicit\n\n"
            "--unique-boundary-1\n"
            "Content-Type: multipart/parallel; boundary=unique-boundary-2\n\n"
            "--unique-boundary-2\nContent-Type: audio/basic\n"
            "Content-Transfer-Encoding: base64\n\n... base64-encoded audio ...\n\n"
            "--unique-boundary-2\nContent-Type: image/jpeg\n"
            "Content-Transfer-Encoding: base64\n\n... image data ...\n\n"
            "--unique-boundary-2--\n\n"
            "--unique-boundary-1\nContent-type: text/enriched\n\n<bold>x</bold>\n\n"
            "--unique-boundary-1\nContent-Type: message/rfc822\n\n"
            "From: (mailbox in US-ASCII)\nSubject: (subject in US-ASCII)\n"
            "Content-Type: Text/plain; charset=ISO-8859-1\n"
            "Content-Transfer-Encoding: Quoted-printable\n\n"
            "  ... Additional text in ISO-8859-1 goes here ...\n\n"
            "--unique-boundary-1--\n"
        )
        tree = parse(content)
        check(content, tree)
        assert kinds(tree) == (
            "multipart/mixed",
            [
                "text/plain",
                "text/plain",
                ("multipart/parallel", ["audio/basic", "image/jpeg"]),
                "text/enriched",
                ("message/rfc822", ["text/plain"]),
            ],
        )
        inner = tree.children[4].children[0]
        assert inner.encoding == b"Quoted-printable"
        assert inner.parameter(b"charset") == b"ISO-8859-1"


class TestMessage:
    """A message without parts."""

    def test_defaults(self) -> None:
        """Plain text, seven bits, nothing else said (RFC 2045 §5.2)."""
        tree = parse(b"Subject: x\r\n\r\nbody\r\n")
        assert (tree.type, tree.subtype, tree.parameters) == (b"text", b"plain", ())
        assert tree.encoding == b"7bit"
        assert (tree.id, tree.description, tree.md5, tree.location) == (None,) * 4
        assert (tree.disposition, tree.language, tree.lines) == (None, (), 1)
        assert not tree.is_message
        assert not tree.is_multipart

    def test_not_mime(self) -> None:
        """Without MIME-Version and Content-Type the other fields mean nothing (RFC 2045 §4)."""
        text = b"Content-Transfer-Encoding: base64\r\nContent-ID: <x>\r\n\r\nx"
        assert parse(text).encoding == b"7bit"
        assert parse(b"MIME-Version: 1.0\r\n" + text).encoding == b"base64"
        assert parse(b"Content-Type: text/plain\r\n" + text).id == b"<x>"

    def test_described(self) -> None:
        """Each Content- field is read; of two the first counts."""
        tree = parse((CORPUS / "all_fields.eml").read_bytes())
        assert tree.id == b"<i@d>"
        assert tree.description == b"some   text here"
        assert tree.md5 == b"abc=="
        assert tree.language == (b"en", b"de")
        assert tree.location == b"http://x/ y"
        assert tree.disposition is not None
        assert tree.disposition.token == b"INLINE"
        twice = b"Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\n"
        assert parse(twice).subtype == b"html"

    def test_empty_fields(self) -> None:
        """A field that is there and empty is an empty string, or nothing said."""
        tree = parse(
            b"MIME-Version: 1.0\r\nContent-ID:\r\nContent-Language:\r\n"
            b"Content-Disposition:\r\nContent-Transfer-Encoding:\r\n\r\n"
        )
        assert tree.id == b""
        assert tree.language == ()
        assert tree.disposition is None
        assert tree.encoding == b"7bit"

    @pytest.mark.parametrize(
        "content", [b"", b"\r\n", b"x", b"A: b", b"A: b\r\n", b"\n", b"\r", b"--"]
    )
    def test_tiny(self, content: bytes) -> None:
        """Hardly anything is a message, too."""
        check(content, parse(content))


class TestMalformed:
    """What senders get wrong; `tests/corpus/mime` has more, `test_structure` reads it."""

    @pytest.mark.parametrize(
        "text",
        [
            "--b\n\none\n--b\n\ntwo\n",
            "--b\n\none\n--b\n\ntwo",
            "--b\n\none\n--b\n\ntwo\n--b--",
            "--b\n\none\n--b\n\ntwo\n--b--\n--b\n\nthree\n",
            "--b  \n\none\n--b\t\n\ntwo\n--b-- \n",
            "--bjunk\n\none\n--b-\n\ntwo\n--b--junk\n",
        ],
    )
    def test_delimiters(self, text: str) -> None:
        """Missing and padded delimiters: there are two parts (RFC 2046 §5.1.1)."""
        content = crlf("Content-Type: multipart/mixed; boundary=b\n\n" + text)
        tree = parse(content)
        check(content, tree)
        assert [body.strip() for body in bodies(content, tree)] == [b"one", b"two"]

    def test_three_levels_of_prefixes(self) -> None:
        """A delimiter belongs to the longest open boundary it begins with."""
        content = crlf(
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
            "Content-Type: multipart/mixed; boundary=c\n\n--c\n"
            "Content-Type: multipart/mixed; boundary=bb\n\n--bb\n\none\n--bb\n\ntwo\n--bb--\n"
            "--c\n\nthree\n--c--\n--b\n\nfour\n--b--\n"
        )
        tree = parse(content)
        check(content, tree)
        assert bodies(content, tree) == [b"one", b"two", b"three", b"four"]

    def test_parent_ends_child(self) -> None:
        """A delimiter of an outer multipart ends all inner ones."""
        content = crlf(
            "Content-Type: multipart/mixed; boundary=a\n\n--a\n"
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
            "Content-Type: message/rfc822\n\n"
            "Content-Type: multipart/mixed; boundary=c\n\n--c\n\none\n"
            "--a\n\ntwo\n--a--\n--b\n--c\n"
        )
        tree = parse(content)
        check(content, tree)
        assert bodies(content, tree) == [b"one", b"two"]

    def test_line_end_of_a_close_delimiter(self) -> None:
        """It stays with the inner multipart, though a delimiter follows at once."""
        content = (CORPUS / "embedded_multipart.eml").read_bytes()
        tree = parse(content)
        inner = tree.children[0]
        assert content[inner.body : inner.end].endswith(b"--c--\r\n")

    def test_embedded_header_only(self) -> None:
        """An embedded header section keeps its last line end and its empty line."""
        prefix = (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
        )
        for ending in ("\n", "\n\n"):
            content = crlf(prefix + "Subject: x" + ending + "--b--\n")
            part = parse(content).children[0]
            assert content[part.body : part.end] == crlf("Subject: x" + ending)
            inner = part.children[0]
            assert (inner.start, inner.body, inner.end) == (part.body, part.end, part.end)

    def test_empty_line_is_not_a_delimiters(self) -> None:
        """The empty line above an inner delimiter is the header's, whatever the boundaries."""
        content = crlf(
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
            "Content-Type: multipart/mixed; boundary=bb\n\n--bb\n\nx\n--bb--\n--b--\n"
        )
        inner = parse(content).children[0]
        assert content[inner.start : inner.body].endswith(b"boundary=bb\r\n\r\n")

    @given(contents)
    def test_total(self, content: bytes) -> None:
        """Nothing raises, and spans nest and lie within (invariants 1 and 2)."""
        check(content, parse(content))

    @given(st.lists(pieces, max_size=60).map(b"".join))
    def test_cramped(self, content: bytes) -> None:
        """The same with limits that are soon reached."""
        tree = parse(content, Limits(depth=3, parts=4, passes=1, spare=50))
        check(content, tree)
        assert sum(1 for _ in tree.walk()) <= 5


class TestLimits:
    """Depth, parts, passes."""

    def test_depth(self) -> None:
        """What would have parts too deep down is opaque."""
        content = crlf(
            "".join(
                f"Content-Type: multipart/mixed; boundary=x{i:03}\n\n--x{i:03}\n"
                for i in range(150)
            )
        )
        tree = parse(content)
        check(content, tree)
        deepest = list(tree.walk())[-1]
        assert (deepest.type, deepest.subtype) == (b"application", b"octet-stream")
        assert sum(1 for _ in tree.walk()) == 100
        nested = b"Content-Type: message/rfc822\r\n\r\n" * 150
        assert sum(1 for _ in parse(nested).walk()) == 100

    def test_parts(self) -> None:
        """The last part allowed takes the rest."""
        content = crlf("Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\nx\n" * 5000)
        tree = parse(content)
        check(content, tree)
        assert len(tree.children) == 999
        assert tree.children[-1].end == len(content)

    @pytest.mark.parametrize(
        "content",
        [
            MIXED + b"--\r\n" * 250_000,
            MIXED + b"--b\r\n" * 200_000,
            MIXED + (b"--b\r\n" + MIXED.replace(b"=b", b"=c")) * 20_000,
            NEST + b"x\r\n" * 300_000,
            b"Content-Type: message/rfc822\r\n\r\n" * 99 + b"\r\n" * 500_000,
            b"A:\n" * 330_000,
        ],
    )  # fmt: skip
    def test_linear(self, content: bytes) -> None:
        """A hostile megabyte takes a fraction of a second (invariant 3)."""
        start = time.process_time()
        tree = parse(content)
        assert time.process_time() - start < 0.5
        check(content, tree)

    def test_passes(self) -> None:
        """Once the octets have been searched often enough no delimiter is looked for."""
        nest = b"".join(
            b"Content-Type: multipart/mixed; boundary=x%d\r\n\r\n--x%d\r\n" % (i, i)
            for i in range(90)
        )
        content = nest + b"x\r\n" * 100_000
        tree = parse(content, Limits(passes=2, spare=0))
        check(content, tree)
        assert sum(1 for _ in tree.walk()) < 99

    def test_speed(self) -> None:
        """A simple message is indexed in microseconds."""
        content = b"Subject: x\r\nContent-Type: text/plain\r\n\r\n" + b"some text\r\n" * 360
        best = 1.0
        for _ in range(50):
            start = time.perf_counter()
            parse(content)
            best = min(best, time.perf_counter() - start)
        assert best < SIMPLE_TIME

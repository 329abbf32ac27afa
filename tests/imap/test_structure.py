"""ENVELOPE, BODY and BODYSTRUCTURE."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.structure import QUOTED_LIMIT, envelope, nstring, string, summary
from mailhub.mail import header
from mailhub.ports.message import Summary

CORPUS = Path(__file__).parent.parent / "corpus" / "mime"
_ATOM = re.compile(rb"NIL|\d+")
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("latin-1")


def read(value: bytes, at: int = 0) -> tuple[object, int]:
    """One value of the grammar, and where it ends; anything else fails."""
    if value[at : at + 1] == b"(":
        items = []
        at += 1
        while value[at : at + 1] != b")":
            item, at = read(value, at + (value[at : at + 1] == b" "))
            items.append(item)
        assert items, "an empty list is no value"
        return items, at + 1
    if value[at : at + 1] == b'"':
        found = re.compile(rb'"((?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*)"').match(value, at)
        assert found is not None, value[at : at + 40]
        return re.sub(rb"\\(.)", rb"\1", found[1]), found.end()
    literal = _LITERAL.match(value, at)
    if literal is not None:
        end = literal.end() + int(literal[1])
        assert len(value) >= end
        assert b"\x00" not in value[literal.end() : end]
        return value[literal.end() : end], end
    atom = _ATOM.match(value, at)
    assert atom is not None, value[at : at + 40]
    return (None if atom[0] == b"NIL" else int(atom[0])), atom.end()


def well_formed(value: bytes) -> object:
    found, end = read(value)
    assert end == len(value)
    return found


def envelope_of(block: str) -> bytes:
    return envelope(header.index(crlf(block)))


class TestExamples:
    """The RFCs' own examples."""

    def test_rfc3501(self) -> None:
        """RFC 3501 §8: message 12."""
        content = crlf(
            "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\n"
            "From: Terry Gray <gray@cac.washington.edu>\n"
            "Subject: IMAP4rev1 WG mtg summary and minutes\n"
            "To: imap@cac.washington.edu\n"
            "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\n"
            "Message-Id: <B27397-0100000@cac.washington.edu>\n"
            "MIME-Version: 1.0\n"
            "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n"
            "\n" + "x" * 31 + "\n" + ("x" * 31 + "\n") * 90 + "x" * 23 + "\n"
        )
        gray = b'(("Terry Gray" NIL "gray" "cac.washington.edu"))'
        found = summary(content)
        assert found.envelope == (
            b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" '
            b'"IMAP4rev1 WG mtg summary and minutes" '
            + b" ".join([gray] * 3)
            + b' ((NIL NIL "imap" "cac.washington.edu"))'
            b' ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU"))'
            b' NIL NIL "<B27397-0100000@cac.washington.edu>")'
        )
        assert found.body == (b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 3028 92)')
        assert found.bodystructure == found.body[:-1] + b" NIL NIL NIL NIL)"

    def test_rfc3501_attachment(self) -> None:
        """RFC 3501 §7.4.2: two parts, the second an attachment in base64."""
        content = crlf(
            "Content-Type: MULTIPART/MIXED; BOUNDARY=x\n\n--x\n"
            "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\nhello\n\n--x\n"
            'Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME="cc.diff"\n'
            "Content-ID: <960723163407.20117h@cac.washington.edu>\n"
            "Content-Description: Compiler diff\nContent-Transfer-Encoding: BASE64\n\n"
            "QUJD\n\n--x--\n"
        )
        assert summary(content).body == (
            b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 7 1)'
            b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") '
            b'"<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 6 1) "MIXED")'
        )


class TestEnvelope:
    """ENVELOPE."""

    def test_absent_and_empty(self) -> None:
        """Absent fields are NIL, empty strings are ``""``, empty lists NIL (RFC 3501 §7.4.2)."""
        assert envelope_of("") == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
        empty = "Date:\nSubject: \nFrom:\nTo: \nIn-Reply-To:\nMessage-ID:\n"
        assert envelope_of(empty) == b'("" "" NIL NIL NIL NIL NIL NIL "" "")'

    def test_sender_and_reply_to(self) -> None:
        """Absent or empty they are From's (RFC 3501 §7.4.2)."""
        a, b, c = (b'((NIL NIL "%b" "x"))' % name for name in (b"a", b"b", b"c"))
        assert envelope_of("From: a@x\nSender:\n") == b"(NIL NIL %b %b %b NIL NIL NIL NIL NIL)" % (
            a,
            a,
            a,
        )
        found = envelope_of("From: a@x\nSender: b@x\nReply-To: c@x\n")
        assert found == b"(NIL NIL %b %b %b NIL NIL NIL NIL NIL)" % (a, b, c)

    def test_twice(self) -> None:
        """Of a string's fields the last counts; addresses are those of all."""
        found = envelope_of("Subject: 1\nSubject: 2\nTo: a@x\nTo: b@x\n")
        assert (
            found == b'(NIL "2" NIL NIL NIL ((NIL NIL "a" "x")(NIL NIL "b" "x")) NIL NIL NIL NIL)'
        )

    def test_blanks(self) -> None:
        """Folds and runs of blanks become one space."""
        found = well_formed(envelope_of('Subject:  a\n\t b\n  c\td\rx \nFrom: "A\n  B" <a@b>\n'))
        assert isinstance(found, list)
        assert found[1] == b"a b c d x"
        assert found[2] == [[b"A B", None, b"a", b"b"]]

    def test_odd_octets(self) -> None:
        """8-bit octets are sent as they came, in literals; NUL becomes U+FFFD."""
        found = envelope_of("Subject: caf\xe9\nFrom: a\x00b <c@d>\n")
        assert b"{4}\r\ncaf\xe9 " in found
        assert "a\ufffdb".encode() in found

    def test_quoting(self) -> None:
        """Quotes and backslashes are escaped."""
        assert rb'"say \"hi\" \\ x"' in envelope_of('Subject: say "hi" \\ x\n')


class TestStrings:
    """Quoted strings and literals."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (b"", b'""'),
            (b"a b", b'"a b"'),
            (b'"\\', b'"\\"\\\\"'),
            (b"a\r\nb", b"{4}\r\na\r\nb"),
            (b"\xe9", b"{1}\r\n\xe9"),
            (b"\x00", b"{3}\r\n\xef\xbf\xbd"),
            (b"x" * QUOTED_LIMIT, b'"' + b"x" * QUOTED_LIMIT + b'"'),
            (
                b"x" * (QUOTED_LIMIT + 1),
                b"{%d}\r\n" % (QUOTED_LIMIT + 1) + b"x" * (QUOTED_LIMIT + 1),
            ),
        ],
    )
    def test_string(self, value: bytes, expected: bytes) -> None:
        """Quoted where it can be (RFC 3501 §4.3)."""
        assert string(value) == expected

    def test_nstring(self) -> None:
        """Nothing is NIL."""
        assert nstring(None) == b"NIL"
        assert nstring(b"NIL") == b'"NIL"'

    @given(st.binary(max_size=40))
    def test_round_trip(self, value: bytes) -> None:
        """What is written is read back, NULs apart."""
        assert well_formed(string(value)) == value.replace(b"\x00", "\ufffd".encode())


class TestBodyStructure:
    """BODY and BODYSTRUCTURE."""

    @pytest.mark.parametrize("path", sorted(CORPUS.glob("*.eml")), ids=lambda path: path.stem)
    def test_corpus(self, path: Path) -> None:
        """Malformed messages: each has the structure that stands in the list beside them."""
        lines = (CORPUS / "bodystructures.txt").read_text(encoding="utf-8").splitlines()
        expected = dict(line.split(": ", 1) for line in lines if not line.startswith("#"))
        found = summary(path.read_bytes())
        assert found.bodystructure.decode() == expected[path.stem]
        well_formed(found.body)

    def test_embedded(self) -> None:
        """A message/rfc822 has envelope, structure and lines (RFC 3501 §7.4.2)."""
        found = summary(crlf("Content-Type: message/rfc822\n\nSubject: in\n\nx\n"))
        text = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'
        assert found.body == (
            b'("message" "rfc822" NIL NIL NIL "7bit" 18'
            b' (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ' + text + b" 3)"
        )

    def test_disposition(self) -> None:
        """Extension data follows in its order (RFC 3501 §9: body-ext-1part)."""
        found = summary(
            crlf(
                "Content-Type: image/png\nContent-MD5: abc\nContent-Language: en, de\n"
                'Content-Disposition: attachment; filename="a b"\nContent-Location: x\n\n'
            )
        )
        assert found.bodystructure == (
            b'("image" "png" NIL NIL NIL "7bit" 0 "abc"'
            b' ("attachment" ("filename" "a b")) ("en" "de") "x")'
        )
        bare = summary(b"Content-Type: image/png\r\nContent-Disposition: inline\r\n\r\n")
        assert b'("inline" NIL)' in bare.bodystructure

    def test_default_charset(self) -> None:
        """Text without charset is US-ASCII (RFC 2045 §5.2); other types have none."""
        assert (
            b'("format" "flowed" "charset" "us-ascii")'
            in summary(b"Content-Type: text/plain; format=flowed\r\n\r\n").body
        )
        assert b"us-ascii" not in summary(b"Content-Type: image/png\r\n\r\n").body

    def test_deep(self) -> None:
        """A hundred levels are rendered."""
        nest = "".join(
            f"Content-Type: multipart/mixed; boundary=x{i:03}\n\n--x{i:03}\n" for i in range(150)
        )
        assert summary(crlf(nest)).body.startswith(b"(" * 100)

    @given(
        st.lists(
            st.sampled_from(
                [b"From: ", b"Content-Type: ", b"multipart/mixed; boundary=b", b"a@b, \"c", b"\r\n",
                 b"--b\r\n", b"text/plain; x=y", b"message/rfc822", b"\r\n\r\n", b"en, de",
                 b"Content-Language: ", b"\xe9", b"\x00", b"Content-Disposition: ", b"x; y=\"z",
                 b"\\", b"Subject: ", b"(", b"g: a;"]
            ),
            max_size=40,
        ).map(b"".join)
        | st.binary(max_size=80)
    )  # fmt: skip
    def test_total(self, content: bytes) -> None:
        """Whatever the message, its values are well formed (invariant 2)."""
        found: Summary = summary(content)
        whole = well_formed(found.envelope)
        assert isinstance(whole, list)
        assert len(whole) == 10
        well_formed(found.body)
        well_formed(found.bodystructure)


def test_thread() -> None:
    """THREADID comes of References, In-Reply-To or Message-ID, and of nothing else."""
    first = summary(b"Message-ID: <1@a>\r\n\r\n")
    answer = summary(b"Message-ID: <2@a>\r\nReferences: <1@a>\r\n\r\n")
    assert first.thread == answer.thread != b""
    assert summary(b"Subject: x\r\n\r\n").thread == b""

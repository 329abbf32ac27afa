"""The table of verbs: octets to commands."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.command import (
    Append,
    Authenticate,
    Command,
    Copy,
    Enable,
    Expunge,
    Fetch,
    Id,
    Login,
    Select,
    Store,
    Subscribe,
)
from mailhub.imap.composition import Begun, Ended, Literal, Step, Stretch, Url
from mailhub.imap.grammar import Tokens
from mailhub.imap.item import Fact
from mailhub.imap.response import Bad, Condition, No, astring
from mailhub.imap.sequence import SequenceSet
from mailhub.imap.settings import Limits
from mailhub.imap.syntax import parse, parse_append, parse_stretch
from mailhub.mail.charset import CHARSETS
from mailhub.ports.message import FlagAction

LIMITS = Limits()


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (b'a Login x "y z"', Login(b"x", b"y z")),
        (b"a AUTHENTICATE plain =", Authenticate("PLAIN", b"=")),
        (b"a AUTHENTICATE SCRAM-SHA-256 ", Authenticate("SCRAM-SHA-256", None)),
        (b'a ID ("x" nil "y" "z")', Id()),
        (b"a ENABLE a b ", Enable(("A", "B"))),
        (b"a SELECT x ", Select(b"x", read_only=False)),
        (b"a examine x", Select(b"x", read_only=True)),
        (b"a UNSUBSCRIBE x", Subscribe(b"x", wanted=False)),
        (b"a UID EXPUNGE 1", Expunge(SequenceSet(((1, 1),)))),
        (
            b"a UID FETCH 1 FLAGS",
            Fetch(SequenceSet(((1, 1),)), (Fact.UID, Fact.FLAGS), by_uid=True),
        ),
        (
            b"a STORE 1 -FLAGS.SILENT \\SEEN x",
            Store(
                SequenceSet(((1, 1),)),
                FlagAction.REMOVE,
                silent=True,
                flags=("\\Seen", "x"),
                by_uid=False,
            ),
        ),
        (b"a UID MOVE 1 x", Copy(SequenceSet(((1, 1),)), b"x", by_uid=True, move=True)),
    ],
)
def test_commands(text: bytes, command: Command) -> None:
    """Verbs in any case, arguments as the grammar has them, a space at the end forgiven."""
    assert parse([text], LIMITS) == command


@given(
    st.binary(min_size=1, max_size=40).filter(lambda octets: b"\0" not in octets),
    st.binary(min_size=1, max_size=40).filter(lambda octets: b"\0" not in octets),
)
def test_any_strings(user: bytes, password: bytes) -> None:
    """LOGIN takes any two strings, however they must be spelt."""
    parts = [b"a LOGIN "]
    for value, end in ((user, b" "), (password, b"")):
        spelt = astring(value)
        if spelt.startswith(b"{"):
            parts[-1] += spelt[: spelt.index(b"\r")]
            parts += [value, end]
        else:
            parts[-1] += spelt + end
    assert parse(parts, LIMITS) == Login(user, password)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a",
        b"a ",
        b"* NOOP",
        b"a UID",
        b"a UID NOOP",
        b"a UID UID FETCH 1 UID",
        b"a NOOP x",
        b"a LOGIN x",
        b"a ENABLE",
        b'a ID ("' + b"x" * 31 + b'" NIL)',
        b'a ID ("x" "' + b"y" * 1025 + b'")',
        b"a STORE 1 FLAGS \\Recent",
        b"a STORE 1 FLAGS (",
        b"a SEARCH CHARSET",
        b"a FETCH 1",
        b"a APPEND x",
    ],
)
def test_bad(text: bytes) -> None:
    """What does not parse is BAD."""
    with pytest.raises(Bad):
        parse([text], LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        b"a ENABLE" + b" x" * 300,
        b"a STORE 1 FLAGS" + b" x" * 300,
        b"a STORE 1 FLAGS (" + b"x " * 300 + b"x)",
        b"a FETCH " + b"1," * 16384 + b"1 UID",
        b"a SORT (" + b"DATE " * 30 + b"DATE) UTF-8 ALL",
        b"a SEARCH" + b" SEEN" * 1001,
        b"a SEARCH " + b"(" * 40 + b"SEEN" + b")" * 40,
    ],
)
def test_limits(text: bytes) -> None:
    """What asks for more than we allow is NO LIMIT (RFC 5530 §3)."""
    with pytest.raises(No) as caught:
        parse([text], LIMITS)
    assert caught.value.code == "LIMIT"


def test_no() -> None:
    """What parses and cannot be done is NO, with its code."""
    cases = {
        b"a SEARCH CHARSET X-NONE ALL": f"BADCHARSET ({' '.join(CHARSETS)})",
    }
    for text, code in cases.items():
        with pytest.raises(No) as caught:
            parse([text], LIMITS)
        assert caught.value.code == code


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=3))
def test_hostile(texts: list[bytes]) -> None:
    """Random octets raise nothing but conditions."""
    for verb in (b"", b"a SEARCH ", b"a FETCH 1 ", b"a STORE ", b"a LIST ", b"a ID "):
        with suppress(Condition):
            parse([verb + texts[0], *texts[1:]], LIMITS)


class TestAppend:
    def test_prefix(self) -> None:
        """An APPEND up to its message: with flags and a date, or without."""
        assert parse_append([b"a append x {5}"], LIMITS) == appended(Begun())
        text = b'a APPEND x (\\seen k) " 1-Jan-1970 00:00:01 +0000" {5+}'
        assert parse_append([text], LIMITS) == appended(Begun(("\\Seen", "k"), 1))
        assert parse_append([b"a APPEND {1}", b"x", b" () {5}"], LIMITS) == appended(Begun())
        assert parse_append([b"a APPEND x ~{5}"], LIMITS) == appended(Begun())

    def test_not_yet(self) -> None:
        """The literal may be the mailbox's name, or another command's."""
        assert parse_append([b"a APPEND {1}"], LIMITS) is None
        assert parse_append([b"a APPEND x CATENATE (URL {1}"], LIMITS) is None
        assert parse_append([b"a LOGIN {1}"], LIMITS) is None
        assert parse_append([b"+ {1}"], LIMITS) is None

    @pytest.mark.parametrize(
        "text",
        [
            b"a APPEND x{5}",
            b"a APPEND x x {5}",
            b"a APPEND x ({5}",
            b'a APPEND x "x" {5}',
            b"{5}",
            b"a {5}",
        ],
    )
    def test_bad(self, text: bytes) -> None:
        """Anything else before the literal is BAD."""
        with pytest.raises(Bad):
            parse_append([text], LIMITS)

    def test_next_message(self) -> None:
        """Further messages have flags and dates of their own (RFC 3502 §6.3.11)."""
        stretch = parse_stretch(Tokens([b" (k) {5}"]), Literal.MESSAGE, LIMITS)
        assert stretch == Stretch((Ended(), Begun(("k",))), Literal.MESSAGE)
        with pytest.raises(Bad):
            parse_stretch(Tokens([b"{5}"]), Literal.MESSAGE, LIMITS)

    def test_without_literal(self) -> None:
        """A message may come from URLs alone (RFC 4469 §3)."""
        steps = (Begun(), Url(b"/x/;UID=1"), Ended())
        command = parse([b"a APPEND x CATENATE (URL /x/;UID=1)"], LIMITS)
        assert command == Append(b"x", Stretch(steps, Literal.NONE))


def appended(*steps: Step) -> Append:
    return Append(b"x", Stretch(steps, Literal.MESSAGE))

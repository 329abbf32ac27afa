"""CREATE, RENAME, LIST, LSUB and STATUS, as they are written."""

from __future__ import annotations

import pytest

from mailhub.imap.command import Asked, Command, Create, List, Lsub, Rename, Status
from mailhub.imap.response import Bad, No
from mailhub.imap.settings import Limits
from mailhub.imap.syntax import parse

LIMITS = Limits()


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (b"a CREATE x (USE (\\TRASH \\junk))", Create(b"x", ("\\Trash", "\\Junk"))),
        (b"a CREATE x (USE ())", Create(b"x", ())),
        (b"a RENAME x y", Rename(b"x", b"y")),
        (b'a LSUB "" %', Lsub(b"", b"%")),
        (b'a LIST "" *', List(b"", (b"*",))),
        (
            b'a LIST (SUBSCRIBED) "" (a b) RETURN (CHILDREN)',
            List(
                b"", (b"a", b"b"), frozenset({"SUBSCRIBED"}), frozenset({"CHILDREN"}), extended=True
            ),
        ),
        (b"a STATUS x (uidnext UIDNEXT)", Status(b"x", ("UIDNEXT",))),
        (
            b'a LIST "" % RETURN (STATUS (MESSAGES) METADATA ("/shared/comment"))',
            List(
                b"",
                (b"%",),
                extended=True,
                status=("MESSAGES",),
                metadata=Asked(("/shared/comment",)),
            ),
        ),
        (b'a LIST () "" "" ', List(b"", (b"",), extended=True)),
    ],
)
def test_commands(text: bytes, command: Command) -> None:
    """Options in any case and each once, a space at the end forgiven (RFC 5258 §6)."""
    assert parse([text], LIMITS) == command


@pytest.mark.parametrize(
    "text",
    [
        b"a STATUS x (FOO)",
        b'a LIST (X) "" *',
        b"a CREATE x (USE)",
        b'a LIST "" % RETURN',
        b'a LIST (RECURSIVEMATCH REMOTE) "" *',
        b'a LIST "" % RETURN (FOO)',
        b'a LIST "" % RETURN (STATUS)',
        b"a RENAME x",
        b"a LSUB x",
        b"a STATUS x ()",
    ],
)
def test_bad(text: bytes) -> None:
    """What does not parse is BAD."""
    with pytest.raises(Bad):
        parse([text], LIMITS)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"a CREATE x (USE (\\X))", "USEATTR"),
        (b'a LIST "" (' + b"x " * 300 + b"x)", "LIMIT"),
    ],
)
def test_no(text: bytes, code: str) -> None:
    """What parses and cannot be done is NO, with its code (RFC 6154 §3, RFC 5530 §3)."""
    with pytest.raises(No) as caught:
        parse([text], LIMITS)
    assert caught.value.code == code

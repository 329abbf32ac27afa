"""The grammar of commands about accounts."""

from __future__ import annotations

import pytest

from mailhub.imap import syntax
from mailhub.imap.command import Asked, Command, GetMetadata, SetAcl, SetMetadata, SetQuota
from mailhub.imap.response import Bad
from mailhub.imap.settings import Limits


def parse(text: str) -> Command:
    return syntax.parse((f"a {text}".encode(),), Limits())


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("SETACL x bob +lr", SetAcl(b"x", b"bob", b"+lr")),
        ('SETACL "x y" -bob ""', SetAcl(b"x y", b"-bob", b"")),
        ("DELETEACL x bob", SetAcl(b"x", b"bob", None)),
        ('SETQUOTA "" (STORAGE 5 message 7)', SetQuota(b"", {"STORAGE": 5, "MESSAGE": 7})),
        ("SETQUOTA x ()", SetQuota(b"x", {})),
        ('GETMETADATA "" /shared/A', GetMetadata(b"", Asked(("/shared/a",)))),
        (
            "GETMETADATA (maxsize 9 depth INFINITY) x (/shared /private/b)",
            GetMetadata(b"x", Asked(("/shared", "/private/b"), None, 9)),
        ),
        (
            "GETMETADATA x (depth 1) (/shared)",
            GetMetadata(b"x", Asked(("/shared",), 1)),
        ),
        (
            'SETMETADATA x (/shared/a "1" /private/b NIL)',
            SetMetadata(b"x", {"/shared/a": b"1", "/private/b": None}),
        ),
    ],
)
def test_commands(text: str, command: Command) -> None:
    """What each means."""
    assert parse(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "SETACL x bob",
        "SETACL x bob l l",
        "DELETEACL x bob l",
        "LISTRIGHTS x",
        "SETQUOTA x STORAGE 5",
        "SETQUOTA x (STORAGE)",
        "SETQUOTA x (STORAGE -5)",
        "GETMETADATA x ()",
        "GETMETADATA x /sharedness/a",
        "GETMETADATA x /shared/",
        "GETMETADATA x " + "/shared/" + "a" * 300,
        "SETMETADATA x ()",
        "SETMETADATA x (/shared/a)",
        "SETMETADATA x /shared/a NIL",
    ],
)
def test_bad(text: str) -> None:
    """What is none."""
    with pytest.raises(Bad):
        parse(text)


def test_binary() -> None:
    """A value may hold NUL as a literal8, and only so."""
    parts = (b"a SETMETADATA x (/shared/a ~{3}", b"a\0b", b")")
    assert syntax.parse(parts, Limits()) == SetMetadata(b"x", {"/shared/a": b"a\0b"})
    with pytest.raises(Bad, match="NUL"):
        syntax.parse((b"a SETMETADATA x (/shared/a {3}", b"a\0b", b")"), Limits())

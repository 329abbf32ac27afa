"""Object identifiers."""

from __future__ import annotations

import re

from mailhub.mail.header import index
from mailhub.mail.objectid import conversation, object_id


def test_object_id() -> None:
    """The same for the same name, another one for another name or kind, and of legal letters."""
    assert object_id("M", b"a") == object_id("M", b"a")
    found = {object_id(kind, name) for kind in "MT" for name in (b"a", b"b", b"")}
    assert len(found) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,255}", it) for it in found)


def test_conversation() -> None:
    """The first message-id of References, else of In-Reply-To, else its own."""

    def of(*fields: bytes) -> bytes:
        return conversation(index(b"\r\n".join((*fields, b"", b""))))

    first = b"Message-ID: <1@a>"
    assert of(first) == b"1@a"
    assert of(b"Message-ID: <2@a>", b"In-Reply-To: <1@a>") == b"1@a"
    assert of(b"References: \r\n <1@a>\r\n <2@a>", b"In-Reply-To: <2@a>") == b"1@a"
    assert of(b"References: none", b"Message-ID: <3@a>") == b"3@a"
    assert of(b"Subject: x") == b""

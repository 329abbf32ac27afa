"""A message as a program reads it: its fields and its texts decoded, its attachments named.

Nothing in a message can make this raise: applications under test send broken ones, too.
"""

from __future__ import annotations

from typing import Any

from mailhub.lab.inboxes import Mail
from mailhub.mail.charset import decode, decode_text, decode_words
from mailhub.mail.digest import file_name
from mailhub.mail.header import Header
from mailhub.mail.part import Part, parse


def shown(mail: Mail) -> dict[str, Any]:
    """All that is told of a message."""
    header = Header.of(mail.content)
    leaves = list(parse(mail.content).leaves())
    plain, html = (_text_part(leaves, subtype) for subtype in (b"plain", b"html"))
    return {
        "id": mail.uid,
        "received": mail.received,
        **{name: decode_words(header.first(name.encode()) or b"") for name in _NAMED},
        "headers": [[decode(it.name), decode_words(it.value)] for it in header.fields()],
        "text": _text(mail.content, plain),
        "html": _text(mail.content, html),
        "attachments": [_named(it) for it in leaves if it is not plain and it is not html],
        "size": len(mail.content),
    }


_NAMED = ("from", "to", "subject")


def _text_part(leaves: list[Part], subtype: bytes) -> Part | None:
    """The first that is text of this kind, and no attachment."""
    return next(
        (
            it
            for it in leaves
            if (it.type.lower(), it.subtype.lower()) == (b"text", subtype)
            and (it.disposition is None or it.disposition.token.lower() != b"attachment")
        ),
        None,
    )


def _text(content: bytes, part: Part | None) -> str:
    if part is None:
        return ""
    charset = decode(part.parameter(b"charset") or b"")
    text = decode_text(content[part.body : part.end], part.encoding, charset)
    return text.replace("\r\n", "\n")


def _named(part: Part) -> dict[str, str | None]:
    kind = decode(part.type + b"/" + part.subtype).lower()
    return {"name": file_name(part), "type": kind}

"""Reports that mail systems write about mail (RFC 6522), taken apart into their three parts.

Nothing is judged here: `mail.bounce` and `mail.feedback` say what a report means.

Invariant: nothing raises, whatever a stranger sent; what is missing is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mailhub.mail.charset import decode, decode_body
from mailhub.mail.header import index, unfold
from mailhub.mail.html import text_of
from mailhub.mail.part import Part, parse

TEXT_LIMIT: Final = 65_536
"""Octets of the part for people that are looked at."""
GROUPS_LIMIT: Final = 1000
"""Groups of fields likewise: there is one for each recipient."""

_MACHINE: Final = {
    b"delivery-status": "delivery-status",  # RFC 3464 §2
    b"global-delivery-status": "delivery-status",  # RFC 6533 §4
    b"feedback-report": "feedback-report",  # RFC 5965 §3
    b"disposition-notification": "disposition-notification",  # RFC 8098 §3
    b"global-disposition-notification": "disposition-notification",  # RFC 6533 §5
}
_MESSAGES: Final = ((b"message", b"rfc822"), (b"message", b"global"))
_HEADERS: Final = (
    (b"text", b"rfc822-headers"),  # RFC 6522 §4
    (b"text", b"rfc822-header"),
    (b"message", b"global-headers"),  # RFC 6533 §6
)

Fields = Mapping[str, str]
"""Values by their names in lower case; the first of each."""


@dataclass(frozen=True, slots=True)
class Report:
    """A message, seen as a report.

    Attributes:
        kind: ``delivery-status``, ``feedback-report``, ``disposition-notification``; ``""``
            for a message without a part for programs.
        header: Its own fields, raw, by name.
        text: What it says to people: its first text.
        groups: The fields for programs, group by group.
        returned: The header section of the message that it is about, or the whole of that.
    """

    kind: str
    header: Mapping[bytes, list[bytes]]
    text: str
    groups: tuple[Fields, ...]
    returned: bytes

    def value(self, name: bytes) -> str:
        """A field of its own header, unfolded; ``""`` for none."""
        found = self.header.get(name)
        return unfold(found[0]).decode("utf-8", "replace") if found else ""


def report(content: bytes) -> Report:
    """A message taken apart."""
    tree = parse(content)
    kind, returned = "", b""
    groups: tuple[Fields, ...] = ()
    texts: list[Part] = []
    for part in tree.leaves():
        names = part.type.lower(), part.subtype.lower()
        if names in _MESSAGES:
            returned = returned or content[part.body : part.end]
        elif names in _HEADERS:
            returned = returned or _decoded(content, part)
        elif names[0] == b"message" and names[1] in _MACHINE:
            if not kind:
                kind, groups = _MACHINE[names[1]], tuple(_groups(_decoded(content, part)))
        elif names[0] == b"text":
            texts.append(part)
    text = _text(content, texts)
    return Report(kind, tree.fields or {}, text, groups, returned)


def _decoded(content: bytes, part: Part) -> bytes:
    return decode_body(content[part.body : part.end], part.encoding)


def _text(content: bytes, parts: list[Part]) -> str:
    """The first text that says something, the plain ones before all others."""
    for part in sorted(parts, key=lambda it: it.subtype.lower() != b"plain"):
        octets = decode_body(
            content[part.body : min(part.end, part.body + TEXT_LIMIT)], part.encoding
        )
        text = decode(octets, (part.parameter(b"charset") or b"").decode("ascii", "replace"))
        if part.subtype.lower() == b"html":
            text = text_of(text)
        if text.strip():
            return text.replace("\r\n", "\n")
    return ""


def _groups(octets: bytes) -> Iterator[Fields]:
    """Fields, group by group: an empty line stands between two (RFC 3464 §2.1)."""
    text = octets.replace(b"\r\n", b"\n").strip(b"\n")
    for block in text.split(b"\n\n")[:GROUPS_LIMIT]:
        fields = index(block.strip(b"\n") + b"\n")
        if fields:
            yield {
                name.decode("ascii", "replace"): unfold(raws[0]).decode("utf-8", "replace")
                for name, raws in fields.items()
            }

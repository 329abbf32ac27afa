"""What an index keeps of a message, so that SEARCH, SORT and THREAD need not read it again.

Both who scans messages and who asks the index go by the functions here: that is why
they find the same.

Texts are folded (`collation.fold`); the values of a header section stand one on a
line, for no unfolded value holds a line feed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from mailhub.mail import addresslist
from mailhub.mail.charset import decode, decode_parameter, decode_text, decode_words
from mailhub.mail.collation import fold, fold_long
from mailhub.mail.date import parse_date
from mailhub.mail.header import unfold
from mailhub.mail.html import text_of
from mailhub.mail.part import Part, parse
from mailhub.mail.subject import base_subject

REFERENCES_LIMIT: Final = 100
"""Message-ids of References that are kept: the first, and as many of the last."""
ID_OCTETS: Final = 8
"""Of the hash that stands for a message-id: 2**32 of them before two are likely to be one."""
DAY: Final = 86_400
"""Seconds."""
TEXT_LIMIT: Final = 8 << 20
"""Octets of one part that are searched: ours, for a step takes as long as the longest text."""

_READABLE: Final = (b"text", b"message")
"""Types that people read: a bounce is searched for in its message/delivery-status too."""
# msg-id = [CFWS] "<" id-left "@" id-right ">" [CFWS]                      (RFC 5322 §3.6.4)
_IN_BRACKETS: Final = re.compile(rb"<([^<>]++)>")
_ADDRESSES: Final = frozenset({b"from", b"to", b"cc", b"bcc"})
# local-part "@" domain with comments, white space or quotes in it         (RFC 5322 §3.4.1)
_ODD: Final = re.compile(rb'[\s")]@|@[\s(]|\)\s*>')
_QUOTING: Final = re.compile(rb'["\\\s]')

Fields = Mapping[bytes, Sequence[bytes]]
"""Raw values by the fields' names in lower case, as `header.index` gives them."""


class Digest(NamedTuple):
    """What is kept of a message. Values of absent fields are None.

    Attributes:
        sent: The Date field, seconds since the epoch.
        day: The same as a day in the writer's zone: SENTON.
        reply: Its subject says that it is a reply, or forwarded.
        base: The base subject (RFC 5256 §2.1).
        thread: Hashes of message-ids: its own, then those it refers to, oldest first.
        first_from: The first address's mailbox, for SORT FROM; TO and CC likewise.
        display_from: What SORT DISPLAYFROM goes by (RFC 5957 §3).
        subject: All Subject fields; From, To, Cc and Bcc likewise.
        head: The header section: a line feed, then each field with name and colon.
        body: The texts of the body, and the names of attachments.
    """

    sent: int | None
    day: int | None
    reply: bool
    base: str
    thread: bytes
    first_from: str
    first_to: str
    first_cc: str
    display_from: str
    display_to: str
    subject: str | None
    sender: str | None
    recipient: str | None
    copied: str | None
    blind: str | None
    head: str
    body: str


def digest(content: bytes) -> Digest:
    """What is kept of a message; nothing in it can make this raise."""
    tree = parse(content)
    fields = tree.fields or {}
    dates = fields.get(b"date")
    moment = parse_date(unfold(dates[0])) if dates else None
    subjects = folded_values(fields, b"subject")
    base, reply = base_subject(subjects[0] if subjects else "")
    (first_from, display_from), (first_to, display_to), (first_cc, _) = (
        first_address(fields, name) for name in (b"from", b"to", b"cc")
    )
    return Digest(
        sent=None if moment is None else moment.seconds,
        day=None if moment is None else moment.day,
        reply=reply,
        base=base,
        thread=thread_ids(fields),
        first_from=fold(first_from),
        first_to=fold(first_to),
        first_cc=fold(first_cc),
        display_from=fold(display_from),
        display_to=fold(display_to),
        subject="\n".join(subjects) if subjects else None,
        sender=_values(fields, b"from"),
        recipient=_values(fields, b"to"),
        copied=_values(fields, b"cc"),
        blind=_values(fields, b"bcc"),
        head="\n" + "".join(f"{line}\n" for line in header_lines(fields)),
        body=fold_long(body_text(content, tree)),
    )


def dated(found: Digest, arrived: int) -> Digest:
    """With the moment of arrival where the message has no date (RFC 5256 §2.2)."""
    if found.sent is not None and found.day is not None:
        return found
    return found._replace(sent=arrived, day=arrived // DAY)


def _values(fields: Fields, name: bytes) -> str | None:
    found = folded_values(fields, name)
    return "\n".join(found) if found else None


# ---- Header sections --------------------------------------------------------------------------


def folded_values(fields: Fields, name: bytes) -> list[str]:
    """The values of all fields of a name.

    Of addresses that are oddly written in them also what an ENVELOPE has: that is where
    FROM and its like look for them (RFC 3501 §6.4.4).
    """
    raws = fields.get(name, ())
    values = [fold(decode_words(unfold(raw))) for raw in raws]
    if name in _ADDRESSES:
        values += [fold(text) for raw in raws if _ODD.search(raw) for text in _addresses(raw)]
    return values


def _addresses(raw: bytes) -> Iterator[str]:
    for address in addresslist.parse(raw):
        if address.mailbox is not None and address.host is not None:
            yield f"{decode(address.mailbox)}@{decode(address.host)}"


def header_lines(fields: Fields) -> Iterator[str]:
    """All fields with their names, folded."""
    for name, raws in fields.items():
        label = field_label(name)
        for raw in raws:
            yield label + fold(decode_words(unfold(raw)))


def field_label(name: bytes) -> str:
    """What stands before a field's value in `Digest.head`."""
    return fold(name.decode("latin-1").lower()) + ": "


def first_address(fields: Fields, name: bytes) -> tuple[str, str]:
    """The first address's mailbox (RFC 5256 §3), and how it is displayed (RFC 5957 §3)."""
    for raw in fields.get(name, ())[:1]:
        for address in addresslist.parse(raw)[:1]:
            mailbox = decode(address.mailbox or b"")
            if address.name:
                return mailbox, decode_words(address.name)
            host = f"@{decode(address.host)}" if address.host is not None else ""
            return mailbox, mailbox + host
    return "", ""


def thread_ids(fields: Fields) -> bytes:
    """The hashes of a message's id and of those it refers to, oldest first.

    Without References the first id of In-Reply-To stands for them (RFC 5256 §3); an
    own id that is missing is eight zero octets.
    """
    own = _ids(fields.get(b"message-id", ())[:1])[:1]
    refers = _ids(fields.get(b"references", ())[:1])
    if not refers:
        refers = _ids(fields.get(b"in-reply-to", ())[:1])[:1]
    if len(refers) > REFERENCES_LIMIT:
        refers = [refers[0], *refers[-REFERENCES_LIMIT + 1 :]]
    hashes = [blake2b(it, digest_size=ID_OCTETS).digest() for it in [*own, *refers]]
    return b"".join(hashes if own else [bytes(ID_OCTETS), *hashes])


def _ids(raws: Iterable[bytes]) -> list[bytes]:
    """The message-ids in some values. Their quoting is no part of them (RFC 5256 §3)."""
    found = (it for raw in raws for it in _IN_BRACKETS.findall(unfold(raw)))
    return [_QUOTING.sub(b"", it) for it in found if it.find(b"@", 1, -1) > 0]


# ---- Bodies -----------------------------------------------------------------------------------


def body_text(content: bytes, tree: Part) -> str:
    """All that can be found in the body of a message, not folded yet."""
    return "\n".join(_texts(content, tree))


def _texts(content: bytes, part: Part) -> Iterator[str]:
    """The texts in a part, and attachments' names; of messages within, their fields too."""
    if part.is_message:
        for name, raws in (part.children[0].fields or {}).items():
            for raw in raws:
                yield f"{name.decode('latin-1')}: {decode_words(unfold(raw))}"
    for child in part.children:
        yield from _texts(content, child)
    if part.children:
        return
    attached = file_name(part)
    if attached is not None:
        yield attached
    kind = part.type.lower()
    if kind in _READABLE:
        charset = (part.parameter(b"charset") or b"").decode("latin-1")
        end = min(part.end, part.body + TEXT_LIMIT)
        text = decode_text(content[part.body : end], part.encoding, charset)
        is_html = kind == b"text" and part.subtype.lower() in (b"html", b"xhtml")
        yield text_of(text) if is_html else text


def file_name(part: Part) -> str | None:
    """An attachment's name (RFC 2183 §2.3), or the older parameter's (RFC 2046 §4.5.1)."""
    if part.disposition is not None:
        name = decode_parameter(part.disposition.parameters, b"filename")
        if name is not None:
            return name
    return decode_parameter(part.parameters, b"name") if part.parameters else None

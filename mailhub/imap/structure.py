r"""ENVELOPE, BODY and BODYSTRUCTURE: what the structure of a message looks like on the wire.

Strings are quoted where they can be and literals where they must be: for
8-bit octets, which are shown as they came, and for controls.  NUL cannot be
sent at all and becomes U+FFFD.

Invariants:

1. `summary` never raises, and its time is linear in the content.
2. Each value is one well-formed data item (RFC 3501 §9), without a bare CR or
   LF outside literals.

Dovecot 2.3 gives the same values save where it strays from the RFCs or loses
something.  On purpose we differ so:

- What is no Content-Type is text/plain in US-ASCII (RFC 2045 §5.2); Dovecot
  shows the type ``""``.  ``text/plain charset=x``, a quoted type and values
  with unquoted blanks or ``=`` are understood, so that names and boundaries
  stay whole; Dovecot cuts them.
- A disposition without a type is an attachment (RFC 2183 §2.8), not ``""``.
- A transfer encoding is its first token, whatever surrounds it.
- In RFC 2231 continuations plain sections are percent-encoded if another is.
- Boundaries may have any length, and blanks at their end do not count.
- There are at most `part.Limits.parts` parts, not 10,000.
- Empty members of an address list are none (RFC 5322 §4.4), a group may follow
  another without a comma, and a NUL does not end the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from mailhub.mail import addresslist
from mailhub.mail.header import unfold
from mailhub.mail.objectid import conversation, object_id
from mailhub.mail.parameters import Parameters
from mailhub.mail.part import Part, parse
from mailhub.mail.preview import preview
from mailhub.ports.message import Summary

QUOTED_LIMIT: Final = 1024
"""Octets up to which a string is quoted; longer ones are literals."""

_NIL: Final = b"NIL"
# TEXT-CHAR = <any CHAR except CR and LF>, and quoted-specials escaped       (RFC 3501 §9)
_PLAIN: Final = re.compile(rb"[ !#-\[\]-~]*")
_UNQUOTABLE: Final = re.compile(rb"[\x00-\x1f\x7f-\xff]")
_SPECIALS: Final = re.compile(rb'(["\\])')
_BLANKS: Final = re.compile(rb"[ \t\r\n]+")
_ADDRESS_FIELDS: Final = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")
_NO_PARTS: Final = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'
"""What stands in a multipart without parts: the grammar wants one at least (RFC 3501 §9)."""


def summary(content: bytes) -> Summary:
    """What the index keeps of a message."""
    message = parse(content)
    return Summary(
        envelope=envelope(message.fields or {}),
        body=body(message, extended=False),
        bodystructure=body(message, extended=True),
        preview=string(preview(content, message).encode("utf-8", "replace")),
        thread=_thread(message.fields or {}),
    )


def _thread(fields: Mapping[bytes, list[bytes]]) -> bytes:
    """THREADID; empty for a message that belongs to no conversation but its own."""
    name = conversation(fields)
    return object_id("T", name).encode() if name else b""


def envelope(fields: Mapping[bytes, list[bytes]]) -> bytes:
    """ENVELOPE of a message whose `header.index` this is (RFC 3501 §7.4.2).

    Of a field that stands twice the last one counts; addresses are those of all.
    """
    lists = {name: _addresses(fields[name]) for name in _ADDRESS_FIELDS if name in fields}
    sender = lists.get(b"from", _NIL)
    values = (
        _line(fields, b"date"),
        _line(fields, b"subject"),
        sender,
        # Absent or empty, they are From's                                 (RFC 3501 §7.4.2)
        _or(lists.get(b"sender", _NIL), sender),
        _or(lists.get(b"reply-to", _NIL), sender),
        lists.get(b"to", _NIL),
        lists.get(b"cc", _NIL),
        lists.get(b"bcc", _NIL),
        _line(fields, b"in-reply-to"),
        _line(fields, b"message-id"),
    )
    return b"(" + b" ".join(values) + b")"


def body(part: Part, *, extended: bool) -> bytes:
    """BODYSTRUCTURE of a part, or BODY where it is not `extended` (RFC 3501 §7.4.2)."""
    if part.is_multipart:
        return _multipart(part, extended=extended)
    kind = part.type.lower()
    values = [
        string(part.type),
        string(part.subtype),
        _parameters(part.parameters, default=kind == b"text"),
        nstring(part.id),
        nstring(part.description),
        string(part.encoding),
        b"%d" % part.size,
    ]
    if part.is_message:
        inner = part.children[0]
        values += [envelope(inner.fields or {}), body(inner, extended=extended)]
    if kind == b"text" or part.is_message:
        values.append(b"%d" % part.lines)
    if extended:
        values += [nstring(part.md5), *_extension(part)]
    return b"(" + b" ".join(values) + b")"


def nstring(value: bytes | None) -> bytes:
    """A string, or NIL."""
    return _NIL if value is None else string(value)


def string(value: bytes) -> bytes:
    """A quoted string where it can be one, else a literal (RFC 3501 §4.3)."""
    if _PLAIN.fullmatch(value) and len(value) <= QUOTED_LIMIT:
        return b'"' + value + b'"'
    if b"\x00" in value:
        value = value.replace(b"\x00", b"\xef\xbf\xbd")
    if len(value) > QUOTED_LIMIT or _UNQUOTABLE.search(value):
        return b"{%d}\r\n%s" % (len(value), value)
    return b'"' + _SPECIALS.sub(rb"\\\1", value) + b'"'


def _multipart(part: Part, *, extended: bool) -> bytes:
    children = b"".join(body(child, extended=extended) for child in part.children)
    if not children:
        children = _NO_PARTS + (b" NIL NIL NIL NIL)" if extended else b")")
    values = [children, string(part.subtype)]
    if extended:
        # body-ext-mpart = body-fld-param [SP body-fld-dsp [SP body-fld-lang …]]  (RFC 3501 §9)
        values += [_parameters(part.parameters, default=False), *_extension(part)]
    return b"(" + b" ".join(values) + b")"


def _extension(part: Part) -> Iterable[bytes]:
    """Disposition, language and location, which every part's extension data ends in."""
    disposed = part.disposition
    if disposed is None:
        yield _NIL
    else:
        rest = _parameters(disposed.parameters, default=False)
        yield b"(" + string(disposed.token) + b" " + rest + b")"
    yield b"(" + b" ".join(map(string, part.language)) + b")" if part.language else _NIL
    yield nstring(part.location)


def _parameters(parameters: Parameters, *, default: bool) -> bytes:
    """A parenthesised list, with the charset that text has by default (RFC 2045 §5.2)."""
    items = [string(item) for pair in parameters for item in pair]
    if default and not any(name.lower() == b"charset" for name, _ in parameters):
        items += [b'"charset"', b'"us-ascii"']
    return b"(" + b" ".join(items) + b")" if items else _NIL


def _line(fields: Mapping[bytes, list[bytes]], name: bytes) -> bytes:
    """A field's text on one line with single blanks, ``""`` where it is empty, or NIL."""
    raws = fields.get(name)
    if raws is None:
        return _NIL
    return string(_single(unfold(raws[-1])))


def _addresses(raws: list[bytes]) -> bytes:
    """The addresses of all fields of one name, or NIL where there are none."""
    # address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"    (RFC 3501 §9)
    items = [
        b"(%s %s %s %s)"
        % (
            _NIL if address.name is None else string(_single(address.name)),
            nstring(address.route),
            nstring(address.mailbox),
            nstring(address.host),
        )
        for raw in raws
        for address in addresslist.parse(raw)
    ]
    return b"(" + b"".join(items) + b")" if items else _NIL


def _or(value: bytes, default: bytes) -> bytes:
    return default if value is _NIL else value


def _single(value: bytes) -> bytes:
    """The text with each run of blanks as one space."""
    if b"  " in value or b"\t" in value or b"\r" in value or b"\n" in value:
        return _BLANKS.sub(b" ", value)
    return value

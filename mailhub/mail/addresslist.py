"""Address lists of header fields, as ENVELOPE and the checks of submission need them.

Reads RFC 5322 §3.4 with its obsolete forms (§4.4: routes, blanks and comments
anywhere, empty members, dots in phrases), and goes on behind what is none of
it.  Encoded words, quotes within phrases and 8-bit octets stay as they are, save that
quoting and folding are undone.

Invariants:

1. `parse` never raises, and takes time linear in the value.
2. Where a mailbox lacks a half, `MISSING_MAILBOX` or `MISSING_DOMAIN` stands
   for it, and `SYNTAX_ERROR` for the domain of one that goes on after its
   end: an address without a host would be read as a group (RFC 3501 §7.4.2).
   Dovecot's words are used, which clients know.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from mailhub.mail.header import unfold

ADDRESS_LIMIT: Final = 10_000
"""Members of one field that are looked at: far above what real mail has."""

MISSING_MAILBOX: Final = b"MISSING_MAILBOX"
MISSING_DOMAIN: Final = b"MISSING_DOMAIN"
SYNTAX_ERROR: Final = b"SYNTAX_ERROR"
INVALID_ROUTE: Final = b"INVALID_ROUTE"

# atext, and 8-bit octets (RFC 6532 §3.2)                                  (RFC 5322 §3.2.3)
_ATEXT: Final = rb"[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]"
_DOT_ATOM: Final = rb"(?:" + _ATEXT + rb"++\.)*+" + _ATEXT + rb"++"
# What nearly every member looks like, read in one step; nothing in it is tried twice.
# mailbox = name-addr / addr-spec                                          (RFC 5322 §3.4)
_COMMON: Final = re.compile(
    rb"[ \t]*+(?:(?:\"([^\"\\\t\x00]*+)\"[ \t]*+|((?:(?:" + _ATEXT + rb"|\.)++ ?+)*+))"
    rb"<(" + _DOT_ATOM + rb")@(" + _DOT_ATOM + rb")>"
    rb"|(" + _DOT_ATOM + rb")@(" + _DOT_ATOM + rb"))[ \t]*+(?:,|$)"
)
# Tokens of everything else. A quote or bracket that never closes stands alone.
_LEX: Final = re.compile(
    rb"(?P<blank>[ \t\r\n]+)"
    rb"|(?P<quoted>\"(?:[^\"\\]++|\\.)*+\")"
    rb"|(?P<pair>\\.)"
    rb"|(?P<literal>\[[^\[\]\\]*+\])"
    rb"|(?P<atom>[^\x01-\x20\x7f()<>\[\]:;@\\,.\"]+)"
    rb"|(?P<special>.)",
    re.DOTALL,
)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_DOT_STRING: Final = re.compile(_DOT_ATOM)
_QUOTABLE: Final = re.compile(rb'(["\\])')


class Address(NamedTuple):
    """One member of a list, in the four fields of ENVELOPE (RFC 3501 §7.4.2).

    Where `host` is None it marks a group: its begin, with the group's name in
    `mailbox`, or its end, without.

    Attributes:
        name: The display name, or the comment that stands for one.
        route: The obsolete source route, ``@a,@b``.
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None

    @property
    def spec(self) -> bytes | None:
        """``local@domain``, quoted where it must be; None for anything incomplete."""
        mailbox, host = self.mailbox, self.host
        if mailbox is None or host is None or host in {MISSING_DOMAIN, SYNTAX_ERROR}:
            return None
        if not _DOT_STRING.fullmatch(mailbox):
            mailbox = b'"' + _QUOTABLE.sub(rb"\\\1", mailbox) + b'"'
        return mailbox + b"@" + host


def parse(value: bytes) -> list[Address]:
    """The members of an address list, groups flattened with their marks."""
    value = unfold(value)
    found: list[Address] = []
    position, length = 0, len(value)
    while position < length:
        match = _COMMON.match(value, position)
        if match is None:
            return [*found, *_Slow(value[position:]).addresses()]
        quoted, phrase, mailbox, host, bare, bare_host = match.groups()
        if bare is not None:
            found.append(Address(None, None, bare, bare_host))
        else:
            name = quoted if quoted is not None else phrase
            found.append(Address(name.strip(b" ") or None, None, mailbox, host))
        if len(found) == ADDRESS_LIMIT:
            break
        position = match.end()
    return found


def specs(value: bytes) -> list[str]:
    """The addresses of a list as ``local@domain``; members that have none are left out."""
    found = (address.spec for address in parse(value))
    return [spec.decode("utf-8", "surrogateescape") for spec in found if spec is not None]


class _Slow:
    """Reads any list, token by token.

    Attributes:
        tokens: Kind and octets of each; blanks and comments are gone.
        comment: The text of the last comment that was passed over.
    """

    def __init__(self, value: bytes) -> None:
        self._tokens = _tokens(value)
        self._at = 0
        self._comment: bytes | None = None
        self._found: list[Address] = []

    def addresses(self) -> list[Address]:
        """All members."""
        in_group = False
        while (kind := self._peek()) and len(self._found) < ADDRESS_LIMIT:
            if kind in {b",", b";", b"blank"}:
                self._at += 1
                if kind == b";" and in_group:
                    self._found.append(Address(None, None, None, None))
                    in_group = False
                continue
            group = self._group()
            if group is not None:
                if in_group:
                    self._found.append(Address(None, None, None, None))
                self._found.append(Address(None, None, group, None))
                in_group = True
                continue
            self._found.append(self._mailbox())
            self._skip(in_group=in_group)
        if in_group:
            self._found.append(Address(None, None, None, None))
        return self._found

    def _peek(self) -> bytes:
        """The next token: a special as itself, anything else as its kind; empty at the end."""
        while self._at < len(self._tokens):
            kind, octets = self._tokens[self._at]
            if kind != "comment":
                return octets if kind == "special" else kind.encode()
            self._comment = octets
            self._at += 1
        return b""

    def _take(self) -> bytes:
        octets = self._tokens[self._at][1]
        self._at += 1
        return octets

    def _group(self) -> bytes | None:
        """The name of a group, if ``phrase ":"`` is what comes (RFC 5322 §3.4)."""
        start = self._at
        name = self._phrase() or b""
        if self._peek() == b":":
            self._at += 1
            return name
        self._at = start
        return None

    def _phrase(self) -> bytes | None:
        """Words and dots, joined as they stood (RFC 5322 §4.1, obs-phrase); None for none."""
        words: list[bytes] = []
        glued = True
        while (kind := self._peek()) in {b"atom", b"quoted", b".", b"blank"}:
            octets = self._take()
            if kind == b"blank":
                glued = not words
                continue
            words.append(octets if glued or (kind == b"." and words) else b" " + octets)
            glued = True
        return b"".join(words) if words else None

    def _mailbox(self) -> Address:
        """Read ``[phrase] "<" … ">"`` or an addr-spec, or make something of what is there."""
        start, self._comment = self._at, None
        name = self._phrase()
        if self._peek() == b"<":
            self._at += 1
            return self._angle(name or None)
        self._at, self._comment = start, None
        mailbox, host = self._local(), None
        if self._peek() == b"@":
            self._at += 1
            host = self._domain()
        elif name is not None and name != mailbox:
            # Words and no address: a person's name without one
            return Address(name, None, MISSING_MAILBOX, MISSING_DOMAIN)
        self._blank()
        self._peek()
        return Address(
            self._comment or None,
            None,
            MISSING_MAILBOX if mailbox is None else mailbox,
            host or MISSING_DOMAIN,
        )

    def _angle(self, name: bytes | None) -> Address:
        """Read what follows ``<``, up to ``>`` (RFC 5322 §3.4, §4.4: obs-angle-addr)."""
        route = None
        self._blank()
        if self._peek() == b"@":
            route = self._route()
        mailbox, host = self._local(), None
        if self._peek() == b"@":
            self._at += 1
            host = self._domain()
        self._blank()
        if self._peek() == b">":
            self._at += 1
        elif mailbox is not None:
            host = SYNTAX_ERROR
        return Address(
            name,
            route,
            MISSING_MAILBOX if mailbox is None else mailbox,
            host or MISSING_DOMAIN,
        )

    def _route(self) -> bytes:
        """Read ``@a,@b:``; whatever follows a broken one is read all the same (RFC 5322 §4.4)."""
        hops = []
        while self._peek() in {b"@", b","}:
            if self._take() == b"@":
                hops.append(b"@" + (self._domain() or b""))
            self._blank()
        if self._peek() != b":" or b"@" in hops:
            return INVALID_ROUTE
        self._at += 1
        return b",".join(hops)

    def _local(self) -> bytes | None:
        """Words joined by dots, blanks around the dots dropped (RFC 5322 §4.4: obs-local-part)."""
        words: list[bytes] = []
        while True:
            self._blank()
            kind = self._peek()
            if kind == b"." or (kind in {b"atom", b"quoted"} and words[-1:] in ([], [b"."])):
                words.append(self._take())
            else:
                return b"".join(words) if words else None

    def _domain(self) -> bytes | None:
        """A dot-atom or a literal, blanks dropped (RFC 5322 §4.4: obs-domain)."""
        self._blank()
        if self._peek() == b"literal":
            return self._take()
        found = self._local()
        return found if found and not found.endswith(b".") else None

    def _blank(self) -> None:
        while self._peek() == b"blank":
            self._at += 1

    def _skip(self, *, in_group: bool) -> None:
        """Go to the end of this member, over junk behind its address."""
        while (kind := self._peek()) and kind != b"," and not (in_group and kind == b";"):
            self._at += 1


def _tokens(value: bytes) -> list[tuple[str, bytes]]:
    """Cut a value into tokens; comments become one each, quoting is undone."""
    found: list[tuple[str, bytes]] = []
    depth = 0
    text: list[bytes] = []
    for match in _LEX.finditer(value):
        kind, octets = match.lastgroup or "", match[0]
        if octets == b"(":
            depth += 1
            if depth == 1:
                continue
        elif octets == b")" and depth:
            depth -= 1
            if not depth:
                found.append(("comment", _QUOTED_PAIR.sub(rb"\1", b"".join(text)).strip()))
                text = []
                continue
        if depth:
            text.append(octets)
        elif kind == "quoted":
            found.append((kind, _QUOTED_PAIR.sub(rb"\1", octets[1:-1])))
        else:
            found.append((kind, octets))
    if depth:  # it never closes: what follows is all its text
        found.append(("comment", b"".join(text).strip()))
    return found

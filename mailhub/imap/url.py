"""IMAP URLs that name a message or some of it (RFC 5092), for CATENATE and URLAUTH.

Absolute ones begin with the server, ``imap://ann@hub.example/INBOX;UIDVALIDITY=7/;UID=20``;
relative ones with the mailbox, ``/INBOX/;UID=20/;SECTION=1.2``, or with the message in
the selected mailbox, ``;UID=20`` (RFC 4469 §3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from mailhub.imap import item
from mailhub.imap.grammar import Tokens
from mailhub.imap.response import Bad
from mailhub.imap.section import Section
from mailhub.imap.settings import Limits

URL_LIMIT: Final = 4_096
"""Octets of a URL: ours."""

# absolute-path: [server "/" mailbox] [";UIDVALIDITY=" n] "/;UID=" n ["/;SECTION=" s]
#                ["/;PARTIAL=" n ["." n]]                                    (RFC 5092 §11)
_URL: Final = re.compile(
    rb"(?:imap://(?:(?P<user>[^@/;:]*)(?:;AUTH=[^@/]*)?@)?(?P<server>[^/;@]+))?"
    rb"(?:/(?P<mailbox>[^;/]+(?:/[^;/]+)*)(?:;UIDVALIDITY=(?P<validity>[1-9][0-9]{0,9}))?)?"
    rb"/?;UID=(?P<uid>[1-9][0-9]{0,9})"
    rb"(?:/;SECTION=(?P<section>[^;]+?))?"
    rb"(?:/;PARTIAL=(?P<first>[0-9]{1,10})(?:\.(?P<count>[1-9][0-9]{0,9}))?)?"
    rb"(?P<rest>;.*)?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Url:
    """What a URL names.

    Attributes:
        user: Whose message it is, ``""`` where it does not say.
        server: ``""`` for a relative URL.
        mailbox: Its name in Unicode; None for the selected one.
        uid_validity: The mailbox's, 0 where it does not say.
        section: Of the message.
        partial: Of that, the first octet and how many; None for all.
        rest: What follows, from a semicolon on (RFC 4467 §7).
    """

    user: str
    server: str
    mailbox: str | None
    uid_validity: int
    uid: int
    section: Section
    partial: tuple[int, int] | None
    rest: bytes = b""


_ENDLESS: Final = 1 << 62
"""Octets of a partial that has no end (RFC 5092 §6.1.4)."""


def parse(octets: bytes, limits: Limits) -> Url | None:
    """What a URL names; None if it is no such URL, or names no message."""
    found = _URL.fullmatch(octets) if len(octets) <= URL_LIMIT else None
    if found is None:
        return None
    try:
        section = _section(unquote_to_bytes(found["section"] or b""), limits)
        user, server, mailbox = (
            None if found[name] is None else unquote_to_bytes(found[name]).decode()
            for name in ("user", "server", "mailbox")
        )
    except (Bad, UnicodeDecodeError):
        return None
    if found["server"] is not None and mailbox is None:
        return None
    partial = None
    if found["first"] is not None:
        partial = int(found["first"]), int(found["count"] or _ENDLESS)
    return Url(
        user or "",
        server or "",
        mailbox,
        int(found["validity"] or 0),
        int(found["uid"]),
        section,
        partial,
        found["rest"] or b"",
    )


def _section(octets: bytes, limits: Limits) -> Section:
    if not octets:
        return Section()
    tokens = Tokens([octets + b"]"])
    section, _ = item.section(tokens, limits)
    tokens.expect(b"]")
    tokens.end()
    return section

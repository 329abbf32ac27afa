"""Mailbox names: from a command's octets to the store's Unicode, and back.

Inside, a name is Unicode with levels separated by ``/`` and INBOX in capitals
(RFC 3501 §5.1); the wire's spelling stops here: modified UTF-7, or UTF-8 for a client
that has enabled it.  As Dovecot does, octets that are neither are refused, never taken
verbatim.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from mailhub.imap import mutf7
from mailhub.imap.response import No, astring, quoted

SEPARATOR: Final = "/"
"""The hierarchy separator (RFC 3501 §5.1.1)."""
INBOX: Final = "INBOX"

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # RFC 5198 §2


def canonical(name: str) -> str:
    """INBOX has no case (RFC 3501 §5.1), also as the first level of a longer name."""
    first, slash, rest = name.partition(SEPARATOR)
    return f"{INBOX}{slash}{rest}" if first.upper() == INBOX else name


def composed(name: str) -> str:
    """A name as a mailbox that is made has it: Net-Unicode (RFC 9051 §5.1, RFC 5198 §2)."""
    return unicodedata.normalize("NFC", name)


def read(octets: bytes, *, utf8: bool = False) -> str:
    """The text of a name or of a pattern; modified UTF-7 means itself under UTF8=ACCEPT.

    Raises:
        ValueError: It is not in that encoding.
    """
    return octets.decode() if utf8 else mutf7.decode(octets)


def decoded(octets: bytes, limit: int, *, utf8: bool = False) -> str:
    """A mailbox name as a command gave it.

    Raises:
        No: CANNOT (RFC 5530 §3): not in its encoding, or no name (`checked`).
    """
    try:
        name = read(octets, utf8=utf8)
    except ValueError:
        encoding = "UTF-8" if utf8 else "modified UTF-7"
        raise No(f"Mailbox name is not {encoding}", "CANNOT") from None
    return checked(name, limit)


def checked(name: str, limit: int) -> str:
    """A mailbox name in Unicode, with INBOX in capitals.

    Raises:
        No: CANNOT: it is empty or too long, has control characters or an empty level.
    """
    if not name or len(name) > limit or _CONTROL.search(name):
        raise No("Mailbox name is empty, too long or has control characters", "CANNOT")
    if "" in name.split(SEPARATOR):
        raise No("Mailbox name has an empty level", "CANNOT")
    return canonical(name)


def encoded(name: str, *, utf8: bool = False) -> bytes:
    """A mailbox name as a response gives it."""
    if utf8 and not name.isascii():
        return quoted(name.encode())  # RFC 6855 §3: never modified UTF-7
    return astring(name.encode() if utf8 else mutf7.encode(name))

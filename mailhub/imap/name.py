"""Mailbox names: from a command's octets to the store's Unicode, and back.

Inside, a name is Unicode with levels separated by ``/`` and INBOX in capitals
(RFC 3501 §5.1); the wire's spelling stops here.  As Dovecot does, octets that
are not modified UTF-7 are refused, never taken verbatim.
"""

from __future__ import annotations

import re
from typing import Final

from mailhub.imap import mutf7
from mailhub.imap.response import No, astring

SEPARATOR: Final = "/"
"""The hierarchy separator (RFC 3501 §5.1.1)."""
INBOX: Final = "INBOX"

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # RFC 5198 §2


def canonical(name: str) -> str:
    """INBOX has no case (RFC 3501 §5.1), also as the first level of a longer name."""
    first, slash, rest = name.partition(SEPARATOR)
    return f"{INBOX}{slash}{rest}" if first.upper() == INBOX else name


def decoded(octets: bytes, limit: int) -> str:
    """A mailbox name as a command gave it.

    Raises:
        No: CANNOT (RFC 5530 §3): not modified UTF-7, or no name (`checked`).
    """
    try:
        name = mutf7.decode(octets)
    except ValueError:
        raise No("Mailbox name is not modified UTF-7", "CANNOT") from None
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


def encoded(name: str) -> bytes:
    """A mailbox name as a response gives it."""
    return astring(mutf7.encode(name))

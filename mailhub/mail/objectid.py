"""Object identifiers: short names that stay with what they name (RFC 8474).

They are made of what never changes about it, so that they need not be kept and come out
the same after an index is rebuilt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

SIZE: Final = 12
"""Octets of the hash: 2**48 objects before two are likely to share one."""

# msg-id = "<" id-left "@" id-right ">"                                    (RFC 5322 §3.6.4)
_MESSAGE_ID: Final = re.compile(rb"<([^<>\s]+)>")
_TELLING: Final = (b"references", b"in-reply-to", b"message-id")
"""Fields that name the first message of a conversation, the best first (RFC 5322 §3.6.4)."""


def object_id(kind: str, name: bytes) -> str:
    """The identifier of what is called `name`; `kind` is a letter for things of its sort."""
    # objectid = 1*255(ALPHA / DIGIT / "_" / "-")                          (RFC 8474 §7)
    return kind + blake2b(name, digest_size=SIZE).hexdigest()


def conversation(fields: Mapping[bytes, Sequence[bytes]]) -> bytes:
    """The message-id with which a message's conversation began; empty if it does not say.

    A client that answers copies References and adds to its end (RFC 5322 §3.6.4), so
    that all messages of a conversation begin it with the same one.

    Args:
        fields: Values by name, as `mail.header.index` gives them.
    """
    for name in _TELLING:
        for value in fields.get(name, ()):
            found = _MESSAGE_ID.search(value)
            if found is not None:
                return found[1]
    return b""

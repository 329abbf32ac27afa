"""Makes a message fit a server that takes less than it needs, and knows when a server lied.

Whoever does not announce 8BITMIME gets 7 bits (RFC 6152 §3): never silently, as the dialogue says
so. What cannot be had in 7 bits stays as it is, and is refused (`smtp.announce.lacking`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailhub.mail.envelope import Body, Envelope
from mailhub.mail.reply import Reply
from mailhub.mail.sevenbit import Impossible, seven_bit
from mailhub.mail.value import replace
from mailhub.ports.message import Content
from mailhub.smtp.features import Features
from mailhub.smtp.job import Handover
from mailhub.smtp.transfer import PIECE

LIMIT: Final = 8 * 1024 * 1024
"""Octets of a message that is encoded anew: nothing else happens meanwhile."""
PARAMETERS: Final = frozenset({"SIZE", "8BITMIME", "BINARYMIME", "SMTPUTF8", "DSN"})
MORE: Final = frozenset({"DELIVERBY", "MT-PRIORITY", "REQUIRETLS"})
"""Keywords that allow parameters of MAIL and RCPT."""


class Encoded:
    """A `ports.message.Content` that was made here."""

    def __init__(self, octets: bytes) -> None:
        self.size = len(octets)
        self._octets = octets

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """The octets at `offset`; all that follow where `length` is None."""
        return self._octets[offset : None if length is None else offset + length]

    def close(self) -> None:
        """Nothing to let go of."""


async def suited(
    envelope: Envelope, content: Content, features: Features, note: Callable[[str], None]
) -> tuple[Envelope, Content]:
    """The message as this server can have it; `note` is told what was done for that."""
    if features.eight_bit or envelope.body is Body.BINARY:
        return envelope, content
    try:
        if await _is_ascii(content):
            return replace(envelope, body=Body.SEVEN_BIT), content  # whatever the client said
        if content.size > LIMIT:
            return envelope, content
        made = seven_bit(await content.read(0, content.size))
    except OSError:
        return envelope, content  # whoever reads it next will tell
    except Impossible as why:
        note(f"(not encoded in 7 bits: {why})")
        return envelope, content
    note(f"(encoded in 7 bits, {len(made)} octets: 8BITMIME is not offered)")
    return replace(envelope, body=Body.SEVEN_BIT), Encoded(made)


async def _is_ascii(content: Content) -> bool:
    """Whether it is. Raises OSError where it cannot be read."""
    offset = 0
    while offset < content.size:
        piece = await content.read(offset, PIECE)
        if not piece.isascii():
            return False
        if not piece:
            break  # it is shorter than it was, and whoever reads it next will tell
        offset += len(piece)
    return True


def bare(features: Features) -> Features:
    """Without whatever allows parameters."""
    kept = {it: text for it, text in features.keywords.items() if it not in PARAMETERS | MORE}
    return replace(
        features,
        keywords=kept,
        sized=False,
        eight_bit=False,
        binary=False,
        utf8=False,
        dsn=False,
        require_tls=False,
    )


def misled(handover: Handover) -> bool:
    """Whether parameters were refused that the server had announced, and nothing was accepted."""
    return (
        handover.fault is None
        and not handover.accepted
        and not handover.ours
        and all(reply is not None and _of_parameters(reply) for reply in handover.replies)
    )


def _of_parameters(reply: Reply) -> bool:
    # 501 may be about the address itself, unless they say more (RFC 3463 §3.6).
    return reply.code in (504, 555) or (reply.code == 501 and reply.detail == "5.4")

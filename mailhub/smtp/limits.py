"""What an SMTP session puts up with, and what it says of itself.

The configuration fills these values in. Sizes are octets, durations seconds.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final

LINE_MINIMUM: Final = 512
"""Octets of a command line, CR LF included, that everybody may send (RFC 5321 §4.5.3.1.4)."""
TEXT_MINIMUM: Final = 1000
"""Octets of a text line, CR LF included, that everybody may send (RFC 5321 §4.5.3.1.6)."""
RECIPIENTS_MINIMUM: Final = 100
"""Recipients that everybody may name in one transaction (RFC 5321 §4.5.3.1.8)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one SMTP session; each is answered with a reply of its own.

    Attributes:
        command_line: Octets of a command line, CR LF included. What the
            extensions add to `LINE_MINIMUM`: SIZE 26 (RFC 1870 §3), BODY 17
            (RFC 6152 §2), AUTH= 500 (RFC 4954 §3), ENVID and RET 116, ORCPT
            and NOTIFY 537 (RFC 3461 §4), SMTPUTF8 10. Over it: 500 5.5.2.
        auth_line: Octets of AUTH and of a response (RFC 4954 §4). Over it: 500 5.5.6.
        text_line: Octets of a line of content. Real mail has whole HTML pages
            on one line, so the default is far above `TEXT_MINIMUM`; memory does
            not depend on it. Over it: 500 5.6.0.
        size: Octets of content, announced by SIZE; 0 is none. Over it: 552 5.3.4.
        recipients: In one transaction. Over it: 452 4.5.3; each that is named when as many
            have been refused so counts as an error, too.
        errors: Commands refused for good since the last accepted message, RCPT
            apart. With the last of them comes 421 4.7.0.
        bad_recipients: Recipients refused for good, likewise; apart from the
            errors, so that a list with some dead addresses gets through.
        idle_commands: Commands since the last accepted message that carry no
            mail (NOOP, RSET, VRFY …). Over it: 421 4.7.0.
        command_patience: Time for a whole command to arrive (RFC 5321 §4.5.3.2.7).
        auth_patience: Time for a response to a challenge.
        content_patience: Time for each `content_block` of content (RFC 5321 §4.5.3.2.5).
        content_block: So much of content must arrive within `content_patience`;
            a client slower than that holds us up for nothing.
        lifetime: Time for a whole session; 0 is none.
        hold: How long a message may be held for its sender (RFC 4865 §4); 0 for not at all.
    """

    command_line: int = 2048
    auth_line: int = 12288
    text_line: int = 262_144
    size: int = 52_428_800
    recipients: int = 1000
    errors: int = 20
    bad_recipients: int = 100
    idle_commands: int = 100
    command_patience: float = 300.0
    auth_patience: float = 120.0
    content_patience: float = 180.0
    content_block: int = 16_384
    lifetime: float = 14_400.0
    hold: float = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Site:
    """What an SMTP session says of itself, and what its listener demands.

    Attributes:
        hostname: The name in the greeting and in EHLO's reply.
        greeting: What follows the name in the greeting.
        submission: Mail is taken only from those who have logged in (RFC 6409 §4.3).
        tls: STARTTLS can be offered.
        require_tls: Nothing but TLS is talked about in the clear (RFC 3207 §4).
        normalise: Peers whose bare CR and LF are mended instead of refused.
        now: The date; without it no message can be held for its sender.
    """

    hostname: str
    greeting: str = "ESMTP mailhub"
    submission: bool = False
    tls: bool = False
    require_tls: bool = False
    normalise: tuple[IPv4Network | IPv6Network, ...] = ()
    now: Callable[[], float] | None = field(default=None, compare=False)

    def normalises(self, address: str) -> bool:
        """Whether this peer's line ends are mended."""
        if not self.normalise:
            return False
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False  # no IP address: it is in no network
        return any(peer in network for network in self.normalise)

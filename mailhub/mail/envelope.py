"""The SMTP envelope: reverse-path, recipients, and the options that MAIL and RCPT gave them."""

from __future__ import annotations

from enum import Enum, Flag, auto

from mailhub.mail.address import NULL, Path
from mailhub.mail.value import replace, value


class Body(Enum):
    """What the content may hold (RFC 6152 §2, RFC 3030 §3)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


class Return(Enum):
    """How much of the message a DSN returns: the RET parameter (RFC 3461 §4.3)."""

    FULL = "FULL"
    HEADERS = "HDRS"


class Notify(Flag):
    """What a recipient's DSN is wanted for: the NOTIFY parameter (RFC 3461 §4.1)."""

    NEVER = auto()
    SUCCESS = auto()
    FAILURE = auto()
    DELAY = auto()


@value(frozen=True, slots=True)
class Recipient:
    """A forward-path with its options.

    Attributes:
        path: The forward-path.
        notify: None where RCPT had no NOTIFY: failures, and delays if we like
            (RFC 3461 §4.1).
        orcpt: The ORCPT parameter as given, ``type;xtext`` (RFC 3461 §4.2).
    """

    path: Path
    notify: Notify | None = None
    orcpt: str | None = None


@value(frozen=True, slots=True)
class DeliverBy:
    """The BY parameter: until when a message is to be delivered (RFC 2852 §4).

    Attributes:
        seconds: From the moment of MAIL; may be past where `returned` is false.
        returned: By-mode R: what is late comes back. Else (N) its sender is told of the delay.
        trace: Each relay that takes it is to be reported.
    """

    seconds: int
    returned: bool
    trace: bool = False


@value(frozen=True, slots=True)
class Envelope:
    """One mail transaction's envelope (RFC 5321 §2.3.1).

    Attributes:
        envid: The ENVID parameter as given, xtext (RFC 3461 §4.4).
        utf8: MAIL had SMTPUTF8 (RFC 6531 §3.4).
        require_tls: MAIL had REQUIRETLS (RFC 8689 §2).
        tls_optional: The header says ``TLS-Required: No``, and MAIL had no REQUIRETLS
            (RFC 8689 §4.1).
        size: What MAIL announced with SIZE, octets (RFC 1870 §6), or None.
        hold_for: Seconds that the message is not to be sent (RFC 4865 §4), or None.
        hold_until: Likewise the moment, seconds since the epoch.
        by: MAIL had BY (RFC 2852 §4).
        priority: MT-PRIORITY, -9 to 9 (RFC 6710 §4.1); None where MAIL had none.
    """

    reverse_path: Path = NULL
    recipients: tuple[Recipient, ...] = ()
    body: Body = Body.SEVEN_BIT
    ret: Return | None = None
    envid: str | None = None
    utf8: bool = False
    require_tls: bool = False
    tls_optional: bool = False
    size: int | None = None
    hold_for: int | None = None
    hold_until: float | None = None
    by: DeliverBy | None = None
    priority: int | None = None

    def to(self, recipient: Recipient) -> Envelope:
        """The same envelope with one recipient more."""
        return replace(self, recipients=(*self.recipients, recipient))

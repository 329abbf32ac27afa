"""What must be said of a message to hand it on, and whether a server can take it at all.

Pure: from an envelope, the content's beginning and a server's features to the
lines of MAIL and RCPT, or to a refusal of our own.

Invariants:

1. Content is never sent to a server that did not announce that it can take it:
   no silent downgrade (RFC 6152 §3). What can be encoded anew has been before
   (`smtp.suiting`), and the rest is refused with 5.6.3.
2. A parameter is sent only where its keyword was announced (RFC 5321 §2.2.1).
"""

from __future__ import annotations

from typing import Final

from mailhub.mail.address import NULL
from mailhub.mail.envelope import Body, DeliverBy, Envelope, Notify, Recipient
from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.smtp import xtext
from mailhub.smtp.features import Features

_NOTIFY: Final = (
    (Notify.SUCCESS, "SUCCESS"),
    (Notify.FAILURE, "FAILURE"),
    (Notify.DELAY, "DELAY"),
)


@value(frozen=True, slots=True)
class Needs:
    """What a message asks of the server, beyond 1982.

    Attributes:
        size: Octets of the content.
        utf8_paths: The reverse-path is not ASCII.
        utf8_header: The header is not ASCII.
        utf8_asked: The client asked for SMTPUTF8, or a recipient needs it: it is
            passed on where that is possible.
        trusted: REQUIRETLS was given, so the server must announce it as well,
            over TLS with a verified certificate.
        within: BY was given with mode R, so the server must know what late mail means:
            the seconds that are left.
    """

    size: int
    body: Body = Body.SEVEN_BIT
    utf8_paths: bool = False
    utf8_header: bool = False
    utf8_asked: bool = False
    trusted: bool = False
    within: int | None = None

    @property
    def utf8(self) -> bool:
        """Whether nothing but SMTPUTF8 can carry it, whoever the recipients are."""
        return self.utf8_paths or self.utf8_header


def needs(envelope: Envelope, beginning: bytes, size: int, *, ascii_only: bool) -> Needs:
    """What this message needs; `beginning` is the first piece of its content."""
    body = envelope.body
    if body is Body.SEVEN_BIT and not ascii_only:
        # The client did not say so, as many do not; the next server shall know.
        body = Body.EIGHT_BIT
    # SMTPUTF8 asks whether there *may* be a UTF-8 header; what matters to a server without it
    # is whether there is one (RFC 6531 §3.4, and the leave to check in RFC 6531 §3.6).
    header = beginning.partition(b"\r\n\r\n")[0]
    by = envelope.by
    asked = envelope.utf8 or any(it.path.needs_utf8 for it in envelope.recipients)
    return Needs(
        size=size,
        body=body,
        utf8_paths=envelope.reverse_path.needs_utf8,
        utf8_header=envelope.utf8 and not header.isascii(),
        utf8_asked=asked,
        # A bounce is rather sent unprotected than lost (RFC 8689 §5).
        trusted=envelope.require_tls and envelope.reverse_path != NULL,
        within=by.seconds if by is not None and by.returned else None,
    )


def lacking(need: Needs, features: Features, *, verified: bool) -> Reply | None:
    """Why this server cannot have the message, in our words; None if it can.

    `verified` says that the connection is encrypted, and the certificate was good.
    """
    if need.trusted and not (verified and features.require_tls):
        return Reply(550, "7.30", ("The next host does not support REQUIRETLS",))
    if need.body is Body.BINARY and not features.binary:
        return Reply(554, "6.3", ("The next host does not take binary content",))
    if need.body is Body.EIGHT_BIT and not features.eight_bit:
        return Reply(554, "6.3", ("The next host does not take 8-bit content",))
    if need.utf8_paths and not features.utf8:
        return Reply(553, "6.7", ("The next host does not take non-ASCII addresses",))
    if need.utf8_header and not features.utf8:
        return Reply(554, "6.9", ("The next host does not take UTF-8 headers",))
    if need.within is not None and "DELIVERBY" not in features.keywords:
        # Nobody would send it back there when it is late (RFC 2852 §4.1.4.1).
        return Reply(554, "4.7", ("The next host does not support DELIVERBY",))
    if need.within is not None and need.within < features.least_time:
        words = f"The next host wants {features.least_time} seconds at least for DELIVERBY"
        return Reply(554, "4.7", (words,))
    if features.size is not None and need.size > features.size:
        # Told beforehand, so there is no need to ask (RFC 1870 §5).
        return Reply(552, "3.4", (f"The next host takes at most {features.size} octets",))
    return None


def unreachable(recipient: Recipient, features: Features) -> Reply | None:
    """Why this server cannot be given this recipient; None if it can."""
    if recipient.path.needs_utf8 and not features.utf8:
        return Reply(553, "6.7", ("The next host does not take non-ASCII addresses",))
    return None


def mail_line(envelope: Envelope, need: Needs, features: Features) -> bytes:
    """The MAIL command, with all that the server's features allow to say."""
    parts = [f"MAIL FROM:<{envelope.reverse_path}>"]
    if features.sized:
        parts.append(f"SIZE={need.size}")
    if need.body is not Body.SEVEN_BIT:
        parts.append(f"BODY={need.body.value}")
    if features.utf8 and (need.utf8 or need.utf8_asked):
        parts.append("SMTPUTF8")
    if features.dsn and envelope.ret is not None:
        parts.append(f"RET={envelope.ret.value}")
    if features.dsn and envelope.envid is not None:
        parts.append(f"ENVID={envelope.envid}")
    if envelope.require_tls and features.require_tls:
        parts.append("REQUIRETLS")
    by = envelope.by
    if by is not None and "DELIVERBY" in features.keywords:
        mode = ("R" if by.returned else "N") + ("T" if by.trace else "")
        parts.append(f"BY={by.seconds};{mode}")  # RFC 2852 §4.2
    if envelope.priority is not None and "MT-PRIORITY" in features.keywords:
        parts.append(f"MT-PRIORITY={envelope.priority}")  # RFC 6710 §4.2
    return _line(parts)


def unwatched(by: DeliverBy | None, features: Features) -> bool:
    """Whether a message whose sender is to hear of delays goes where nobody watches the time."""
    waits = by is not None and not by.returned and by.seconds > 0
    return waits and "DELIVERBY" not in features.keywords


def rcpt_line(recipient: Recipient, features: Features, by: DeliverBy | None = None) -> bytes:
    """The RCPT command; what a server without DSN is not told stays our duty (RFC 3461 §5.2.2)."""
    parts = [f"RCPT TO:<{recipient.path}>"]
    notify = recipient.notify
    if unwatched(by, features) and notify is not Notify.NEVER:
        # The usual report of a delay is the next best thing (RFC 2852 §4.1.4.2).
        notify = (Notify.FAILURE if notify is None else notify) | Notify.DELAY
    if features.dsn and notify is not None:
        parts.append(f"NOTIFY={_notify(notify)}")
    if features.dsn and recipient.orcpt is not None:
        orcpt = recipient.orcpt
        parts.append(f"ORCPT={orcpt if features.utf8 else xtext.embed_non_ascii(orcpt)}")
    return _line(parts)


def _notify(notify: Notify) -> str:
    # NEVER stands alone (RFC 3461 §4.1).
    return ",".join(word for flag, word in _NOTIFY if notify & flag) or "NEVER"


def _line(parts: list[str]) -> bytes:
    line = " ".join(parts)
    if "\r" in line or "\n" in line or "\0" in line:
        raise ValueError(f"would be two commands: {line!r}")
    return f"{line}\r\n".encode("utf-8", "surrogateescape")

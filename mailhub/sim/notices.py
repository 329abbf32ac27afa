"""What providers write back: bounces (RFC 3464) and complaints (RFC 5965)."""

from __future__ import annotations

from mailhub.mail.date import format_date
from mailhub.sim.receiver import Message

_HEAD_LIMIT = 8192
"""Octets of the message returned in which its header section is looked for."""


def bounce(host: str, path: str, message: Message, now: float, age: float) -> bytes:
    """A provider's notice that it could not deliver after all."""
    status = f"Reporting-MTA: dns;{host}\n\nFinal-Recipient: rfc822;{path}\nAction: failed\n"
    status += "Status: 5.1.1\nDiagnostic-Code: smtp;550 5.1.1 No such user, as it turned out\n"
    human = f"Your message could not be delivered to {path} after all."
    return _report("delivery-status", host, message, human, status, (now, age))


def complaint(host: str, path: str, message: Message, now: float, age: float) -> bytes:
    """A provider's report that somebody complained."""
    status = "Feedback-Type: abuse\nUser-Agent: Provider/1\nVersion: 1\n"
    status += f"Original-Mail-From: <{message.sender}>\nOriginal-Rcpt-To: <{path}>\n"
    status += f"Source-IP: {message.source}\nArrival-Date: {format_date(now, 0)}\n"
    human = f"This is an abuse report for a message to {path}."
    return _report("feedback-report", host, message, human, status, (now, age))


def _report(
    kind: str, host: str, message: Message, human: str, status: str, moment: tuple[float, float]
) -> bytes:
    """A multipart/report (RFC 6522), with the header section that it is about."""
    now, age = moment
    boundary = f"={kind}-{age:.6f}"
    sender = "MAILER-DAEMON" if kind == "delivery-status" else "feedback"
    head = message.content[:_HEAD_LIMIT].partition(b"\r\n\r\n")[0].decode("latin-1")
    text = f"""From: <{sender}@{host}>
To: <{message.sender}>
Date: {format_date(now, 0)}
Message-ID: <{kind}.{age:.6f}@{host}>
Subject: {human}
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="{boundary}"

--{boundary}
Content-Type: text/plain

{human}

--{boundary}
Content-Type: message/{kind}

{status}
--{boundary}
Content-Type: text/rfc822-headers

"""
    octets = text.replace("\n", "\r\n").encode() + head.encode("latin-1")
    return octets + f"\r\n\r\n--{boundary}--\r\n".encode()

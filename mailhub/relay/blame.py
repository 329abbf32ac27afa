"""What stands behind a failure that no host has put into words, and behind those that one has."""

from __future__ import annotations

from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Classifier, Verdict
from mailhub.smtp.wire import (
    Broken,
    Incomprehensible,
    LoginFailed,
    Unreadable,
    Untrusted,
    Unwelcome,
)


def of_fault(fault: Broken, classifier: Classifier, provider: str) -> Verdict:
    """What broke a connection."""
    if fault.in_doubt:
        return Verdict(Cause.IN_DOUBT)
    if isinstance(fault, Unwelcome):
        return classifier.verdict(fault.greeting, provider)
    if fault.heard:
        return classifier.verdict(fault.reply, provider)
    if isinstance(fault, Untrusted) or fault.handshake:
        return Verdict(Cause.TLS)
    if isinstance(fault, LoginFailed | Unreadable):
        return Verdict(Cause.LOCAL)
    if isinstance(fault, Incomprehensible):
        return Verdict(Cause.PROTOCOL)
    return Verdict(Cause.UNREACHABLE)


def of_connection(reply: Reply) -> Cause:
    """Why there is no connection: nobody answers there, or we cannot ask."""
    return Cause.LOCAL if reply.detail.startswith("3.") else Cause.UNREACHABLE


def of_ours(reply: Reply) -> Cause:
    """Why we do not hand a message on to a host at all (`smtp.announce`)."""
    if reply.detail == "7.30":
        return Cause.TLS  # REQUIRETLS
    return Cause.CONTENT if reply.detail == "3.4" else Cause.PROTOCOL


def of_lookup(reply: Reply) -> Cause:
    """Why there is no host to go to."""
    if reply.detail.startswith("7."):
        return Cause.TLS
    if reply.detail == "4.1":
        return Cause.UNREACHABLE  # there are hosts, and nobody answers there
    if reply.detail == "4.6":
        return Cause.LOCAL  # the DNS names us for a domain that is not ours
    return Cause.NO_DOMAIN if reply.permanent else Cause.DNS

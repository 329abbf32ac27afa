"""Mail going out: the facts of what was tried, and what came of it."""

from __future__ import annotations

from typing import NewType

from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.policy.cause import Cause

QueueId = NewType("QueueId", str)


@value(frozen=True, slots=True)
class Attempt:
    """One connection's worth of trying to hand a message on: the facts, for queue and journey.

    Attributes:
        started: Seconds since the epoch; `ended` likewise.
        host: The name we meant to reach, ``mx.example.net``.
        address: The IP address, or ``""`` if none was found.
        tls: ``"TLSv1.3 TLS_AES_256_GCM_SHA384"``, or ``""`` in the clear.
        certificate: What the certificate was worth: ``"verified"``, ``"verified by DANE"``,
            ``"unverified: …"``, ``""``.
        reused: The connection had carried a message before.
        stage: How far it got: ``connect banner ehlo starttls auth mail rcpt data content done``.
        reply: The last thing said there, or our own words for a failure to reach it.
        in_doubt: The connection was lost between the final dot and the reply to it.
        dialogue: What was said for this message, line by line, theirs behind
            ``<<<``, ours behind ``>>>``; without content and secrets, and
            bounded (`smtp.record`).
        provider: Who runs the host: the name of a ``[provider NAME]``, or ``""``.
        source: The ``[source NAME]`` that it was sent from, or ``""``.
    """

    started: float
    ended: float
    host: str
    address: str
    port: int
    tls: str
    certificate: str
    reused: bool
    stage: str
    reply: Reply
    in_doubt: bool = False
    dialogue: tuple[str, ...] = ()
    provider: str = ""
    source: str = ""


@value(frozen=True, slots=True)
class Lookup:
    """A name that was looked up for an attempt.

    Attributes:
        started: Seconds since the epoch; `ended` likewise.
        question: ``MX far.example``.
        answer: The records, or why there are none.
        authentic: As in `Answer`.
    """

    started: float
    ended: float
    question: str
    answer: str
    authentic: bool = False


@value(frozen=True, slots=True)
class Outcome:
    """What came of trying to deliver one envelope.

    Attributes:
        replies: One for each recipient, in order: the far side's words, or
            ours (4.4.x and 5.4.x) where nobody could be asked.
        attempts: Every connection tried, in order.
        hosts: For each recipient the name of the host whose words its reply
            are, ``""`` where they are ours (Remote-MTA of a DSN).
        dsn: For each recipient whether the host that took it announced DSN and
            so reports from there on (RFC 3461 §5.2.1). Empty is all unknown.
        causes: For each recipient what stands behind a negative reply, None
            for a positive one. Empty is all unknown.
        lookups: Every name that was looked up, in order.
        provider: Who was to take it: the name of a ``[provider NAME]``, else
            the exchanges that were found; ``""`` where none were.
        put_off: When to come again (seconds since the epoch) for those who were not
            attempted now, for the pace's sake or because the provider is suspended: this is
            no failure and no attempt. Theirs are the replies that are temporary and ours,
            and whose cause is `Cause.LOCAL`.
    """

    replies: tuple[Reply, ...]
    attempts: tuple[Attempt, ...]
    hosts: tuple[str, ...] = ()
    dsn: tuple[bool, ...] = ()
    causes: tuple[Cause | None, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    provider: str = ""
    put_off: float | None = None

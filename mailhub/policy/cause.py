"""Why an attempt did not succeed: the kinds of failure that call for different things.

Which reply belongs to which cause is decided where the far side's words are read;
what a cause means for the next attempt is the schedule's (`policy.retry`).
"""

from __future__ import annotations

from enum import Enum


class Cause(Enum):
    """What stands behind a negative reply. The values are written to the spool and configured."""

    RATE_LIMITED = "rate-limited"
    """We send too fast for them, or open too many connections: slower, and later."""
    GREYLISTED = "greylisted"
    """They put off whom they do not know yet: soon again, and it is taken."""
    BLOCKED = "blocked"
    """Our address or name is on a list of theirs: not from here, perhaps by a detour."""
    POLICY = "policy"
    """They demand something of every sender that this mail lacks: SPF, DKIM, PTR, TLS, a login."""
    CONTENT = "content"
    """They do not want this very message: spam, virus, too big, malformed."""
    MAILBOX_FULL = "mailbox-full"
    """The recipient's mailbox is over its quota: hours, or days."""
    UNKNOWN_USER = "unknown-user"
    """There is no such mailbox, or it is shut."""
    TLS = "tls"
    """No encryption that satisfies us: handshake, certificate, or none offered."""
    PROTOCOL = "protocol"
    """They do not speak SMTP as we do: a command refused, an answer without sense."""
    IN_DOUBT = "in-doubt"
    """The connection was lost between the final dot and its reply: it may have been taken."""
    DNS = "dns"
    """Where to go could not be found out."""
    NO_DOMAIN = "no-domain"
    """There is no such domain, or it takes no mail."""
    UNREACHABLE = "unreachable"
    """No connection could be made, or it was lost, or nobody answered on it."""
    BUSY = "busy"
    """A host says that it cannot just now: overloaded, disk full, going down."""
    LATE = "late"
    """It could not be delivered by the time that its sender had set (RFC 2852)."""
    SUPPRESSED = "suppressed"
    """The recipient is on a suppression list, ours or that of a service we relay through."""
    LOCAL = "local"
    """Our own doing: a fault, a limit, a shutdown, an order of the operator."""
    OTHER = "other"
    """Nothing is known but that it failed."""

"""What an operator may set about IMAP: limits, and how the hub presents itself.

The configuration fills these in; nothing else in the package holds a number
that somebody could want to change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one client may ask for. Octets and seconds, unless said otherwise.

    Attributes:
        line: Of one command line, literals apart. RFC 7162 §4 asks for 8192 at
            least; clients that name many UIDs send far more.
        line_before_login: The same while nobody has logged in; what ID may hold are 31,800
            octets (RFC 2971 §3.3).
        command: Of one command with all its literals, APPEND's message apart.
        literal: Of one literal that is not APPEND's message.
        append: Of one message handed in by APPEND.
        ranges: Ranges in one sequence set (RFC 3501 §9 sequence-set).
        nesting: Depth of parentheses in a SEARCH program.
        keys: Search keys in one SEARCH program.
        contexts: Searches of one session whose results are kept up to date (RFC 5267 §4.3.1).
        patterns: Patterns and options in one LIST command (RFC 5258 §3).
        items: Data items in one FETCH, flags in one STORE.
        name: Of a mailbox name, in characters.
        annotation: Of one annotation's value.
        messages: That one command works on (RFC 9738 §3); 0 is any number.
        saved: That one COPY or APPEND puts into a mailbox, where `messages` is 0; likewise.
        notices: Mailboxes and other matters noted for one client that NOTIFY asked for.
        errors: BAD answers in a row before BYE.
        refused_logins: Failed logins before BYE.
        compress: A connection may be compressed (RFC 4978).
        unauthenticate: Whoever has logged in may begin anew as somebody else (RFC 8437 §8).
        submitters: Addresses of accounts that fetch for submission servers what URLs name
            (RFC 4467 §3, ``submit+``).
        connections: That have logged in to one account at the same time; 0 is any number.
        login_patience: Silence before login.
        patience: Silence after login: at least 30 minutes (RFC 3501 §5.4).
        idle_patience: Silence amid IDLE: clients begin anew every 29 minutes
            (RFC 2177 §3).
    """

    line: int = 65536
    line_before_login: int = 32768
    command: int = 262144
    literal: int = 65536
    append: int = 50 * 1024 * 1024
    ranges: int = 16384
    nesting: int = 32
    keys: int = 1000
    contexts: int = 10
    patterns: int = 100
    items: int = 200
    name: int = 200
    annotation: int = 16384
    messages: int = 0
    saved: int = 0
    notices: int = 1000
    errors: int = 20
    refused_logins: int = 5
    compress: bool = True
    unauthenticate: bool = True
    submitters: tuple[str, ...] = ()
    connections: int = 100
    login_patience: float = 120.0
    patience: float = 1800.0
    idle_patience: float = 1860.0

    @property
    def saving(self) -> int:
        """Messages that one COPY or APPEND puts into a mailbox; 0 is any number."""
        return self.messages or self.saved


@dataclass(frozen=True, slots=True)
class Settings:
    """How the hub presents itself.

    Attributes:
        hostname: Said in the greeting.
        identity: What ID tells of us, pairs of field and value (RFC 2971 §3.3).
        tls: A certificate is there, so STARTTLS may be offered.
        limits: See `Limits`.
        now: Gives the seconds since the epoch.
    """

    hostname: str
    identity: tuple[tuple[str, str], ...] = (("name", "mailhub"),)
    tls: bool = True
    limits: Limits = Limits()
    now: Callable[[], float] = field(default=lambda: 0.0, compare=False)

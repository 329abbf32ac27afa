"""Which SMTP command is allowed when: the order of a session, in tables."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from mailhub.mail.reply import Refusal
from mailhub.smtp.command import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Expn,
    Foreign,
    Garbled,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)


class Phase(Enum):
    """How far a mail transaction is (RFC 5321 §3.3)."""

    CONNECTED = auto()
    """No EHLO yet."""
    GREETED = auto()
    MAIL = auto()
    """The reverse-path is known."""
    RCPT = auto()
    """So is a recipient."""
    CHUNKS = auto()
    """Some BDATs were accepted, the last has not come (RFC 3030 §2)."""
    SPOILT = auto()
    """A BDAT was refused: nothing but RSET mends that (RFC 3030 §4.2)."""


_ANY: Final[frozenset[type[Command]]] = frozenset(
    {Ehlo, Helo, Rset, Noop, Vrfy, Expn, Help, Quit, Foreign, Garbled}
)

SEQUENCE: Final[Mapping[Phase, frozenset[type[Command]]]] = {
    Phase.CONNECTED: _ANY | {StartTls},  # gsasl says EHLO only after it; Postfix lets it
    Phase.GREETED: _ANY | {Mail, StartTls, Auth},
    Phase.MAIL: _ANY | {Rcpt},
    Phase.RCPT: _ANY | {Rcpt, Data, Bdat},
    Phase.CHUNKS: _ANY | {Bdat},
    Phase.SPOILT: _ANY,
}
"""Which commands each phase allows (RFC 5321 §4.1.4). AUTH is not allowed within
a transaction (RFC 4954 §4), and DATA not behind BDAT (RFC 3030 §2)."""

IN_THE_CLEAR: Final = frozenset({Ehlo, Helo, Noop, Rset, Quit, StartTls, Help, Foreign, Garbled})
"""What a listener that demands TLS talks about before it (RFC 3207 §4)."""

WITHOUT_LOGIN: Final = _ANY - {Vrfy, Expn} | {StartTls, Auth}
"""What a submission server talks about before a login (RFC 4954 §6, RFC 6409 §4.3)."""

CARRIES_MAIL: Final = frozenset({Mail, Rcpt, Data, Bdat, Quit})
"""What brings a mail on its way; the others are counted as idle talk."""

_OUT_OF_SEQUENCE: Final[Mapping[Phase, Refusal]] = {
    Phase.CONNECTED: Refusal(503, "5.1", "Say EHLO first"),
    Phase.GREETED: Refusal(503, "5.1", "MAIL first"),
    Phase.MAIL: Refusal(503, "5.1", "Not within a mail transaction"),
    Phase.RCPT: Refusal(503, "5.1", "Not within a mail transaction"),
    Phase.CHUNKS: Refusal(503, "5.1", "BDAT, or RSET"),
    Phase.SPOILT: Refusal(503, "5.1", "A chunk was refused: RSET first"),
}
# These are shared: answered, never raised, for a raised exception keeps its frames.
NO_RECIPIENTS: Final = Refusal(554, "5.1", "No valid recipients")
TLS_FIRST: Final = Refusal(530, "7.0", "Must issue a STARTTLS command first")
LOGIN_FIRST: Final = Refusal(530, "7.0", "Authentication required")


def out_of_sequence(kind: type[Command], phase: Phase) -> Refusal | None:
    """Why `phase` does not allow this command; None if it does."""
    if kind in SEQUENCE[phase]:
        return None
    if phase is Phase.MAIL and kind in (Data, Bdat):
        return NO_RECIPIENTS  # RFC 5321 §3.3
    return _OUT_OF_SEQUENCE[phase]

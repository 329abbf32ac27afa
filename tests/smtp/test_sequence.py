"""The order of a session."""

from __future__ import annotations

from typing import get_args

from mailhub.smtp import sequence
from mailhub.smtp.command import Auth, Bdat, Command, Data, Mail, Rcpt, Rset, StartTls
from mailhub.smtp.sequence import SEQUENCE, Phase, out_of_sequence


def test_complete() -> None:
    """Each command is allowed somewhere, and RSET everywhere (RFC 5321 §4.1.4)."""
    assert set(SEQUENCE) == set(Phase)
    assert frozenset.union(*SEQUENCE.values()) == set(get_args(Command))
    assert all(Rset in allowed for allowed in SEQUENCE.values())


def test_transaction() -> None:
    """MAIL, then RCPT, then content; AUTH and STARTTLS outside of it."""
    allowed = {
        phase: {kind for kind in (Mail, Rcpt, Data, Bdat, Auth, StartTls) if kind in commands}
        for phase, commands in SEQUENCE.items()
    }
    assert allowed == {
        Phase.CONNECTED: {StartTls},
        Phase.GREETED: {Mail, Auth, StartTls},
        Phase.MAIL: {Rcpt},
        Phase.RCPT: {Rcpt, Data, Bdat},
        Phase.CHUNKS: {Bdat},
        Phase.SPOILT: set(),
    }


def test_refusals() -> None:
    """Out of order is 503 5.5.1; content without recipients is 554 5.5.1 (RFC 5321 §3.3)."""
    assert out_of_sequence(Mail, Phase.GREETED) is None
    for phase in Phase:
        for kind in get_args(Command):
            refusal = out_of_sequence(kind, phase)
            if refusal is not None:
                without = phase is Phase.MAIL and kind in (Data, Bdat)
                assert refusal.reply.code == (554 if without else 503)
                assert refusal.reply.detail == "5.1"


def test_before() -> None:
    """Neither TLS nor a login is needed to reach them (RFC 3207 §4, RFC 4954 §6)."""
    assert StartTls in sequence.IN_THE_CLEAR
    assert Auth not in sequence.IN_THE_CLEAR
    assert {Auth, StartTls} <= sequence.WITHOUT_LOGIN
    assert not sequence.WITHOUT_LOGIN & {Mail, Rcpt, Data, Bdat}

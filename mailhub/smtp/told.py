"""Which refusals an intake is told of, and what they are about."""

from __future__ import annotations

from typing import Final

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal
from mailhub.smtp.command import Auth, Bdat, Command, Data, Mail, Rcpt

STAGES: Final = frozenset({"MAIL", "RCPT", "DATA", "AUTH"})

About = tuple[str, Envelope | None, Path | None]
"""The stage, the envelope as far as it is known, and the path of RCPT."""


def about(command: Command, envelope: Envelope | None) -> About:
    """What a command is about, in a transaction with this envelope."""
    match command:
        case Mail(reverse_path=path):
            return "MAIL", Envelope(path), None
        case Rcpt(forward_path=path):
            return "RCPT", envelope, path
        case Data() | Bdat():
            return "DATA", envelope, None
        case Auth():
            return "AUTH", None, None
        case _:
            return "", None, None


def about_line(line: bytes) -> About:
    """What a line that could not be read is about, by what it begins with."""
    return line[:4].decode("ascii", "replace").upper(), None, None


def matters(stage: str, refusal: Refusal) -> bool:
    """Whether a refusal is about mail, and not about the order of commands."""
    return stage in STAGES and refusal.reply.detail != "5.1"

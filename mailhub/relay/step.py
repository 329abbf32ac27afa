"""What `relay.explain` and `relay.outlook` are asked, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mailhub.config.settings import Settings
from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal
from mailhub.policy.rule import Rule
from mailhub.policy.suppression import Entry
from mailhub.policy.verdict import Verdict
from mailhub.ports.accounts import Directory
from mailhub.ports.resolver import Resolver
from mailhub.relay.allowances import Allowances
from mailhub.relay.scout import Scout


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that would be decided or found out.

    Attributes:
        stage: When: ``MAIL RCPT content limit class list route lookup terms TLS return slot
            retry mailbox``.
        about: The recipient, or ``""`` for the whole message.
        refused: The message would go no further, for this recipient.
    """

    stage: str
    about: str
    what: str
    rule: Rule | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """The message: `header` is empty where only its envelope is known.

    Attributes:
        size: Octets in all.
        require_tls: MAIL would have REQUIRETLS (RFC 8689 §2).
    """

    sender: Path
    recipients: tuple[Path, ...]
    header: bytes = b""
    size: int = 0
    require_tls: bool = False


Standing = Callable[[str], Sequence[str]]
"""Says of a provider how it stands: its places and pace, when the next slot is, what holds it."""

Listed = Callable[[Path, Path], Entry | None]
"""Why a sender's mail to an address is on his domain's suppression list, if it is."""

UNKNOWN: Final = ("nothing was sent there lately: the next slot is now",)
"""What is said where nothing is known."""


@dataclass(frozen=True, slots=True)
class World:
    """Whom to ask.

    Attributes:
        allowances: Who may send how much, and what was sent.
        scout: Finds out what is demanded of TLS.
        resolver: None to look nothing up.
    """

    settings: Settings
    directory: Directory
    now: Callable[[], float]
    shuffle: Callable[[list[Any]], object]
    allowances: Allowances
    scout: Scout
    resolver: Resolver | None = None
    standing: Standing = field(default=lambda name: ())  # noqa: ARG005
    listed: Listed = field(default=lambda sender, path: None)  # noqa: ARG005


def decided(stage: str, about: str, verdict: Verdict) -> Step:
    """A verdict as a step."""
    return Step(stage, about, verdict.what, verdict.rule)


def refused(stage: str, about: str, refusal: Refusal) -> Step:
    """A refusal as a step."""
    rule = refusal.rule if isinstance(refusal.rule, Rule) else None
    return Step(stage, about, refusal.reply.text, rule, refused=True)

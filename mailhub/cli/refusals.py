"""What clients were refused, found and told, for ``mailhub journey``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mailhub.cli.place import Place
from mailhub.policy.refused import Refused
from mailhub.queue.journeys import DATABASE
from mailhub.queue.refusals import Refusals, Sought
from mailhub.queue.wanted import Wanted

if TYPE_CHECKING:
    from rich.console import Console


def found(place: Place, wanted: Wanted, client: str | None, limit: int) -> list[Refused]:
    """The latest that fit, the oldest of these first."""
    sought = Sought(wanted.sender, wanted.recipient, wanted.account, client, wanted.since)
    return Refusals(place.existing().hub.state).find(sought, limit)[::-1]


def alone(place: Place) -> bool:
    """Whether there is nothing else: no mail was ever taken."""
    return not os.path.exists(f"{place.existing().hub.state}/{DATABASE}")


def as_json(refused: Refused) -> dict[str, Any]:
    """A refusal for a program, in the form of a journey."""
    return {
        "id": None,
        "state": "refused",
        "ended": True,
        "events": [{"event": "refused", **asdict(refused)}],
    }


def draw(
    refused: Refused,
    console: Console,
    styles: Mapping[str, str],
    moment: Callable[[float], str],
) -> None:
    """A refusal for a person: a timeline."""
    from rich.text import Text  # noqa: PLC0415

    title = Text(f"{refused.stage:<12}", style="bold")
    title.append(f"  {_about(refused)}  ", style="not bold")
    title.append("refused", style="reverse")
    if refused.count > 1:
        title.append(f"  {refused.count} times", style="not bold")
    console.print(title)
    for at, kind, text in _lines(refused):
        line = Text(f"  {moment(at)}  ")
        line.append(f"{kind:<10}", style=styles.get(kind, ""))
        line.append(f" {text}")
        console.print(line)


def _about(refused: Refused) -> str:
    """Whose mail it was, and for whom."""
    if refused.alike:
        return "many that are alike"
    if refused.stage == "AUTH":
        return "a login"
    sender = "somebody" if refused.sender is None else f"<{refused.sender}>"
    return f"{sender} to <{refused.recipient}>" if refused.recipient else f"from {sender}"


def _lines(refused: Refused) -> Iterator[tuple[float, str, str]]:
    """Moment, kind and words."""
    helo = f"{refused.helo} " if refused.helo else ""
    who = f"{helo}[{refused.address}]" if refused.address else "many clients"
    account = f", logged in as {refused.account}" if refused.account else ""
    tls = f", {refused.tls}" if refused.tls else ", in the clear"
    yield refused.at, "client", f"{who}{account}{tls}"
    last = "the last of them: " if refused.alike else ""
    yield refused.until, "refused", f"{last}{refused.reply}"
    if refused.rule:
        yield refused.until, "decided", refused.rule

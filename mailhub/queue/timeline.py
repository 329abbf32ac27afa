"""A journey as lines that a person reads: the same on a terminal and in a message.

Words only: colours, widths and the form of dates are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mailhub.queue.event import (
    Accepted,
    Complained,
    Decided,
    Dismissed,
    Event,
    Fated,
    Filed,
    Looked,
    Reported,
    State,
    Tried,
)
from mailhub.queue.standing import standing

NAMED: Final = 3
"""Recipients that a line names; of others it tells how many there are."""

Moment = Callable[[float], str]
"""Shows a moment."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened.

    Attributes:
        kind: One word for it: ``accepted``, ``tried``, ``deferred`` …
        details: What belongs to it, line by line: a dialogue, the rule that decided.
    """

    at: float
    kind: str
    text: str
    details: tuple[str, ...] = ()


def lines(events: Sequence[Event], moment: Moment, *, rules: bool = True) -> list[Line]:
    """What happened, in order of time, with the `rules` that decided it or without."""
    accepted = standing(events).accepted
    recipients = () if accepted is None else accepted.recipients
    told = _Told(recipients, moment, rules)
    return sorted((told.line(event) for event in events), key=lambda line: line.at)


def heading(events: Iterable[Event]) -> str:
    """What the message is, in one line; ``""`` if that is not known."""
    accepted = standing(events).accepted
    if accepted is None:
        return ""
    to = _some([f"<{it}>" for it in accepted.recipients])
    return f"from <{accepted.sender}> to {to}, {accepted.size} octets"


def text(events: Sequence[Event], moment: Moment, *, rules: bool = True) -> Iterator[str]:
    """The lines as plain text."""
    for line in lines(events, moment, rules=rules):
        yield f"{moment(line.at)}  {line.kind}: {line.text}"
        yield from (f"    {detail}" for detail in line.details)


@dataclass(frozen=True, slots=True)
class _Told:
    """How events of one message are told."""

    recipients: tuple[str, ...]
    moment: Moment
    rules: bool

    def line(self, event: Event) -> Line:
        match event:
            case Accepted():
                return self._accepted(event)
            case Looked(at, until, question, answer, authentic):
                mark = ", authentic" if authentic else ""
                return Line(at, "looked up", f"{question}: {answer}{mark}{_took(until - at)}")
            case Decided():
                return self._decided(event)
            case Tried():
                return self._tried(event)
            case Fated():
                return self._fated(event)
            case Filed(at, number, account, mailbox, uid):
                place = f"{mailbox} of {account}" + (f", UID {uid}" if uid else "")
                return Line(at, "delivered", f"{self._who((number,))} into {place}")
            case Reported(at, numbers, action, notice):
                return Line(at, "reported", f"{self._who(numbers)} as {action}, in {notice}")
            case Complained(at, reporter, kind, recipient):
                of = f" of <{recipient}>" if recipient else ""
                return Line(at, "complaint", f"{kind}{of}, says {reporter}")
            case Dismissed(at, account):
                return Line(at, "dismissed", f"by {account}")

    def _accepted(self, event: Accepted) -> Line:
        if event.about:
            text = f"a notice about {event.about}"
        else:
            who = f" as {event.account}" if event.account else ""
            tls = f", {event.tls}" if event.tls else ", in the clear"
            text = f"from {event.helo or '?'} [{event.address}] with {event.protocol}{who}{tls}"
        text += f"; {event.size} octets, safe on disk{_took(event.spooled - event.at, ' after ')}"
        named = (event.message_id and f"Message-ID: {event.message_id}",)
        verdicts = self._verdicts(event.verdicts)
        return Line(event.at, "accepted", text, (*filter(None, named), *verdicts))

    def _decided(self, event: Decided) -> Line:
        """The first as the line, the others below it."""
        first, *others = self._verdicts(event.verdicts) or [""]
        return Line(event.at, "decided", f"{first}{self._for(event.numbers)}", tuple(others))

    def _tried(self, event: Tried) -> Line:
        where = event.host
        if event.address and event.address != event.host:
            where += f" [{event.address}]"
        if event.port:
            where += f":{event.port}"
        facts = [where]
        if event.provider:
            facts.append(f"of {event.provider}")
        if event.source:
            facts.append(f"from {event.source}")
        if event.stage != "connect":
            facts.append(
                f"{event.tls}, certificate {event.certificate or 'unknown'}"
                if event.tls
                else "in the clear"
            )
        if event.reused:
            facts.append("over an open connection")
        if event.stage != "done":
            facts.append(f"got as far as {event.stage}")
        if event.in_doubt:
            facts.append("lost before the reply to the content: it may have been accepted")
        took = _took(event.until - event.at)
        text = f"{', '.join(facts)}{took}: {event.reply}{self._for(event.numbers)}"
        return Line(event.at, "tried", text, event.dialogue)

    def _fated(self, event: Fated) -> Line:
        words = event.reply
        if words and event.host:
            words = f"{event.host} said {words}"
        text = self._who(event.numbers)
        if event.state is State.DEFERRED:
            text += f", next attempt {self.moment(event.due)}"
        if words:
            text += f": {words}"
        return Line(event.at, event.state.value, text, self._ruled(event.rule))

    def _verdicts(self, verdicts: Iterable[tuple[str, str]]) -> list[str]:
        return [what + "".join(f" ({it})" for it in self._ruled(rule)) for what, rule in verdicts]

    def _ruled(self, rule: str) -> tuple[str, ...]:
        return (f"by {rule}",) if rule and self.rules else ()

    def _for(self, numbers: tuple[int, ...]) -> str:
        """Whom something is about, where it is not about all."""
        if not numbers or len(numbers) == len(self.recipients):
            return ""
        return f", for {self._who(numbers)}"

    def _who(self, numbers: tuple[int, ...]) -> str:
        known = len(self.recipients)
        return _some(
            [f"<{self.recipients[n]}>" if n < known else f"recipient {n + 1}" for n in numbers]
        )


def _took(seconds: float, before: str = ", ") -> str:
    """A span of time, if it is one."""
    if seconds < 0.0005:
        return ""
    return f"{before}{seconds * 1000:.0f} ms" if seconds < 1 else f"{before}{seconds:.1f} s"


def _some(names: Sequence[str]) -> str:
    """The first few of these, and how many others there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

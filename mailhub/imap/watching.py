"""NOTIFY's language: which events of which mailboxes a client wants to hear of (RFC 5465 §8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mailhub.imap import item
from mailhub.imap.grammar import Tokens
from mailhub.imap.item import Item
from mailhub.imap.response import Bad, No
from mailhub.imap.settings import Limits

NEW, EXPUNGED, FLAGGED = "MESSAGENEW", "MESSAGEEXPUNGE", "FLAGCHANGE"
NAMED, SUBSCRIBED = "MAILBOXNAME", "SUBSCRIPTIONCHANGE"
ANNOTATED, SERVER_ANNOTATED = "MAILBOXMETADATACHANGE", "SERVERMETADATACHANGE"
MESSAGE_EVENTS: Final = frozenset({NEW, EXPUNGED, FLAGGED})
EVENTS: Final = (
    *("MessageNew", "MessageExpunge", "FlagChange"),
    *("MailboxName", "SubscriptionChange", "MailboxMetadataChange", "ServerMetadataChange"),
)
"""What we can tell of, as the RFC spells it."""

ALL: Final = frozenset(name.upper() for name in EVENTS)
_SELECTED: Final = frozenset({"SELECTED", "SELECTED-DELAYED"})
_PLAIN: Final = frozenset({"INBOXES", "PERSONAL", "SUBSCRIBED"})
_NAMED: Final = frozenset({"SUBTREE", "MAILBOXES"})


@dataclass(frozen=True, slots=True)
class Watch:
    """One event group.

    Attributes:
        which: The filter's name, in capitals.
        names: Of SUBTREE and MAILBOXES.
        events: Names in capitals; none for NONE.
        items: What is told of each new message, of the selected mailbox only.
    """

    which: str
    names: tuple[bytes, ...] = ()
    events: frozenset[str] = frozenset()
    items: tuple[Item, ...] = ()

    @property
    def of_selected(self) -> bool:
        """It is for the selected mailbox, and no other."""
        return self.which in _SELECTED


def parse(tokens: Tokens, limits: Limits) -> tuple[tuple[Watch, ...] | None, bool]:
    """What NOTIFY asks for, None for NONE, and whether STATUS is wanted first.

    Raises:
        Bad: It does not parse, or does not fit together.
        No: BADEVENT.
    """
    # notify-set = "SET" [SP "STATUS"] SP event-group *(SP event-group)      (RFC 5465 §8)
    tokens.space()
    verb = tokens.keyword()
    if verb == "NONE":
        tokens.end()
        return None, False
    if verb != "SET":
        raise Bad("Expected SET or NONE")
    tokens.space()
    status = tokens.maybe_word("STATUS")
    if status:
        tokens.space()
    watches = [_group(tokens, limits)]
    while tokens.maybe(b" ") and not tokens.ended:
        watches.append(_group(tokens, limits))
        if len(watches) > limits.patterns:
            raise Bad("Too many event groups")
    tokens.end()
    if sum(watch.of_selected for watch in watches) > 1:
        raise Bad("One group is for the selected mailbox")
    unknown = frozenset().union(*(watch.events for watch in watches)) - ALL
    if unknown:
        raise No("Some events are not told", f"BADEVENT ({' '.join(EVENTS)})")  # RFC 5465 §3.1
    for watch in watches:
        _check(watch)
    return tuple(watches), status


def _group(tokens: Tokens, limits: Limits) -> Watch:
    # event-group = "(" filter-mailboxes SP events ")"
    tokens.expect(b"(")
    which = tokens.keyword()
    names: tuple[bytes, ...] = ()
    tokens.space()
    if which in _NAMED:
        names = _names(tokens, limits)
        tokens.space()
    elif which not in _SELECTED | _PLAIN:
        raise Bad("Unknown filter")
    events: set[str] = set()
    items: list[Item] = []
    if not tokens.maybe_word("NONE"):
        tokens.parenthesised(_event(tokens, limits, events, items), limits.items)
    tokens.expect(b")")
    return Watch(which, names, frozenset(events), tuple(dict.fromkeys(items)))


def _names(tokens: Tokens, limits: Limits) -> tuple[bytes, ...]:
    if tokens.next_is(b"("):
        return tuple(tokens.parenthesised(tokens.astring, limits.items))
    return (tokens.astring(),)


def _event(
    tokens: Tokens, limits: Limits, events: set[str], items: list[Item]
) -> Callable[[], None]:
    """Takes one event: ``"MessageNew" [SP "(" fetch-att *(SP fetch-att) ")"]`` or a name."""

    def take() -> None:
        name = tokens.keyword()
        events.add(name)
        if name == NEW and tokens.maybe(b" ("):
            items.extend(item.attributes(tokens, limits))

    return take


def _check(watch: Watch) -> None:
    events = watch.events
    if (NEW in events) != (EXPUNGED in events) or (FLAGGED in events and NEW not in events):
        raise Bad("MessageNew and MessageExpunge go together, FlagChange with both")
    if watch.of_selected and events - MESSAGE_EVENTS:
        raise Bad("The selected mailbox has message events only")
    if watch.items and not watch.of_selected:
        raise Bad("Items are for the selected mailbox")

"""What a connection is and knows between two commands: phase, account, selected mailbox.

Handlers of commands are given a `State`; they change it in their last lines
only.  What they yield is an `Output`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from mailhub.imap.census import Census
from mailhub.imap.extract import Known
from mailhub.imap.item import Item
from mailhub.imap.manner import PLAIN, Manner
from mailhub.imap.name import decoded, encoded
from mailhub.imap.reader import Reader
from mailhub.imap.response import Bye, Ok
from mailhub.imap.settings import Limits, Settings
from mailhub.imap.view import View
from mailhub.ports.accounts import Account, Logins
from mailhub.ports.conversation import Client, Tls
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Placed, Ranges
from mailhub.ports.store import Notice, Reach, Reaches
from mailhub.sasl.mechanism import Mechanisms

ANNOTATED: Final = 100
"""Mailboxes of which a client will be told that others changed their annotations."""


class Phase(Enum):
    """The states of RFC 3501 §3."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


class Ongoing(Protocol):
    """A command that goes on with what the client sends next: SASL, IDLE, APPEND's message."""

    def proceed(self, reader: Reader) -> AsyncGenerator[Output, None]:
        """Take what has arrived. The command has ended once an `Ok` is yielded, or by raising."""

    async def abandon(self) -> None:
        """The connection is gone, or the command was refused: let go of what is held."""


Output = bytes | Ok | Ongoing
"""What a command yields: untagged responses, and last of all its end or how it goes on.

Empty octets are a breathing point: others may have their turn.
"""


class Context(Protocol):
    """A search whose result is kept up to date; `imap.contexts` has it."""

    def departed(self, box: Selected) -> Iterator[bytes]:
        """What to say of messages that are expunged, before that is said."""

    def changed(self, box: Selected, state: State) -> AsyncGenerator[bytes, None]:
        """What to say of messages that have come, or changed, after that was said."""


class Notifies(Protocol):
    """What a client hears of unasked; `imap.notifying` has it.

    Attributes:
        immediate: Changes in the selected mailbox are told at once.
    """

    immediate: bool

    def heard(self, notice: Notice) -> None:
        """Something has happened to a mailbox of the account."""

    def made(self, uids: Iterable[int]) -> None:
        """The client has put messages into the selected mailbox."""

    def also(self, uids: Ranges, items: tuple[Item, ...]) -> bool:
        """Tell these items of new messages with what is told of them; False if it cannot be."""

    def news(self, *, idle: bool = False) -> AsyncGenerator[bytes, None]:
        """All that there is to tell now; amid IDLE also what may be delayed."""


@dataclass(slots=True)
class Selected:
    """The selected mailbox and the client's picture of it.

    Attributes:
        changed: Called after each change in the mailbox.
        large: What is known of the large message that was fetched last.
        contexts: Searches whose results are kept up to date, by tag (RFC 5267 §4.3).
    """

    mailbox: Mailbox
    view: View
    read_only: bool
    changed: Callable[[], None]
    large: Known | None = None
    contexts: dict[bytes, Context] = field(default_factory=dict)

    def tell(self, *, expunges: bool, flags: bool = True) -> Iterator[bytes]:
        """Bring the client up to date.

        Raises:
            Bye: That cannot be done any more.
        """
        self.check_ended()
        self.view.catch_up()
        if self.view.lost:
            raise Bye("The mailbox has changed too much", "UNAVAILABLE")
        return self.view.tell(expunges=expunges, recents=self._recents, flags=flags)

    def reached(self) -> str:
        """The response code of a command that removed messages, and tells all (RFC 7162 §3.2.7)."""
        return f"HIGHESTMODSEQ {self.mailbox.highest_modseq}" if self.view.manner.vanished else ""

    def check_ended(self) -> None:
        """Whether the client may go on with the mailbox.

        Raises:
            Bye: It may not: it was taken away, or is another one now.
        """
        if self.mailbox.ended:
            raise Bye(self.mailbox.ended, "UNAVAILABLE")

    def tell_arrivals(self) -> Iterator[bytes]:
        """Tell the client of new messages only."""
        return self.view.tell_arrivals(self._recents)

    def _recents(self) -> Iterable[int]:
        # EXAMINE must not take \Recent from others                        (RFC 3501 §6.3.2)
        return () if self.read_only else self.mailbox.take_recent()

    async def close(self) -> None:
        """Give the mailbox back."""
        self.mailbox.unwatch(self.changed)
        await self.mailbox.release()


@dataclass(slots=True)
class State:
    """One connection.

    Attributes:
        wants_tls: STARTTLS was agreed to.
        wants_deflate: COMPRESS was agreed to.
        deflated: The connection is compressed, or about to be.
        tag: Of the command under way.
        idle: In IDLE.
        annotated: Annotations that others have changed, and the client has not been told of,
            by mailbox; the latest so many mailboxes.
        changed: Called after each change in the selected mailbox.
        refused_logins: Since the connection began.
        enabled: Extensions that ENABLE has switched on (RFC 5161 §3.1).
        manner: How the client wants to be told of changes.
        notifying: What it hears of unasked.
        acting: Mailboxes that the command under way makes, renames and so on.
        wake: Called when there is something to tell it unasked.
    """

    client: Client
    settings: Settings
    mechanisms: Mechanisms
    logins: Logins
    stores: Reaches
    changed: Callable[[], None]
    census: Census
    tls: Tls | None = None
    phase: Phase = Phase.NOT_AUTHENTICATED
    account: Account | None = None
    mail: Reach | None = field(default=None)
    selected: Selected | None = None
    wants_tls: bool = False
    wants_deflate: bool = False
    deflated: bool = False
    tag: bytes = b"*"
    idle: bool = False
    annotated: dict[str, dict[str, None]] = field(default_factory=dict)
    refused_logins: int = 0
    enabled: frozenset[str] = frozenset()
    manner: Manner = PLAIN
    notifying: Notifies | None = None
    acting: frozenset[str] = frozenset()
    wake: Callable[[], None] = lambda: None

    @contextmanager
    def by_us(self, *names: str) -> Iterator[None]:
        """Whatever happens to these mailboxes meanwhile is the client's own doing."""
        self.acting = self.acting.union(names)
        try:
            yield
        finally:
            self.acting = frozenset()

    def made(self, name: str, placed: Placed) -> None:
        """The client has put messages into a mailbox."""
        box = self.selected
        if self.notifying is not None and box is not None and box.mailbox.name == name:
            self.notifying.made(placed.uids)

    def hush(self) -> None:
        """Tell nothing unasked any more (RFC 5465 §3.1)."""
        if self.notifying is not None and self.mail is not None:
            self.mail.unlisten(self.notifying.heard)
        self.notifying = None

    @property
    def limits(self) -> Limits:
        """What the client may ask for."""
        return self.settings.limits

    @property
    def store(self) -> Reach:
        """The account's mail, after login."""
        assert self.mail is not None
        return self.mail

    @property
    def box(self) -> Selected:
        """The selected mailbox, in that phase."""
        assert self.selected is not None
        return self.selected

    def watch_annotations(self) -> None:
        """Hear from now on of annotations that others change (RFC 5464 §4.1)."""
        self.store.watch_metadata(self._annotated)

    def _annotated(self, name: str, entries: Sequence[str]) -> None:
        if name and "METADATA" not in self.enabled:
            return
        self.annotated.setdefault(name, {}).update(dict.fromkeys(entries))
        while len(self.annotated) > ANNOTATED:
            self.annotated.pop(next(iter(self.annotated)))
        self.changed()

    def name(self, octets: bytes) -> str:
        """A mailbox's name, as a command gave it.

        Raises:
            No: It is no such name.
        """
        return decoded(octets, self.limits.name, utf8=self.manner.utf8)

    def spelt(self, name: str) -> bytes:
        """A mailbox's name, as this client is told it."""
        return encoded(name, utf8=self.manner.utf8)

    async def log_out(self) -> None:
        """Forget the login and all that came with it; harmless without one."""
        try:
            await self.deselect()
        finally:
            self._forget()

    def _forget(self) -> None:
        if self.mail is not None and "METADATA-SERVER" in self.enabled:
            self.mail.unwatch_metadata()
        self.annotated.clear()
        self.hush()
        if self.account is not None:
            self.census.leave(self.account.id)
        self.account = self.mail = None
        self.enabled, self.manner = frozenset(), PLAIN
        self.phase = Phase.NOT_AUTHENTICATED

    async def deselect(self) -> None:
        """Leave the selected mailbox, if there is one."""
        if self.selected is not None:
            selected, self.selected = self.selected, None
            self.phase = Phase.AUTHENTICATED
            await selected.close()

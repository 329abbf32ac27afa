"""One IMAP connection: order, legality, and the end of each command (RFC 3501 §3, §5.5).

The session knows which command is allowed when, how each ends, and when the
client may be told what; what the commands do stands in the modules beside.

Invariants:

1. Commands are answered one at a time, in the order in which they came, each
   with one tagged response (RFC 3501 §5.5).
2. EXPUNGE is told only after commands that do not use sequence numbers to name
   messages, and amid IDLE (RFC 3501 §7.4.1).
3. All order is in `ALLOWED`: a handler may assume that it was called in a phase
   that allows it.
4. After STARTTLS nothing is left of what was said before (RFC 3501 §6.2.1).
5. The mailbox tells of its changes at once (`changed`); the client hears of
   them at once amid IDLE, else at the end of its next command.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

from mailhub.imap import (
    access,
    append,
    arranging,
    batches,
    connection,
    contexts,
    enabling,
    idle,
    login,
    mailboxes,
    messages,
    metadata,
    multisearch,
    notifying,
    quota,
    replacing,
    searches,
    selection,
    storing,
    syntax,
    urlauth,
)
from mailhub.imap import command as commands
from mailhub.imap.capability import capabilities
from mailhub.imap.census import Census
from mailhub.imap.command import Command
from mailhub.imap.fault import worded
from mailhub.imap.numbering import barred, settled
from mailhub.imap.reader import Announced, Reader, Refused, Request, tag_of
from mailhub.imap.response import Bad, Broken, Bye, Condition, No, Ok, status
from mailhub.imap.settings import Settings
from mailhub.imap.state import Ongoing, Output, Phase, State
from mailhub.ports.accounts import Logins
from mailhub.ports.conversation import Client, Tls
from mailhub.ports.store import Reaches, StoreRefused
from mailhub.sasl.mechanism import Mechanisms

Handler = Callable[[State, Any], AsyncGenerator[Output, None]]

_ANY: Final = frozenset({commands.Capability, commands.Noop, commands.Logout, commands.Id})
_BEFORE_LOGIN: Final = frozenset({commands.StartTls, commands.Authenticate, commands.Login})
_AFTER_LOGIN: Final = frozenset({
    commands.Enable, commands.Select, commands.Create, commands.Delete, commands.Rename,
    commands.Subscribe, commands.List, commands.Lsub, commands.Namespace, commands.Status,
    commands.Append, commands.GetQuota, commands.GetQuotaRoot, commands.SetQuota, commands.Idle,
    commands.Compress, commands.Unauthenticate, commands.SetAcl, commands.GetAcl,
    commands.ListRights, commands.MyRights, commands.GetMetadata, commands.SetMetadata,
    commands.MultiSearch,
    commands.Notify, commands.ResetKey, commands.GenUrlAuth, commands.UrlFetch,
})  # fmt: skip
_SELECTED: Final = frozenset({
    commands.Check, commands.Close, commands.Expunge, commands.Search, commands.Fetch,
    commands.Store, commands.Copy, commands.Sort, commands.Thread, commands.CancelUpdate,
    commands.Replace, commands.UidBatches,
})  # fmt: skip

ALLOWED: Final[Mapping[Phase, frozenset[type[Command]]]] = {
    Phase.NOT_AUTHENTICATED: _ANY | _BEFORE_LOGIN,
    Phase.AUTHENTICATED: _ANY | _AFTER_LOGIN,
    Phase.SELECTED: _ANY | _AFTER_LOGIN | _SELECTED,
    Phase.LOGOUT: frozenset(),
}
"""Which commands each phase allows (RFC 3501 §6)."""

HANDLERS: Final[Mapping[type[Command], Handler]] = {
    commands.Capability: connection.capability,
    commands.Noop: connection.noop,
    commands.Logout: connection.logout,
    commands.Id: connection.identify,
    commands.Enable: enabling.enable,
    commands.Compress: connection.compress,
    commands.StartTls: login.start_tls,
    commands.Authenticate: login.authenticate,
    commands.Login: login.login,
    commands.Unauthenticate: login.unauthenticate,
    commands.Select: selection.select,
    commands.Check: selection.check,
    commands.Close: selection.close,
    commands.Expunge: selection.expunge,
    commands.Create: mailboxes.create,
    commands.Delete: mailboxes.delete,
    commands.Rename: mailboxes.rename,
    commands.Subscribe: mailboxes.subscribe,
    commands.List: mailboxes.list_,
    commands.Lsub: mailboxes.lsub,
    commands.Namespace: mailboxes.namespace,
    commands.Status: mailboxes.status,
    commands.GetQuota: quota.get_quota,
    commands.GetQuotaRoot: quota.get_quota_root,
    commands.SetQuota: quota.set_quota,
    commands.SetAcl: access.set_acl,
    commands.GetAcl: access.get_acl,
    commands.ListRights: access.list_rights,
    commands.MyRights: access.my_rights,
    commands.GetMetadata: metadata.get_metadata,
    commands.SetMetadata: metadata.set_metadata,
    commands.ResetKey: urlauth.reset,
    commands.GenUrlAuth: urlauth.generate,
    commands.UrlFetch: urlauth.fetch,
    commands.Idle: idle.idle,
    commands.Notify: notifying.notify,
    commands.Search: searches.search,
    commands.Sort: searches.sort,
    commands.Thread: arranging.thread,
    commands.CancelUpdate: searches.cancel_update,
    commands.UidBatches: batches.uid_batches,
    commands.MultiSearch: multisearch.multi_search,
    commands.Fetch: messages.fetch,
    commands.Store: storing.store,
    commands.Copy: messages.copy,
    commands.Append: append.without_literal,
    commands.Replace: replacing.without_literal,
}
"""What carries a command out; most APPENDs begin before they are whole, in `Session._announced`."""

_WORTH_READING: Final = 4
"""Times `Limits.append` that a refused literal may be long before the connection ends."""


class Session:
    """Implements `ports.conversation.Session`.

    Attributes:
        stage: While it stays the same `patience` is for all of it: before login
            for the login, amid IDLE for that IDLE.
    """

    __slots__ = (
        "_errors", "_ongoing", "_quiet", "_reader", "_settings", "_state", "_tag",
        "closed", "patience", "stage", "wake", "wants_tls",
    )  # fmt: skip

    def __init__(
        self,
        client: Client,
        settings: Settings,
        mechanisms: Mechanisms,
        logins: Logins,
        stores: Reaches,
        census: Census | None = None,
    ) -> None:
        self._settings = settings
        self._state = State(
            client, settings, mechanisms, logins, stores, self._changed, census or Census()
        )
        self._state.wake = self._wake
        self._reader = self._new_reader()
        self._ongoing: Ongoing | None = None
        self._tag = b"*"  # of the command under way
        self._quiet = False  # that command allows no EXPUNGE
        self._errors = 0
        self.stage: object = "login"
        self.patience = settings.limits.login_patience
        self.closed = False
        self.wants_tls = False
        self.wake: Callable[[], None] = _nobody

    # ---- What the driver calls ----

    async def greet(self) -> bytes:
        """The greeting, with capabilities (RFC 3501 §7.1.5)."""
        text = f"{self._settings.hostname} IMAP4rev1 ready"
        return status(b"*", "OK", text, f"CAPABILITY {capabilities(self._state)}")

    def feed(self, octets: bytes) -> None:
        """Take octets that arrived."""
        self._reader.feed(octets)

    async def respond(self) -> AsyncGenerator[bytes, None]:
        """Answer all that can be answered now."""
        try:
            async with aclosing(self._answers()) as answers:
                async for piece in answers:
                    yield piece
            notifying = self._state.notifying
            if notifying is not None and self._ongoing is None and not self.closed:
                with suppress(StoreRefused):  # what cannot be had is not told
                    async for piece in notifying.news():
                        yield piece
        except Bye as bye:
            self.closed = True
            yield status(b"*", "BYE", bye.text, bye.code)
        except Broken:
            self.closed = True
        self._settle()

    def secured(self, tls: Tls) -> None:
        """The handshake has succeeded: all that came before it is forgotten."""
        self._state.tls = tls
        self._state.wants_tls = self.wants_tls = False
        self._reader = self._new_reader()

    def timed_out(self) -> bytes:
        """The farewell to a silent client (RFC 3501 §5.4)."""
        return b"* BYE Too long without a command\r\n"

    def going_down(self) -> bytes:
        """The farewell of a hub that stops."""
        return b"* BYE [UNAVAILABLE] Shutting down\r\n"

    async def close(self) -> None:
        """Let go of everything."""
        self.closed = True
        try:
            await self._abandon()
        finally:
            await self._state.log_out()

    @property
    def wants_deflate(self) -> bool:
        """The answer just given agreed to COMPRESS: behind it the connection is compressed.

        Whoever drives the session says when that has happened.
        """
        return self._state.wants_deflate

    @wants_deflate.setter
    def wants_deflate(self, wanted: bool) -> None:
        self._state.wants_deflate = wanted

    # ---- Commands ----

    async def _answers(self) -> AsyncGenerator[bytes, None]:
        state, reader = self._state, self._reader
        while not (self.closed or state.wants_tls or state.wants_deflate):
            if self._ongoing is not None:
                async for piece in self._carry_out(self._ongoing.proceed(reader)):
                    yield piece
                if self._ongoing is not None:
                    return
                continue
            match reader.next():
                case None:
                    return
                case Request(parts):
                    async for piece in self._request(parts):
                        yield piece
                case Announced() as announced:
                    async for piece in self._announced(announced):
                        yield piece
                case Refused(tag, why):
                    self._begin(tag, quiet=True)
                    for piece in self._ended(why):
                        yield piece

    async def _request(self, parts: tuple[bytes, ...]) -> AsyncGenerator[bytes, None]:
        self._begin(tag_of(parts[0]), quiet=True)
        if self._state.selected is not None:
            self._state.selected.check_ended()
        try:
            self._check_utf8(parts)
            command = syntax.parse(parts, self._settings.limits)
            self._check_allowed(type(command))
            self._check_numbers(command)
        except Condition as why:
            if why.forgets and self._state.selected is not None:
                self._state.selected.view.saved = ()
            for piece in self._ended(why):
                yield piece
            return
        if self._begins_layer(command) and not self._reader.empty:
            # Octets from before the handshake must not be obeyed after it
            raise Bye(f"Octets behind {type(command).__name__.upper()}")
        self._quiet = settled(command)
        async for piece in self._carry_out(HANDLERS[type(command)](self._state, command)):
            yield piece

    async def _announced(self, announced: Announced) -> AsyncGenerator[bytes, None]:
        """A literal is to come: an APPEND's message, or part of any command."""
        parts, size, limits = announced.parts, announced.size, self._settings.limits
        self._begin(tag_of(parts[0]), quiet=True)
        output = b""
        try:
            command = syntax.parse_append(parts, limits)
            if command is not None:
                self._check_allowed(type(command))
                self._check_numbers(command)
                output, self._ongoing = await self._streamed(announced, command)
                self._quiet = False
            else:
                self._check_literal(parts, size)
                self._reader.take()
                output = b"+ OK\r\n" if announced.waiting else b""
        except Condition as why:
            if size > _WORTH_READING * limits.append and not announced.waiting:
                raise Bye("Literal too large", "TOOBIG") from None  # RFC 7888 §4
            self._reader.refuse(self._tag, why)
        if output:
            yield output

    async def _streamed(
        self, announced: Announced, command: commands.Append | commands.Replace
    ) -> tuple[bytes, Ongoing]:
        """Begin a command whose literals are streamed."""
        state, reader = self._state, self._reader
        if isinstance(command, commands.Replace):
            return await replacing.replace(state, reader, announced, command)
        return await append.append(state, reader, announced, command)

    async def _carry_out(
        self, outputs: AsyncGenerator[Output, None]
    ) -> AsyncGenerator[bytes, None]:
        """Say what a command yields, and how it ended."""
        end: Ok | Condition | None = None
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    if isinstance(output, bytes):
                        yield output
                    elif isinstance(output, Ok):
                        end = output
                    else:
                        self._ongoing = output
        except Condition as why:
            end = why
        except StoreRefused as why:
            end = worded(why)
        except OSError:
            end = No("The disk said no", "SERVERBUG")
        if end is None:
            return  # it goes on
        await self._abandon()
        selected = self._state.selected
        if selected is not None and selected.contexts and not isinstance(end, Bad):
            async for piece in contexts.told(self._state, expunges=not self._quiet):
                yield piece
        for piece in self._ended(end):
            yield piece

    def _begin(self, tag: bytes, *, quiet: bool) -> None:
        self._tag = self._state.tag = tag
        self._quiet = quiet

    def _ended(self, end: Ok | Condition) -> Iterator[bytes]:
        """News, and the tagged response.

        Raises:
            Bye: That was one mistake too many.
        """
        state, limits = self._state, self._settings.limits
        bad = isinstance(end, Bad)
        if state.selected is not None and not bad:
            yield from state.selected.tell(expunges=not self._quiet)
        if not bad:
            yield from metadata.tell(state)
        condition = "OK" if isinstance(end, Ok) else end.status
        yield status(self._tag, condition, end.text, end.code)
        self._errors = self._errors + 1 if bad else 0
        self.closed = state.phase is Phase.LOGOUT
        if self._errors >= limits.errors:
            raise Bye("Too many bad commands")
        if state.refused_logins >= limits.refused_logins:
            raise Bye("Too many failed logins")
        self._settle()

    def _check_allowed(self, command: type[Command]) -> None:
        """Whether the phase allows a command.

        Raises:
            Bad: It does not (RFC 3501 §3).
        """
        phase = self._state.phase
        if command in ALLOWED[phase]:
            return
        if phase is Phase.NOT_AUTHENTICATED:
            raise Bad("Log in first")
        raise Bad("No mailbox is selected" if command in _SELECTED else "Logged in already")

    def _check_numbers(self, command: Command) -> None:
        """Whether the client may use sequence numbers, if it does.

        Raises:
            Bad: It has enabled UIDONLY (RFC 9586 §3).
        """
        if self._state.manner.uid_only and barred(command):
            raise Bad("UIDs only were agreed on", "UIDREQUIRED")

    def _check_utf8(self, parts: tuple[bytes, ...]) -> None:
        """Whether all but literals is UTF-8, for a client with which that was agreed on.

        Raises:
            Bad: It is not (RFC 6855 §3, RFC 9051 §4.3).
        """
        if not self._state.manner.utf8:
            return
        try:
            for text in parts[::2]:
                text.decode()
        except UnicodeDecodeError:
            raise Bad("Not UTF-8") from None

    def _begins_layer(self, command: Command) -> bool:
        """Whether octets behind the command's OK mean something else."""
        if isinstance(command, commands.Compress):
            state = self._state
            agreed = state.limits.compress and not state.deflated
            return agreed and command.mechanism == "DEFLATE"
        return isinstance(command, commands.StartTls)

    def _check_literal(self, parts: tuple[bytes, ...], size: int) -> None:
        limits = self._settings.limits
        before_login = self._state.phase is Phase.NOT_AUTHENTICATED
        limit = limits.line_before_login if before_login else limits.literal
        if size > limit or size + sum(map(len, parts)) > limits.command:
            raise No(f"A literal may have {limit} octets here", "TOOBIG")

    async def _abandon(self) -> None:
        if self._ongoing is not None:
            ongoing, self._ongoing = self._ongoing, None
            await ongoing.abandon()

    def _settle(self) -> None:
        """Set what follows from the state."""
        state, limits = self._state, self._settings.limits
        self.wants_tls = state.wants_tls and not self.closed
        if state.phase is Phase.NOT_AUTHENTICATED:
            self._reader.line_limit = limits.line_before_login
            self.stage, self.patience = "login", limits.login_patience
            return
        self._reader.line_limit = limits.line
        self.stage = self._ongoing if state.idle else None
        self.patience = limits.idle_patience if state.idle else limits.patience

    def _new_reader(self) -> Reader:
        limits = self._settings.limits
        return Reader(limits.line_before_login, limits.command)

    def _wake(self) -> None:
        self.wake()

    def _changed(self) -> None:
        """There is news, of the mailbox as a rule: keep up, and tell an idle client."""
        selected = self._state.selected
        if selected is not None:
            selected.view.catch_up()
        notifying = self._state.notifying
        if self._state.idle or (notifying is not None and notifying.immediate):
            self.wake()


def _nobody() -> None:
    """No driver yet: nobody to wake."""

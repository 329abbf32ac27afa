"""Commands of any state (RFC 3501 §6.1), and ID."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from mailhub.imap.capability import capabilities
from mailhub.imap.command import Capability, Compress, Id, Logout, Noop
from mailhub.imap.response import No, Ok, string
from mailhub.imap.state import Output, Phase, State


async def capability(state: State, _command: Capability) -> AsyncGenerator[Output, None]:
    """CAPABILITY (RFC 3501 §6.1.1)."""
    yield f"* CAPABILITY {capabilities(state)}\r\n".encode()
    yield Ok("Capability completed")


async def noop(state: State, _command: Noop) -> AsyncGenerator[Output, None]:
    """NOOP: a poll for news (RFC 3501 §6.1.2)."""
    if state.selected is not None:
        await state.selected.mailbox.refresh()
    yield Ok("Nothing done")


async def logout(state: State, _command: Logout) -> AsyncGenerator[Output, None]:
    """LOGOUT (RFC 3501 §6.1.3)."""
    await state.deselect()
    yield b"* BYE Logging out\r\n"
    state.phase = Phase.LOGOUT
    yield Ok("Logout completed")


async def identify(state: State, _command: Id) -> AsyncGenerator[Output, None]:
    """ID (RFC 2971 §3.1): nothing is made to depend on what the client says."""
    pairs = [string(text.encode()) for pair in state.settings.identity for text in pair]
    yield b"* ID (%b)\r\n" % b" ".join(pairs) if pairs else b"* ID NIL\r\n"
    yield Ok("ID completed")


async def compress(state: State, command: Compress) -> AsyncGenerator[Output, None]:
    """COMPRESS: from the octet behind our OK on (RFC 4978 §3)."""
    if not state.limits.compress:
        raise No("Nothing is compressed here", "CANNOT")
    if command.mechanism != "DEFLATE":
        raise No("DEFLATE is all there is", "CANNOT")
    if state.deflated:
        raise No("Compressed already", "COMPRESSIONACTIVE")
    state.deflated = state.wants_deflate = True
    yield Ok("Deflating from here on")

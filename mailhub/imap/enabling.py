"""What a client may switch on, and what that changes (RFC 5161, RFC 7162 §3.1, RFC 9586 §3).

IMAP4rev2 is not another protocol here but a manner: most of what it brings was an extension,
and is there for everybody. Who enables it hears no RECENT, no UNSEEN of SELECT but a LIST, gets
ESEARCH for each SEARCH, and names in UTF-8 (RFC 9051 appendix E).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Final

from mailhub.imap.command import Enable
from mailhub.imap.response import Ok, status
from mailhub.imap.state import Output, State

IMPLIED: Final[Mapping[str, frozenset[str]]] = {
    "CONDSTORE": frozenset({"CONDSTORE"}),
    "QRESYNC": frozenset({"QRESYNC", "CONDSTORE"}),  # RFC 7162 §3.2.3
    "UTF8=ACCEPT": frozenset({"UTF8=ACCEPT"}),  # RFC 6855 §3
    "UIDONLY": frozenset({"UIDONLY"}),
    "IMAP4rev2": frozenset({"IMAP4rev2"}),  # RFC 9051 §6.3.1
    "METADATA": frozenset({"METADATA", "METADATA-SERVER"}),  # RFC 5464 §4.1
    "METADATA-SERVER": frozenset({"METADATA-SERVER"}),
}
"""What ENABLE knows, with all that it brings along."""
_SPELT: Final = {name.upper(): name for name in IMPLIED}


async def enable(state: State, command: Enable) -> AsyncGenerator[Output, None]:
    """ENABLE: what we have not is ignored, and the response given even if empty (RFC 5161 §3.1)."""
    asked = dict.fromkeys(command.capabilities)
    wanted = [_SPELT[name] for name in asked if name in _SPELT]
    new = [name for name in wanted if name not in state.enabled]
    yield switch_on(state, new)
    yield f"* ENABLED{''.join(f' {name}' for name in new)}\r\n".encode()
    yield Ok("Enabled" if new else "Nothing more enabled")


def aware(state: State) -> bytes:
    """The client shows that it knows MODSEQs (RFC 7162 §3.1): what must be said at once."""
    return b"" if state.manner.modseqs else switch_on(state, ["CONDSTORE"])


def switch_on(state: State, names: list[str]) -> bytes:
    """Enable extensions from now to the end of the connection; what must be said at once."""
    before = state.manner
    state.enabled = state.enabled.union(*(IMPLIED[name] for name in names))
    state.manner = replace(
        before,
        modseqs="CONDSTORE" in state.enabled,
        vanished="QRESYNC" in state.enabled,
        utf8=not state.enabled.isdisjoint({"UTF8=ACCEPT", "IMAP4rev2"}),
        recent="IMAP4rev2" not in state.enabled,
        uid_only="UIDONLY" in state.enabled,
    )
    if "METADATA-SERVER" in state.enabled:
        state.watch_annotations()
    selected = state.selected
    if selected is None:
        return b""
    selected.view.manner = state.manner
    if state.manner.modseqs and not before.modseqs:
        # The first such command tells it of the mailbox at hand             (RFC 7162 §3.1)
        return status(b"*", "OK", "MODSEQs are told", f"HIGHESTMODSEQ {selected.view.complete}")
    return b""

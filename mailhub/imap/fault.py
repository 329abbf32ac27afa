"""The store's refusals in IMAP's words."""

from __future__ import annotations

from mailhub.imap.response import No
from mailhub.ports.store import StoreFault, StoreRefused


def worded(why: StoreRefused) -> No:
    """A refusal with its response code, which is the fault's value (RFC 5530 §3).

    Of a fault of the disk a client is told what it was, and no names of files.
    """
    text = why.text
    if isinstance(why.__cause__, OSError):
        text = f"Cannot store: {why.__cause__.strerror or 'the disk said no'}"
    return No(text, why.fault.value)


def to_target(why: StoreRefused) -> No:
    """Likewise where a mailbox was to be written to: it may be created (RFC 3501 §6.3.11)."""
    if why.fault is StoreFault.NONEXISTENT:
        return No(why.text, "TRYCREATE")
    return worded(why)

"""Several clients of one account: the RFCs' examples that one session cannot show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from mailhub.imap.session import Session
from tests.imap.given import Talk, store
from tests.imap.test_notifying import House
from tests.rig import dialogues, expression, hear, run

OVER_THE_STORE = {"rfc5465_examples"}
"""Dialogues that need the real store; the others have INBOX of `given.store`, UIDVALIDITY 7."""


class Client(Protocol):
    """The end of a session that has logged in."""

    session: Session
    woken: int


def clients(path: Path, root: Path) -> Callable[[], Client]:
    """Makes clients of one account."""
    if path.stem in OVER_THE_STORE:
        return House(root).client
    mail = store()
    return lambda: Talk(mail).login()


def said(client: Client, octets: bytes = b"") -> list[str]:
    """The lines of what a client hears."""
    client.woken = 0
    client.session.feed(octets)
    answer = run(hear(client.session.respond()))
    return answer.decode("utf-8", "replace").split("\r\n")[:-1]


@pytest.mark.parametrize("path", dialogues("imap_together"), ids=lambda path: path.stem)
def test_dialogues(path: Path, tmp_path: Path) -> None:
    """``C1: text`` is what the first client says, ``S1: text`` the next line that it hears.

    A client is there from its first line on, and hears unasked what its session woke for.
    """
    make, there, heard = clients(path, tmp_path), dict[str, Client](), dict[str, list[str]]()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        kind, _, text = line.partition(":")
        where = f"{path.name}:{number}"
        if not line or line.startswith("#"):
            continue
        who, text = kind[1:], text.removeprefix(" ")
        if who not in there:
            there[who], heard[who] = make(), []
        if kind.startswith("C"):
            heard[who] += said(there[who], f"{text}\r\n".encode())
            for other, client in there.items():
                if client.woken:
                    heard[other] += said(client)
            continue
        assert heard[who], f"{where}: nothing is heard where {text!r} is expected"
        told = heard[who].pop(0)
        assert expression(text).fullmatch(told), f"{where}: {told!r} is heard"
    assert not any(heard.values()), f"{path.name}: nobody expects {heard}"

"""IMAP libraries that clients of many people are made of, each through a day's work.

What is a program is skipped where it is not installed; `imapflow`, which Node finds by
``NODE_PATH``, likewise.
"""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import Hub, call, program

pytestmark = pytest.mark.interop

ALICE = "alice@hub.example"
CLIENTS = Path(__file__).parent / "clients"
LETTER = b"Subject: =?utf-8?q?gr=C3=BCn?=\r\n\r\nHello.\r\n"


def login(hub: Hub) -> tuple[str, ...]:
    """What a script wants to know."""
    return hub.host, str(hub.ports["imaps"]), hub.ca, ALICE, hub.passwords[ALICE]


def knows(*command: str) -> None:
    """Skip unless a library can be loaded."""
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"not installed: {' '.join(command)}")


def test_perl(hub: Hub) -> None:
    """Mail::IMAPClient, of which imapsync is made."""
    perl = program("perl")
    knows(perl, "-MMail::IMAPClient", "-MIO::Socket::SSL", "-e", "1")
    assert call(perl, str(CLIENTS / "imapclient.pl"), *login(hub)) == b"done\n"


def test_ruby(hub: Hub) -> None:
    """Net::IMAP."""
    ruby = program("ruby")
    knows(ruby, "-rnet/imap", "-e", "1")
    assert call(ruby, str(CLIENTS / "net_imap.rb"), *login(hub)) == b"done\n"


def test_node(hub: Hub) -> None:
    """imapflow, which enables all that it knows, IMAP4rev2 among it."""
    node = program("node")
    knows(node, "-e", "require('imapflow')")
    assert call(node, str(CLIENTS / "imapflow.js"), *login(hub)) == b"done\n"


def test_imapclient(hub: Hub) -> None:
    """IMAPClient for Python."""
    imapclient = pytest.importorskip("imapclient")
    client = imapclient.IMAPClient(hub.host, hub.ports["imaps"], ssl_context=hub.context())
    client.login(ALICE, hub.passwords[ALICE])
    assert client.enable("CONDSTORE", "QRESYNC") == [b"CONDSTORE", b"QRESYNC"]
    client.create_folder("Größe/x")
    assert "Größe/x" in [name for _, _, name in client.list_folders()]
    client.select_folder("Größe/x")
    assert b"APPENDUID" in client.append("Größe/x", LETTER, ["\\Seen"])
    client.multiappend("Größe/x", [LETTER, {"msg": LETTER, "flags": ["\\Flagged"]}])
    assert client.search(["SUBJECT", "grün"], charset="UTF-8") == [1, 2, 3]
    assert client.sort("ARRIVAL") == [1, 2, 3]
    assert client.thread() == (((1,), (2,), (3,)),)
    data = client.fetch([1, 3], ["ENVELOPE", "BODYSTRUCTURE", "BODY[]"], ["CHANGEDSINCE 1"])
    assert data[1][b"BODY[]"] == LETTER
    assert data[3][b"MODSEQ"] > data[1][b"MODSEQ"]
    assert b"$x" in client.add_flags(3, ["$x"])[3]
    client.move([3], "INBOX")
    client.idle()
    assert client.idle_check(timeout=0.05) == []
    client.idle_done()
    client.delete_messages([1])
    client.expunge()
    assert client.search("ALL") == [2]
    with pytest.raises(imapclient.exceptions.IMAPClientError, match="NONEXISTENT"):
        client.select_folder("nowhere")
    client.delete_folder("Größe/x")
    client.logout()


def test_aioimaplib(hub: Hub) -> None:
    """Aioimaplib, with which home automation waits for mail."""
    aioimaplib = pytest.importorskip("aioimaplib")

    async def connected() -> Any:
        client = aioimaplib.IMAP4_SSL(hub.host, hub.ports["imaps"], ssl_context=hub.context())
        await client.wait_hello_from_server()
        assert (await client.login(ALICE, hub.passwords[ALICE])).result == "OK"
        return client

    async def day() -> None:
        waiting, writing = await connected(), await connected()
        await waiting.create("Aio")
        assert (await waiting.select("Aio")).result == "OK"
        idle = await waiting.idle_start(timeout=10)
        await writing.append(LETTER, "Aio")
        assert b"1 EXISTS" in await waiting.wait_server_push()
        waiting.idle_done()
        await asyncio.wait_for(idle, 10)
        fetched = await waiting.uid("fetch", "1:*", "(UID FLAGS BODY.PEEK[])")
        assert LETTER in fetched.lines
        await waiting.close()
        await waiting.delete("Aio")
        for client in (waiting, writing):
            await client.logout()

    asyncio.run(day())

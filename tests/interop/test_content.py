"""What IMAP does with the content of messages, through Python's imaplib and zlib."""

from __future__ import annotations

import imaplib
import zlib
from collections.abc import Iterator
from typing import IO, Any

import pytest

from tests.interop.conftest import Hub

pytestmark = pytest.mark.interop

ALICE = "alice@hub.example"
PARTS = (
    b"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n"
    b"--cut\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nsch=C3=B6n\r\n"
    b"--cut\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"AAECAwQ=\r\n--cut--\r\n"
)


class Deflated:
    """A file that imaplib reads from, and a socket that it writes to, both compressed."""

    def __init__(self, file: IO[bytes], socket: Any) -> None:
        self._file = file
        self._socket = socket
        self._packing = zlib.compressobj(6, zlib.DEFLATED, -15)
        self._unpacking = zlib.decompressobj(-15)
        self._buffer = b""
        self.heard = 0

    def sendall(self, octets: bytes) -> None:
        packed = self._packing.compress(octets) + self._packing.flush(zlib.Z_SYNC_FLUSH)
        self._socket.sendall(packed)

    def _more(self) -> None:
        octets = self._socket.recv(65536)
        assert octets
        self.heard += len(octets)
        self._buffer += self._unpacking.decompress(octets)

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def readline(self, limit: int = -1) -> bytes:
        while b"\n" not in self._buffer:
            self._more()
        return self.read(self._buffer.index(b"\n") + 1)

    def close(self) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def deflate(client: imaplib.IMAP4) -> Deflated:
    """Begin to compress."""
    imaplib.Commands.setdefault("COMPRESS", ("AUTH", "SELECTED"))
    status, _ = client._simple_command("COMPRESS", "DEFLATE")
    assert status == "OK"
    inside: Any = client
    layer = Deflated(inside.file, inside.sock)
    inside.file = inside._file = inside.sock = layer
    return layer


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def client(hub: Hub, request: pytest.FixtureRequest) -> Iterator[imaplib.IMAP4]:
    made = (
        imaplib.IMAP4_SSL(hub.host, hub.ports["imaps"], ssl_context=hub.context())
        if request.param
        else imaplib.IMAP4(hub.host, hub.ports["imap"])
    )
    with made:
        made.login(ALICE, hub.passwords[ALICE])
        made.create("Content")
        yield made
        made.delete("Content")


def test_compressed(client: imaplib.IMAP4) -> None:
    """A mailbox is filled and read over a compressed connection, with large messages in it."""
    assert "COMPRESS=DEFLATE" in client.capabilities or client.capability()
    layer = deflate(client)
    large = b"Subject: large\r\n\r\n" + b"The quick brown fox.\r\n" * 50_000
    for content in (PARTS, large):
        assert client.append("Content", "", "", content)[0] == "OK"
    client.select("Content")
    before = layer.heard
    _, data = client.fetch("2", "(BODY.PEEK[])")
    assert data[0][1] == large  # type: ignore[index]
    assert layer.heard - before < len(large) / 10
    assert client.noop()[0] == "OK"
    client.close()


def test_catenated(client: imaplib.IMAP4) -> None:
    """A message is made of another's parts, and read decoded."""
    assert client.append("Content", "", "", PARTS)[0] == "OK"
    text = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    whole = 'CATENATE (URL "/Content/;UID=1/;SECTION=2.MIME" URL "/Content/;UID=1/;SECTION=2")'
    status, _ = client._simple_command("APPEND", "Content", whole)
    assert status == "OK"
    client.select("Content")
    _, data = client.fetch("2", "(BODY.PEEK[])")
    assert data[0][1] == text + b"AAECAwQ="  # type: ignore[index]
    _, data = client.fetch("1", "(BINARY.SIZE[2] BINARY.PEEK[1])")
    assert data[0] == (b"1 (BINARY.SIZE[2] 5 BINARY[1] {6}", "schön".encode())
    client.close()

"""mailhub send, to a small submission server over real TLS on loopback."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mailhub.accounts.record import address
from mailhub.cli.send import composed, reason
from mailhub.config.certificate import authority, self_signed
from tests.cli.conftest import Mailhub

ANN = "ann@hub.example"


@dataclass
class Server:
    """Takes one message; replies may be changed by verb."""

    port: int
    context: ssl.SSLContext
    implicit: bool = False
    replies: dict[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    content: bytes = b""

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self.implicit:
                connection = self.context.wrap_socket(connection, server_side=True)
            connection.sendall(b"220 hub.example ESMTP\r\n")
            self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        while line := lines.readline():
            text = line.decode().rstrip()
            self.heard.append(text)
            verb = text.split(" ")[0].upper()
            reply = self.replies.get(text.upper(), self.replies.get(verb, "250 ok"))
            if verb == "EHLO":
                reply = "250-hub.example\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 SMTPUTF8"
            elif verb == "AUTH" and "AUTH" not in self.replies:
                reply = "235 2.7.0 ok"
            elif verb == "DATA":
                connection.sendall(b"354 go\r\n")
                while (part := lines.readline()) != b".\r\n":
                    self.content += part
            elif verb in ("QUIT", "STARTTLS"):
                reply = "220 as you like"
            connection.sendall(f"{reply}\r\n".encode())
            if verb == "STARTTLS":
                connection = self.context.wrap_socket(connection, server_side=True)
                lines = connection.makefile("rb")

    @property
    def message(self) -> EmailMessage:
        made = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(made, EmailMessage)
        return made


@pytest.fixture
def server(state: Path) -> Iterator[Server]:
    made = authority(str(state / "tls"), time.time())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.files.chain, made.files.key)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        server = Server(listening.getsockname()[1], context)

        def accept() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    server.serve(connection)

        thread = Thread(target=accept, daemon=True)
        thread.start()
        yield server
    thread.join(5)


def sent(mailhub: Mailhub, state: Path, server: Server, *more: str, stdin: str = "") -> Any:
    return mailhub(
        *("--state", str(state), "send", "--from", ANN, "--to", "bo@far.example"),
        *("--server", f"localhost:{server.port}", "--password", "s p#c", *more),
        stdin=stdin,
    )


def test_starttls(mailhub: Mailhub, state: Path, server: Server) -> None:
    """A message goes through STARTTLS and a login; the hub's own authority is trusted."""
    said = sent(mailhub, state, server, "--subject", "Grüße", "--body", "Hallo")
    assert (said.status, said.out, said.err) == (0, "sent\n", "")
    assert "STARTTLS" in server.heard
    assert server.message["Subject"] == "Grüße"
    assert server.message["From"] == ANN
    assert server.message["Message-ID"].endswith("@hub.example>")
    assert server.message.get_content().strip() == "Hallo"


def test_implicit(mailhub: Mailhub, state: Path, server: Server) -> None:
    """TLS may begin at once; the text may come from standard input."""
    server.implicit = True
    said = sent(mailhub, state, server, "--tls", "implicit", stdin="from a pipe\n")
    assert said.status == 0
    assert "STARTTLS" not in server.heard
    assert server.message.get_content().strip() == "from a pipe"


def test_no_text(mailhub: Mailhub) -> None:
    """What is not UTF-8 is no text, wherever it comes from."""
    known = ("--from", ANN, "--to", ANN, "--server", "127.0.0.1:1", "--password", "x")
    for said in (
        mailhub("send", *known, "--body", "\udcff"),
        mailhub("send", *known, stdin="\udcff"),
    ):
        assert (said.status, said.out) == (1, "")
        assert "is not UTF-8" in said.err


def test_attachments(mailhub: Mailhub, state: Path, server: Server, tmp_path: Path) -> None:
    """Files are attached with a name and a type, whatever they hold."""
    picture, other = tmp_path / "bild ü.png", tmp_path / "data.unknown.gz"
    picture.write_bytes(b"\x89PNG")
    other.write_bytes(bytes(range(256)))
    files = ("--attach", str(picture), "--attach", str(other))
    assert sent(mailhub, state, server, "--body", "x", *files).status == 0
    first, second = server.message.iter_attachments()
    assert (first.get_filename(), first.get_content_type()) == ("bild ü.png", "image/png")
    assert second.get_content_type() == "application/octet-stream"
    assert second.get_content() == bytes(range(256))


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        ({"AUTH": "535 5.7.8 wrong"}, "535 5.7.8 wrong"),
        ({"MAIL": "550 5.7.1 not yours"}, "550 5.7.1 not yours"),
        ({"RCPT": "550 5.1.1 nobody"}, "<bo@far.example> was refused: 550 5.1.1 nobody"),
    ],
)
def test_refused(
    mailhub: Mailhub, state: Path, server: Server, replies: dict[str, str], words: str
) -> None:
    """What the server says is told in one line, and nothing was sent."""
    server.replies = replies
    said = sent(mailhub, state, server, "--body", "x")
    assert (said.status, said.out) == (1, "")
    assert words in said.err
    assert said.err.count("\n") == 1


def test_partly(mailhub: Mailhub, state: Path, server: Server) -> None:
    """Recipients that were refused are named; the others get it."""
    server.replies = {"RCPT TO:<NO@FAR.EXAMPLE>": "550 5.1.1 nobody"}
    said = sent(mailhub, state, server, "--body", "x", "--to", "no@far.example")
    assert said.out == "sent, but not to 1 of its recipients\n"
    assert said.err == "mailhub: <no@far.example> was refused: 550 5.1.1 nobody\n"


def test_certificates(mailhub: Mailhub, state: Path, server: Server) -> None:
    """A certificate of nobody we trust is refused, and what helps is said."""
    (state / "tls" / "ca.pem").unlink()
    said = sent(mailhub, state, server, "--body", "x")
    assert said.status == 1
    assert "its certificate is not trusted" in said.err


def test_insecure(mailhub: Mailhub, state: Path, server: Server) -> None:
    """Unless one does not care."""
    (state / "tls" / "ca.pem").unlink()
    assert sent(mailhub, state, server, "--body", "x", "--insecure").status == 0


def test_ca(mailhub: Mailhub, state: Path, server: Server, tmp_path: Path) -> None:
    """Or names the authority; a file that is none is told."""
    elsewhere = tmp_path / "ca.pem"
    (state / "tls" / "ca.pem").rename(elsewhere)
    junk = tmp_path / "junk"
    junk.write_text("junk")
    said = sent(mailhub, state, server, "--body", "x", "--ca", str(junk))
    assert (said.status, said.err.startswith(f"mailhub: {junk}: ")) == (1, True)
    assert sent(mailhub, state, server, "--body", "x", "--ca", str(elsewhere)).status == 0


def test_no_server(mailhub: Mailhub, state: Path) -> None:
    """A server that is not there, and a name that is none, are told."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    at = ("--state", str(state), "send", "--from", ANN, "--to", ANN, "--body", "x")
    said = mailhub(*at, "--password", "x", "--server", f"127.0.0.1:{port}")
    assert said.err == f"mailhub: 127.0.0.1:{port}: Connection refused\n"
    assert mailhub(*at, "--password", "x", "--server", "two words").status == 2


def test_own_hub(mailhub: Mailhub, state: Path, server: Server) -> None:
    """Without --server it is this hub's submission port, as the configuration has it."""
    (state / "mailhub.ini").write_text(
        f"[hub]\nhostname = hub.example\n[listen]\nsubmission = 127.0.0.1:{server.port}\n"
    )
    at = ("--state", str(state), "send", "--from", ANN, "--to", ANN, "--body", "x")
    assert mailhub(*at, "--password", "x").status == 0
    (state / "mailhub.ini").write_text(
        "[hub]\nhostname = hub.example\n[listen]\nsubmission =\nsubmissions =\n"
    )
    assert "takes no submissions" in mailhub(*at, "--password", "x").err


def test_own_name(mailhub: Mailhub, state: Path, server: Server) -> None:
    """The hub is called by its address, and known by the name in its certificate."""
    files, _ = self_signed(str(state / "tls"), ["mail.hub.example"], time.time())
    server.context.load_cert_chain(files.chain, files.key)
    listen = f"[listen]\nsubmission = 127.0.0.1:{server.port}\n"
    (state / "mailhub.ini").write_text(f"[hub]\nhostname = mail.hub.example\n{listen}")
    at = ("--state", str(state), "send", "--from", ANN, "--to", ANN, "--body", "x")
    assert mailhub(*at, "--password", "x").out == "sent\n"


def test_no_injection() -> None:
    """A subject with line ends is refused: it would add fields."""
    import click  # noqa: PLC0415

    with pytest.raises(click.ClickException, match="expected one line"):
        composed(address(ANN), [address(ANN)], "a\nBcc: eve@evil.example", "x", [])


def test_reasons() -> None:
    """Errors without words of a server have some of their own."""
    assert reason(smtplib.SMTPServerDisconnected("Connection  lost")) == "Connection lost"
    assert reason(smtplib.SMTPException()) == "SMTPException"
    assert reason(TimeoutError("timed out")) == "timed out"

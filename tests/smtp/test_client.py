"""Sessions as they are opened: greeting, EHLO, TLS, AUTH; and how they end."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.policy.route import TlsDemand
from mailhub.sasl.client import Credentials, chooser
from mailhub.smtp.client import ClientSession
from mailhub.smtp.wire import Broken, Incomprehensible, LoginFailed, TimedOut, Timeouts, Untrusted
from tests.rig import run
from tests.smtp.model import DROP, EVERYTHING, SILENCE, FakeWire, Model, Octets

TLS = (*EVERYTHING, "STARTTLS")
ME = chooser(Credentials("ann", "secret"), lambda: "nonce")


def connected(server: Model, **options: Any) -> tuple[ClientSession, FakeWire]:
    wire = FakeWire(server)
    wire.session = ClientSession(wire, "hub.example", **options)
    return wire.session, wire


def opened(server: Model, **options: Any) -> tuple[ClientSession, FakeWire]:
    session, wire = connected(server, **options)
    run(session.open())
    return session, wire


def refused(server: Model, **options: Any) -> Broken:
    session, _ = connected(server, **options)
    with pytest.raises(Broken) as caught:
        run(session.open())
    return caught.value


class TestGreeting:
    def test_usual(self) -> None:
        """After 220 comes EHLO, and its reply says what the server can do."""
        session, wire = opened(Model())
        assert wire.server.commands == ["EHLO hub.example"]
        assert session.features.pipelining
        assert session.secured is None
        assert session.stage == "ehlo"
        assert session.said is not None
        assert (session.messages, session.exhausted, session.surprised) == (0, False, False)

    @pytest.mark.parametrize(
        "greeting", ["554 5.3.2 No SMTP here", "450 Later", "421 Bye", "250 ?"]
    )
    def test_refused(self, greeting: str) -> None:
        """A greeting that is not 220 ends it, with the server's words."""
        fault = refused(Model(greeting=greeting))
        assert fault.stage == "banner"
        assert greeting[4:] in fault.reply.text
        assert not fault.reply.permanent

    @pytest.mark.parametrize(
        ("greeting", "kind"),
        [(DROP, Broken), (SILENCE, TimedOut), ("HTTP/1.1 400 Bad Request", Incomprehensible)],
    )
    def test_broken(self, greeting: str, kind: type[Broken]) -> None:
        """No greeting, or none of SMTP's, ends it with ours."""
        fault = refused(Model(greeting=greeting))
        assert isinstance(fault, kind)
        assert (fault.stage, fault.heard, fault.reply.permanent) == ("banner", False, False)

    @pytest.mark.parametrize("answer", ["500 What?", "502 5.5.1 No", "504 No", "550 No"])
    def test_helo(self, answer: str) -> None:
        """A server that does not know EHLO is spoken to with HELO (RFC 5321 §4.1.4)."""
        session, wire = opened(Model(answers={"EHLO": answer}))
        assert wire.server.commands == ["EHLO hub.example", "HELO hub.example"]
        assert not session.features.keywords

    def test_no_helo(self) -> None:
        """Not if EHLO may succeed later, or HELO fails, or would not do what we demand."""
        assert refused(Model(answers={"EHLO": "450 Later"})).reply.code == 450
        old = {"EHLO": "500 What?"}
        assert refused(Model(answers={**old, "HELO": "550 No"})).reply.code == 550
        for demand in ({"tls": TlsDemand.REQUIRED}, {"login": ME}, {"helo": False}):
            assert refused(Model(answers=old), **demand).reply.code == 500

    def test_stages_have_their_time(self) -> None:
        """Each stage has the patience that is its own (RFC 5321 §4.5.3.2)."""
        times = Timeouts(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
        session, wire = opened(Model(TLS), timeouts=times)
        octets = b"a" * 100_000
        what = Envelope(recipients=(Recipient(Path("ann", "example.org")),))
        run(session.deliver(what, Octets(octets)))
        run(session.quit())
        # banner, EHLO, STARTTLS, handshake, EHLO, then MAIL (whose replies come together),
        # a block of content, its end, QUIT.
        assert wire.allowed == [1, 2, 3, 4, 2, 6, 9, 10, 11]


class TestTls:
    def test_opportunistic(self) -> None:
        """STARTTLS is used where it is offered, and EHLO said again under it (RFC 3207 §4.2)."""
        session, wire = opened(Model(TLS, certificate="unverified: self-signed"))
        assert wire.server.commands == ["EHLO hub.example", "STARTTLS", "EHLO hub.example"]
        assert session.secured is not None
        assert not session.features.starttls

    def test_forgotten(self) -> None:
        """Nothing announced in the clear is believed under TLS."""
        server = Model(TLS)
        session, wire = connected(server)
        secure = wire.secure

        async def strip() -> Any:
            server.extensions = ("SIZE 5",)
            return await secure()

        wire.secure = strip  # type: ignore[method-assign]
        run(session.open())
        assert session.features.keywords == {"SIZE": "5"}

    @pytest.mark.parametrize("trailing", ["\n250-evil\n250 AUTH PLAIN", "\n2"])
    def test_injection(self, trailing: str) -> None:
        """Octets behind the 220 came from somebody else: stock Twisted's second hole."""
        fault = refused(Model(TLS, trailing={"STARTTLS": trailing}))
        assert isinstance(fault, Incomprehensible)
        assert fault.stage == "starttls"

    def test_none(self) -> None:
        """The operator may forbid it."""
        session, wire = opened(Model(TLS), tls=TlsDemand.NONE)
        assert wire.server.commands == ["EHLO hub.example"]
        assert session.secured is None

    def test_refused(self) -> None:
        """A server that offers TLS and then refuses gets the mail in the clear, or not at all."""
        answers = {"STARTTLS": "454 4.7.0 Not now"}
        session, _ = opened(Model(TLS, answers=answers))
        assert session.secured is None
        fault = refused(Model(TLS, answers=answers), tls=TlsDemand.REQUIRED)
        assert isinstance(fault, Untrusted)
        assert fault.reply.status == "4.7.4"

    @pytest.mark.parametrize("demand", [TlsDemand.REQUIRED, TlsDemand.VERIFIED])
    def test_not_offered(self, demand: TlsDemand) -> None:
        """What is demanded must be offered."""
        fault = refused(Model(), tls=demand)
        assert isinstance(fault, Untrusted)
        assert fault.reply.status == "4.7.4"

    @pytest.mark.parametrize("error", [ConnectionError("wrong version number"), TimeoutError()])
    def test_handshake(self, error: Exception) -> None:
        """A handshake that fails ends the connection, and says that it was the handshake."""
        session, wire = connected(Model(TLS))
        wire.handshake = error
        with pytest.raises(Broken, match="TLS handshake failed") as caught:
            run(session.open())
        assert caught.value.handshake

    def test_verified(self) -> None:
        """A certificate that is not good enough is found out before anything is sent."""
        bad = "unverified: expired"
        session, _ = opened(Model(TLS, certificate=bad), tls=TlsDemand.REQUIRED)
        assert session.secured is not None
        fault = refused(Model(TLS, certificate=bad), tls=TlsDemand.VERIFIED)
        assert isinstance(fault, Untrusted)
        assert "expired" in fault.reply.text
        session, _ = opened(Model(TLS), tls=TlsDemand.VERIFIED)
        assert session.secured is not None
        assert session.secured.verified

    def test_implicit(self) -> None:
        """With implicit TLS the handshake comes before the greeting (RFC 8314 §3.3)."""
        session, wire = connected(Model(TLS), tls=TlsDemand.VERIFIED)
        run(session.open(implicit=True))
        assert wire.secured == 1
        assert wire.server.commands == ["EHLO hub.example"]
        session, wire = connected(Model(TLS, certificate="unverified: expired"))
        run(session.open(implicit=True))


class TestAuth:
    def test_plain(self) -> None:
        """PLAIN goes out with the command, and the record does not show it."""
        record: list[str] = []
        server = Model((*TLS, "AUTH PLAIN LOGIN"), answers={"AUTH": "235 2.7.0 Welcome"})
        opened(server, login=ME, record=record.append)
        assert server.commands[-1] == "AUTH PLAIN " + b64encode(b"\0ann\0secret").decode()
        assert ">>> AUTH PLAIN ***" in record

    def test_login(self) -> None:
        """LOGIN answers two challenges."""
        server = Model((*TLS, "AUTH LOGIN"))
        script = iter(["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 Ok"])
        said: list[str] = []

        def command(line: str) -> None:
            said.append(line)
            server.say(next(script))

        session, _ = connected(server, login=ME)
        usual = server._command
        server._command = (  # type: ignore[method-assign]
            lambda line: usual(line) if line[:4] in ("EHLO", "STAR") else command(line)
        )
        run(session.open())
        assert said == ["AUTH LOGIN", "YW5u", "c2VjcmV0"]

    def test_declined(self) -> None:
        """A wrong password is our trouble and temporary, and the server's words are kept."""
        server = Model((*TLS, "AUTH PLAIN"), answers={"AUTH": "535 5.7.8 Wrong"})
        fault = refused(server, login=ME)
        assert isinstance(fault, LoginFailed)
        assert fault.refused.code == 535
        assert fault.usable
        assert fault.reply.text == "454 4.7.8 Login failed: 535 5.7.8 Wrong"

    @pytest.mark.parametrize("extensions", [TLS, (*TLS, "AUTH CRAM-MD5"), ("AUTH PLAIN",)])
    def test_unusable(self, extensions: tuple[str, ...]) -> None:
        """Without a mechanism that may be used here, nothing is sent."""
        server = Model(extensions)
        fault = refused(server, login=ME)
        assert isinstance(fault, LoginFailed)
        assert not fault.usable
        assert not any(command.startswith("AUTH") for command in server.commands)

    def test_bad_challenge(self) -> None:
        """A challenge that is not base64, or makes no sense, is called off (RFC 4954 §4)."""
        for challenge in ("334 !!!", "334 cj1vdGhlcg=="):
            server = Model((*TLS, "AUTH SCRAM-SHA-256"), answers={"AUTH": challenge, "*": "501 Ok"})
            fault = refused(server, login=ME)
            assert isinstance(fault, LoginFailed)
            assert server.commands[-1] == "*"

    def test_unproved(self) -> None:
        """A server that lets us in without knowing the password is not ours (RFC 5802 §3)."""
        server = Model((*TLS, "AUTH SCRAM-SHA-256"), answers={"AUTH": "235 Come in"})
        fault = refused(server, login=ME)
        assert isinstance(fault, LoginFailed)
        assert "did not prove itself" in fault.reply.text

    def test_long_response(self) -> None:
        """An initial response too long for a command line is sent behind a challenge."""
        long = chooser(Credentials("ann", "x" * 400), lambda: "nonce")
        server = Model((*TLS, "AUTH PLAIN"), answers={"AUTH": "334 "})
        session, _ = connected(server, login=long)
        usual = server._command
        server._command = (  # type: ignore[method-assign]
            lambda line: server.say("235 Ok") if len(line) > 400 else usual(line)
        )
        run(session.open())
        assert server.commands[-1] == "AUTH PLAIN"

    def test_long_response_refused(self) -> None:
        """Nor is it sent if the server refuses before."""
        long = chooser(Credentials("ann", "x" * 400), lambda: "nonce")
        server = Model((*TLS, "AUTH PLAIN"), answers={"AUTH": "504 No"})
        assert isinstance(refused(server, login=long), LoginFailed)
        assert server.commands[-1] == "AUTH PLAIN"

    def test_empty_response(self) -> None:
        """An empty initial response is an equals sign (RFC 4954 §4)."""

        class External:
            name = "EXTERNAL"
            complete = True

            def begin(self) -> bytes:
                return b""

            def respond(self, challenge: bytes) -> bytes:
                raise AssertionError

        server = Model((*TLS, "AUTH EXTERNAL"), answers={"AUTH": "235 Ok"})
        opened(server, login=lambda offered, tls: External())
        assert server.commands[-1] == "AUTH EXTERNAL ="


class TestQuit:
    def test_quit(self) -> None:
        """QUIT is said, and its reply waited for."""
        session, wire = opened(Model())
        run(session.quit())
        assert wire.server.commands[-1] == "QUIT"

    def test_gone(self) -> None:
        """Whatever happens then is nobody's concern."""
        session, _ = opened(Model(answers={"QUIT": DROP}))
        run(session.quit())
        session, _ = opened(Model())
        session.feed(b"421 Bye\r\n")
        assert session.surprised
        run(session.quit())

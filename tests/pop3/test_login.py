"""Who logs in, and how."""

from __future__ import annotations

from base64 import b64encode
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.pop3.command import Auth, Err, Garbled
from mailhub.pop3.login import Door
from mailhub.pop3.settings import Site
from mailhub.ports.accounts import Account, LoginFault, Logins
from mailhub.ports.conversation import Client, Tls
from mailhub.sasl.mechanism import Exchange
from mailhub.sasl.server import ServerMechanisms
from tests.pop3.fakes import ANN, PASSWORD, TLS, FakeLogins
from tests.rig import run

NAME = "ann@hub.example"
PLAIN = b64encode(f"\0{NAME}\0{PASSWORD}".encode())


def door(
    logins: FakeLogins | None = None,
    tls: Tls | None = TLS,
    address: str = "192.0.2.7",
    *,
    allowed: bool = False,
) -> Door:
    return Door(
        Client(address, 4711, tls=tls),
        Site("hub.example", tls=True, plaintext_on_loopback=allowed),
        cast(Logins, logins or FakeLogins()),
        ServerMechanisms(lambda: "nonce", plaintext_on_loopback=allowed),
    )


class TestUserAndPass:
    """RFC 1939 §7."""

    def test_right(self) -> None:
        """A name and its password open the account."""
        one = door()
        one.user(NAME)
        assert run(one.password(PASSWORD)) == ANN

    def test_wrong(self) -> None:
        """A wrong password is the client's fault (RFC 3206 §5), and its name is forgotten."""
        one = door()
        one.user(NAME)
        with pytest.raises(Err) as refused:
            run(one.password("x"))
        assert refused.value.code == "AUTH"
        assert one.failures == 1
        with pytest.raises(Err, match="USER"):
            run(one.password(PASSWORD))
        assert one.failures == 1

    @pytest.mark.parametrize("fault", [LoginFault.THROTTLED, LoginFault.UNAVAILABLE])
    def test_not_their_fault(self, fault: LoginFault) -> None:
        """What the client could not help is temporary (RFC 3206 §4)."""
        logins = FakeLogins()
        logins.fault = fault
        one = door(logins)
        one.user(NAME)
        with pytest.raises(Err) as refused:
            run(one.password(PASSWORD))
        assert refused.value.code == "SYS/TEMP"

    @pytest.mark.parametrize(
        ("tls", "address", "allowed", "taken"),
        [
            (TLS, "192.0.2.7", False, True),
            (None, "192.0.2.7", True, False),
            (None, "127.0.0.1", True, True),
            (None, "::1", True, True),
            (None, "127.0.0.1", False, False),
        ],
    )
    def test_plaintext(self, tls: Tls | None, address: str, allowed: bool, taken: bool) -> None:
        """Passwords are taken under TLS, or on loopback where that is allowed."""
        one = door(tls=tls, address=address, allowed=allowed)
        assert one.plaintext is taken
        assert ("PLAIN" in one.mechanisms) is taken
        if taken:
            one.user(NAME)
        else:
            with pytest.raises(Err):
                one.user(NAME)


class TestAuth:
    """RFC 5034."""

    def test_initial_response(self) -> None:
        """One line is enough."""
        assert run(door().begin(Auth("PLAIN", PLAIN))) == ANN

    def test_challenge(self) -> None:
        """Without one the server asks with an empty challenge."""
        one = door()
        assert run(one.begin(Auth("PLAIN", None))) == b"+ \r\n"
        assert one.waiting
        assert run(one.respond(PLAIN)) == ANN
        assert not one.waiting

    def test_login(self) -> None:
        """LOGIN's two questions, with the first one answered at once or not."""
        one = door()
        assert run(one.begin(Auth("LOGIN", None))) == b"+ VXNlcm5hbWU6\r\n"
        assert run(one.respond(b64encode(NAME.encode()))) == b"+ UGFzc3dvcmQ6\r\n"
        assert run(one.respond(b64encode(PASSWORD.encode()))) == ANN
        one = door()
        asked = run(one.begin(Auth("LOGIN", b64encode(NAME.encode()))))
        assert asked == b"+ UGFzc3dvcmQ6\r\n"

    def test_empty_response(self) -> None:
        """``=`` is an empty response, and PLAIN wants a message (RFC 5034 §4)."""
        with pytest.raises(Garbled, match="Malformed"):
            run(door().begin(Auth("PLAIN", b"=")))

    def test_cancelled(self) -> None:
        """``*`` gives up, and counts as no failure."""
        one = door()
        run(one.begin(Auth("PLAIN", None)))
        with pytest.raises(Err, match="cancelled"):
            run(one.respond(b"*"))
        assert not one.waiting
        assert one.failures == 0

    @pytest.mark.parametrize("line", [b"???", b"AAA", b"\xff", b"QUJD QUJD"])
    def test_not_base64(self, line: bytes) -> None:
        """What is not base64 ends the exchange."""
        one = door()
        run(one.begin(Auth("PLAIN", None)))
        with pytest.raises(Garbled, match="base64"):
            run(one.respond(line))
        assert not one.waiting

    def test_refused(self) -> None:
        """A wrong password is a failure."""
        one = door()
        with pytest.raises(Err) as refused:
            run(one.begin(Auth("PLAIN", b64encode(b"\0ann\0x"))))
        assert refused.value.code == "AUTH"
        assert one.failures == 1

    def test_not_offered(self) -> None:
        """What is not offered is not begun, though the mechanisms know it."""
        with pytest.raises(Err, match="mechanism"):
            run(door(tls=None).begin(Auth("PLAIN", PLAIN)))
        with pytest.raises(Err, match="mechanism"):
            run(door().begin(Auth("CRAM-MD5", None)))

    def test_server_first(self) -> None:
        """Other mechanisms where the server speaks first take no initial response."""

        class ServerFirst:
            initial = False
            account: Account | None = None

            async def step(self, response: bytes) -> bytes | None:
                return b"hello"

        class Mechanisms:
            def offered(self, tls: Tls | None, address: str) -> tuple[str, ...]:
                return ("OTHER",)

            def begin(self, name: str, logins: Logins, tls: Tls | None) -> Exchange:
                return ServerFirst()

        one = Door(Client("192.0.2.7", 1), Site("h"), cast(Logins, FakeLogins()), Mechanisms())
        assert run(one.begin(Auth("OTHER", None))) == b"+ aGVsbG8=\r\n"
        with pytest.raises(Garbled, match="initial"):
            run(one.begin(Auth("OTHER", b"QUJD")))

    def test_forget(self) -> None:
        """What is under way can be given up."""
        one = door()
        run(one.begin(Auth("PLAIN", None)))
        one.forget()
        assert not one.waiting

    @given(st.binary(max_size=40))
    def test_total(self, line: bytes) -> None:
        """A response logs in, is answered or refused, never anything worse."""
        one = door()
        run(one.begin(Auth("PLAIN", None)))
        with pytest.raises(Err):
            run(one.respond(line))

"""Passwords in the clear are asked for under TLS only."""

from __future__ import annotations

import pytest

from mailhub.ports.accounts import Account, LoginRefused
from mailhub.ports.conversation import Tls
from mailhub.sasl.client import Credentials, choose
from mailhub.sasl.plaintext import Login, Plain
from mailhub.sasl.prep import prepared
from mailhub.sasl.scram import Scram, derived
from mailhub.sasl.server import ServerMechanisms, on_loopback
from tests.rig import run
from tests.sasl.test_plaintext import ACCOUNT, FakeLogins
from tests.sasl.test_scram import FakeLogins as ScramLoginsOnly


class ScramLogins(ScramLoginsOnly):
    """Takes passwords, too."""

    async def password(self, username: str, password: str) -> Account:
        return ACCOUNT


TLS = Tls("TLSv1.3", "x", lambda kind: b"unique")
UNBOUND = Tls("TLSv1.3", "x", lambda kind: None)


@pytest.mark.parametrize(
    ("tls", "address", "names"),
    [
        (TLS, "192.0.2.1", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"),
        (UNBOUND, "192.0.2.1", "SCRAM-SHA-256 PLAIN LOGIN"),
        (None, "192.0.2.1", "SCRAM-SHA-256"),
        (None, "127.0.0.1", "SCRAM-SHA-256 PLAIN LOGIN"),
        (None, "::1", "SCRAM-SHA-256 PLAIN LOGIN"),
    ],
)
def test_offered(tls: Tls | None, address: str, names: str) -> None:
    """What is offered depends on the channel, and on where the client is."""
    assert ServerMechanisms(str, plaintext_on_loopback=True).offered(tls, address) == tuple(
        names.split()
    )


def test_loopback_is_opt_in() -> None:
    """Loopback is a network like any other, unless the operator says so."""
    mechanisms = ServerMechanisms(str)
    assert mechanisms.offered(None, "127.0.0.1") == ("SCRAM-SHA-256",)
    assert mechanisms.begin("PLAIN", FakeLogins(), None) is None
    assert mechanisms.begin("LOGIN", FakeLogins(), None) is None


def test_begin() -> None:
    """Names are compared without regard to case; what is not there is not begun."""
    mechanisms = ServerMechanisms(str)
    logins = FakeLogins()
    assert isinstance(mechanisms.begin("plain", logins, TLS), Plain)
    assert isinstance(mechanisms.begin("Login", logins, TLS), Login)
    assert isinstance(mechanisms.begin("SCRAM-SHA-256", logins, None), Scram)
    assert isinstance(mechanisms.begin("SCRAM-SHA-256-PLUS", logins, TLS), Scram)
    assert mechanisms.begin("SCRAM-SHA-256-PLUS", logins, None) is None
    assert mechanisms.begin("SCRAM-SHA-256-PLUS", logins, UNBOUND) is None
    assert mechanisms.begin("CRAM-MD5", logins, TLS) is None


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_on_loopback(address: str, own: bool) -> None:
    """Only addresses of this machine are its own."""
    assert on_loopback(address) is own


def converse(names: tuple[str, ...], tls: Tls | None, password: str) -> tuple[str, bool]:
    """What our client takes of these mechanisms, and whether both sides are content."""
    mechanisms = ServerMechanisms(lambda: "server-nonce", plaintext_on_loopback=True)
    logins = ScramLogins(derived(prepared(password), b"salt", 4096))
    credentials = Credentials("us=er,", password)
    client = choose(credentials, names, tls, lambda: "client", plaintext=True)
    assert client is not None
    server = mechanisms.begin(client.name, logins, tls)
    assert server is not None
    response = client.begin()
    challenge = run(server.step(b"" if response is None else response))
    while challenge is not None:
        challenge = run(server.step(client.respond(challenge)))
    return client.name, client.complete and server.account is not None


@pytest.mark.parametrize("password", ["pencil", 'p\u00e4n\u00adcil ,=#"\\'])
@pytest.mark.parametrize("tls", [None, TLS, UNBOUND])
def test_our_own_client(tls: Tls | None, password: str) -> None:
    """The client side of `sasl` logs in with whatever is offered."""
    offered = ServerMechanisms(str, plaintext_on_loopback=True).offered(tls, "127.0.0.1")
    for names in (offered, ("PLAIN", "LOGIN"), ("LOGIN",)):
        assert converse(names, tls, password) == (names[0], True)


def test_list_was_changed() -> None:
    """Whoever takes PLUS off the list is found out (RFC 5802 §6)."""
    with pytest.raises(LoginRefused):
        converse(("SCRAM-SHA-256", "PLAIN"), TLS, "pencil")

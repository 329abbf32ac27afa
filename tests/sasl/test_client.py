"""The client side of SASL, against RFC vectors and against our own server side."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhub.mail.address import Path
from mailhub.ports.accounts import (
    Account,
    AccountId,
    LoginFault,
    LoginRefused,
    ScramKeys,
    ScramProof,
)
from mailhub.ports.conversation import Tls
from mailhub.sasl.client import (
    ClientMechanism,
    Credentials,
    LoginMechanism,
    Plain,
    ScramSha256,
    choose,
    chooser,
)
from mailhub.sasl.scram import Scram, derived, fits
from tests.rig import run

ME = Credentials("user", "pencil")
EVERYTHING = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
# The exchange of RFC 7677 §3.
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def tls(**bindings: bytes) -> Tls:
    names = {name.replace("_", "-"): data for name, data in bindings.items()}
    return Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", names.get)


def nonce() -> str:
    return CLIENT_NONCE


class TestChoose:
    def name(self, offered: tuple[str, ...], channel: Tls | None, **options: bool) -> str:
        mechanism = choose(ME, offered, channel, nonce, **options)
        return mechanism.name if mechanism is not None else ""

    def test_strongest(self) -> None:
        """The strongest that both sides have is taken."""
        channel = tls(tls_exporter=b"x")
        assert self.name(EVERYTHING, channel) == "SCRAM-SHA-256-PLUS"
        assert self.name(EVERYTHING[:3], channel) == "SCRAM-SHA-256"
        assert self.name(EVERYTHING[:2], channel) == "PLAIN"
        assert self.name(("LOGIN", "GSSAPI"), channel) == "LOGIN"
        assert not self.name(("GSSAPI",), channel)

    def test_in_the_clear(self) -> None:
        """A password goes out readable only if that was allowed; SCRAM's does not."""
        assert not self.name(("PLAIN", "LOGIN"), None)
        assert self.name(("PLAIN", "LOGIN"), None, plaintext=True) == "PLAIN"
        assert self.name(EVERYTHING, None) == "SCRAM-SHA-256"

    def test_binding_flag(self) -> None:
        """Who could bind says so, and a list that was changed on its way shows (RFC 5802 §6)."""
        first = {
            "n,,": choose(ME, EVERYTHING, tls(), nonce),
            "y,,": choose(ME, EVERYTHING[:3], tls(tls_server_end_point=b"x"), nonce),
            "p=tls-server-end-point,,": choose(
                ME, EVERYTHING, tls(tls_server_end_point=b"x"), nonce
            ),
        }
        for header, mechanism in first.items():
            assert mechanism is not None
            begun = mechanism.begin()
            assert begun is not None
            assert begun.startswith(header.encode() + b"n=user,")

    def test_chooser(self) -> None:
        """A chooser is made once for a server."""
        mechanism = chooser(ME, nonce, plaintext=True)(("PLAIN",), None)
        assert isinstance(mechanism, Plain)


class TestPlaintext:
    def test_plain(self) -> None:
        """PLAIN is said at once, without an identity to act for (RFC 4616 §2)."""
        mechanism = Plain(ME)
        assert mechanism.begin() == b"\0user\0pencil"
        assert mechanism.complete
        with pytest.raises(ValueError, match="challenges"):
            mechanism.respond(b"")

    def test_login(self) -> None:
        """LOGIN answers name, then password, whatever the questions."""
        mechanism = LoginMechanism(ME)
        assert mechanism.begin() is None
        assert mechanism.respond(b"User Name\0") == b"user"
        assert not mechanism.complete
        assert mechanism.respond(b"Password\0") == b"pencil"
        assert mechanism.complete
        with pytest.raises(ValueError, match="two"):
            mechanism.respond(b"More?")

    def test_unprepared(self) -> None:
        """What SASLprep would refuse is sent as it is: the server set it."""
        assert Plain(Credentials("user", "a\x07b")).begin() == b"\0user\0a\x07b"


class TestScram:
    def test_vector(self) -> None:
        """The exchange of RFC 7677 §3, octet for octet."""
        mechanism = ScramSha256(ME, CLIENT_NONCE, None, "n")
        assert mechanism.begin() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
        assert mechanism.respond(SERVER_FIRST) == CLIENT_FINAL
        assert not mechanism.complete
        assert mechanism.respond(SERVER_FINAL) == b""
        assert mechanism.complete

    @pytest.mark.parametrize(
        "first",
        [
            b"",
            b"hello",
            b"\xff",
            b"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            SERVER_FIRST.replace(b"4096", b"4095"),
            SERVER_FIRST.replace(b"4096", b"99999999"),
            SERVER_FIRST.replace(b"W22Z", b"W22"),
            SERVER_FIRST.replace(b"gQ==", b"gQ="),
        ],
    )
    def test_bad_first(self, first: bytes) -> None:
        """A server-first-message that is malformed, replayed or weak gets no proof."""
        mechanism = ScramSha256(ME, CLIENT_NONCE, None, "n")
        mechanism.begin()
        with pytest.raises(ValueError):  # noqa: PT011  # each has its own words
            mechanism.respond(first)

    @pytest.mark.parametrize(
        "final",
        [b"", b"e=other-error", b"v=AAAA", b"v=!", SERVER_FINAL.replace(b"6rri", b"7rri")],
    )
    def test_bad_final(self, final: bytes) -> None:
        """A server that does not know the password does not pass."""
        mechanism = ScramSha256(ME, CLIENT_NONCE, None, "n")
        mechanism.begin()
        mechanism.respond(SERVER_FIRST)
        with pytest.raises(ValueError):  # noqa: PT011
            mechanism.respond(final)
        assert not mechanism.complete

    @settings(max_examples=15, deadline=None)
    @given(st.text("a,=\u00e9 ", min_size=1, max_size=8), st.booleans())
    def test_against_our_server(self, name: str, plus: bool) -> None:
        """Client and server of this package understand each other, bound or not."""
        channel = tls(tls_exporter=b"exported") if plus else None
        mechanism = choose(Credentials(name, "pencil"), EVERYTHING, channel, lambda: "client")
        assert mechanism is not None
        server = Scram(_Logins(), channel, lambda: "server", plus=plus)
        run(_exchange(mechanism, server))
        assert mechanism.complete
        assert server.account is not None

    def test_wrong_password(self) -> None:
        """And a wrong password opens nothing."""
        mechanism = choose(Credentials("user", "pen"), EVERYTHING, None, nonce)
        assert mechanism is not None
        with pytest.raises(LoginRefused):
            run(_exchange(mechanism, Scram(_Logins(), None, lambda: "server", plus=False)))


class _Logins:
    """Everybody's password is "pencil"."""

    def __init__(self) -> None:
        self.keys = derived("pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)

    async def password(self, username: str, password: str) -> Account:
        raise AssertionError

    async def scram_keys(self, username: str) -> ScramKeys:
        return self.keys

    async def scram(self, username: str, proof: ScramProof) -> Account:
        if not fits(self.keys, proof):
            raise LoginRefused(LoginFault.CREDENTIALS)
        return Account(AccountId(1), Path("user", "hub.example"), "user")


async def _exchange(client: ClientMechanism, server: Scram) -> None:
    response = client.begin()
    assert response is not None
    while (challenge := await server.step(response)) is not None:
        assert b64encode(challenge)
        response = client.respond(challenge)

"""Challengers written for Twisted as SASL mechanisms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.cred.credentials import CramMD5Credentials
from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.internet.defer import CancelledError
from twisted.mail import imap4

from mailhub.net.challenge import ChallengeExchange, Challengers, NoLogins
from mailhub.net.stock import smtp
from mailhub.ports.accounts import LoginFault, LoginRefused, ScramProof
from mailhub.sasl.mechanism import Malformed
from tests.rig import run
from tests.smtp.fakes import TLS

MAKERS: dict[Any, Callable[[], Any]] = {
    b"PLAIN": imap4.PLAINCredentials,
    "login": smtp.LOGINCredentials,
    b"CRAM-MD5": lambda: CramMD5Credentials(b"hub.example"),
}


class Portal:
    """Lets ann in, and fails as it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[Any] = []
        self._error = error

    async def log_in(self, credentials: Any) -> None:
        self.seen.append(credentials)
        if self._error is not None:
            raise self._error


def challengers(portal: Portal, *, plaintext: bool = False) -> Challengers:
    return Challengers(MAKERS, portal.log_in, plaintext=plaintext)


def exchange(name: str, portal: Portal) -> ChallengeExchange:
    found = challengers(portal).begin(name, NoLogins(), TLS)
    assert isinstance(found, ChallengeExchange)
    return found


def test_offered() -> None:
    """Passwords are asked for under TLS alone, unless it is allowed."""
    portal = Portal()
    assert challengers(portal).offered(TLS, "") == ("PLAIN", "LOGIN", "CRAM-MD5")
    assert challengers(portal).offered(None, "") == ("CRAM-MD5",)
    assert challengers(portal, plaintext=True).offered(None, "") == ("PLAIN", "LOGIN", "CRAM-MD5")
    assert challengers(portal).begin("PLAIN", NoLogins(), None) is None
    assert challengers(portal).begin("X", NoLogins(), TLS) is None


def test_plain() -> None:
    """PLAIN: the client speaks first."""
    portal = Portal()
    plain = exchange("PLAIN", portal)
    assert plain.initial
    assert run(plain.step(b"\0ann\0secret")) is None
    assert plain.account is not None
    assert str(plain.account.path) == "ann"
    assert portal.seen[0].password == b"secret"


def test_login() -> None:
    """LOGIN: the server asks twice."""
    login = exchange("LOGIN", Portal())
    assert not login.initial
    first, second = run(login.step(b"")), run(login.step(b"ann"))
    assert first is not None
    assert second is not None
    assert first.startswith(b"User")
    assert second.startswith(b"Password")
    assert run(login.step(b"secret")) is None


def test_cram() -> None:
    """CRAM-MD5: the server asks once."""
    portal = Portal()
    cram = exchange("CRAM-MD5", portal)
    challenge = run(cram.step(b""))
    assert challenge is not None
    assert challenge.endswith(b"@hub.example>")
    assert run(cram.step(b"ann 00")) is None
    assert portal.seen[0].username == b"ann"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (UnauthorizedLogin(), LoginFault.CREDENTIALS),
        (LoginDenied(), LoginFault.CREDENTIALS),
        (ValueError(), LoginFault.UNAVAILABLE),
    ],
)
def test_refused(error: Exception, fault: LoginFault) -> None:
    """A portal's no is a refused login; anything else means that we cannot check."""
    with pytest.raises(LoginRefused) as caught:
        run(exchange("PLAIN", Portal(error)).step(b"\0ann\0x"))
    assert caught.value.fault is fault


def test_cancelled() -> None:
    """A cancelled login is not a refused one."""
    with pytest.raises(CancelledError):
        run(exchange("PLAIN", Portal(CancelledError())).step(b"\0ann\0x"))


def test_malformed() -> None:
    """A response that the credentials cannot read is malformed."""
    with pytest.raises(Malformed):
        run(exchange("PLAIN", Portal()).step(b"nonsense"))


def test_no_logins() -> None:
    """Nobody logs in where the portal is asked by other ways."""
    logins = NoLogins()
    for asked in (
        lambda: logins.password("a", "b"),
        lambda: logins.scram_keys("a"),
        lambda: logins.scram("a", ScramProof(b"", b"")),
    ):
        with pytest.raises(LoginRefused):
            run(asked())

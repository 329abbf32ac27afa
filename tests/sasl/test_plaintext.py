"""PLAIN and LOGIN: what is taken, and what is malformed."""

from __future__ import annotations

import pytest

from mailhub.mail.address import Path
from mailhub.ports.accounts import (
    Account,
    AccountId,
    LoginFault,
    LoginRefused,
    ScramKeys,
    ScramProof,
)
from mailhub.sasl.mechanism import Malformed
from mailhub.sasl.plaintext import Login, Plain
from tests.rig import run

ACCOUNT = Account(AccountId(1), Path("Tim", "hub.example"), "mail/tim")


class FakeLogins:
    """``tim`` with any password but ``wrong``."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def password(self, username: str, password: str) -> Account:
        self.asked.append((username, password))
        if password == "wrong":
            raise LoginRefused(LoginFault.CREDENTIALS)
        return ACCOUNT

    async def scram_keys(self, username: str) -> ScramKeys:
        raise AssertionError

    async def scram(self, username: str, proof: ScramProof) -> Account:
        raise AssertionError


class TestPlain:
    @pytest.mark.parametrize("authzid", ["", "tim", "TIM@hub.example", "tim@hub.example"])
    def test_taken(self, authzid: str) -> None:
        """The one message of RFC 4616 §2; the identity may be said twice."""
        logins = FakeLogins()
        plain = Plain(logins)
        assert plain.initial
        assert run(plain.step(f'{authzid}\0tim\0tänst@ftänst " #'.encode())) is None
        assert plain.account == ACCOUNT
        assert logins.asked == [("tim", 'tänst@ftänst " #')]

    def test_refused(self) -> None:
        """A wrong password, and another identity, are refused."""
        for message in (b"\0tim\0wrong", b"ursel\0tim\0right"):
            plain = Plain(FakeLogins())
            with pytest.raises(LoginRefused):
                run(plain.step(message))
            assert plain.account is None

    @pytest.mark.parametrize(
        "message",
        [
            b"",
            b"tim",
            b"tim\0x",
            b"\0\0x",
            b"\0tim\0",
            b"\0tim\0x\0y",
            b"\0tim\0\xff",
            b"\0" * 4000,
        ],
    )
    def test_malformed(self, message: bytes) -> None:
        """Three fields, two of them not empty, in UTF-8."""
        with pytest.raises(Malformed):
            run(Plain(FakeLogins()).step(message))


class TestLogin:
    def test_asked(self) -> None:
        """Both are asked for."""
        logins = FakeLogins()
        login = Login(logins)
        assert not login.initial
        assert run(login.step(b"")) == b"Username:"
        assert run(login.step(b"tim")) == b"Password:"
        assert run(login.step(b"p w")) is None
        assert login.account == ACCOUNT
        assert logins.asked == [("tim", "p w")]

    def test_initial_response(self) -> None:
        """A user name that comes unasked is taken."""
        login = Login(FakeLogins())
        assert run(login.step(b"tim")) == b"Password:"
        with pytest.raises(LoginRefused):
            run(login.step(b"wrong"))

    @pytest.mark.parametrize(
        "responses", [[b"", b""], [b"tim", b""], [b"t\0m"], [b"\xff"], [b"x" * 1025]]
    )
    def test_malformed(self, responses: list[bytes]) -> None:
        """An empty name or password is none."""
        login = Login(FakeLogins())
        *before, last = responses
        for response in before:
            run(login.step(response))
        with pytest.raises(Malformed):
            run(login.step(last))

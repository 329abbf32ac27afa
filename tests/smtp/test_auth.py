"""AUTH's lines, and exchanges with initial responses and without."""

from __future__ import annotations

import pytest

from mailhub.mail.reply import Refusal
from mailhub.ports.accounts import LoginFault, LoginRefused
from mailhub.smtp import auth
from tests.rig import run
from tests.smtp.fakes import FakeExchange


def test_challenge() -> None:
    """An empty challenge keeps its blank (RFC 4954 §8)."""
    assert auth.challenge(b"") == b"334 \r\n"
    assert auth.challenge(b"User Name") == b"334 VXNlciBOYW1l\r\n"


def test_decoded() -> None:
    """Base64, an empty line, ``*``, and what is none of these (RFC 4954 §4)."""
    assert auth.decoded(b"") == b""
    assert auth.decoded(b"cmlnaHQ=") == b"right"
    for text, reply in ((b"*", "501 5.7.0"), (b"=", "501 5.5.2"), (b"cmlna HQ=", "501 5.5.2")):
        with pytest.raises(Refusal, match=reply):
            auth.decoded(text)


def test_initial() -> None:
    """``=`` is an empty initial response; none is another thing (RFC 4954 §4)."""
    assert auth.initial(None) is None
    assert auth.initial("=") == b""
    assert auth.initial("cmlnaHQ=") == b"right"


def test_begin() -> None:
    """Who speaks first depends on the mechanism (RFC 4422 §5)."""
    first = FakeExchange([], [])
    assert run(auth.begin(first, "PLAIN", None)) == b""
    assert run(auth.begin(FakeExchange([], []), "PLAIN", b"right")) is None
    assert run(auth.begin(FakeExchange([b"q"], []), "SECOND", None)) == b"q"
    assert run(auth.begin(FakeExchange([b"q"], []), "LOGIN", b"right")) is None
    with pytest.raises(Refusal, match=r"501 5\.7\.0"):
        run(auth.begin(FakeExchange([b"q"], []), "SECOND", b"right"))


@pytest.mark.parametrize(
    ("response", "reply"),
    [(b"wrong", "535 5.7.8"), (b"slow", "454 4.7.0"), (b"?", "501 5.5.2")],
)
def test_step(response: bytes, reply: str) -> None:
    """Each way to fail has its reply (RFC 4954 §6)."""
    with pytest.raises(Refusal, match=reply):
        run(auth.step(FakeExchange([], []), response))


def test_unavailable() -> None:
    """A hub that cannot check says that it is temporary."""

    class Broken(FakeExchange):
        async def step(self, response: bytes) -> bytes | None:
            raise LoginRefused(LoginFault.UNAVAILABLE)

    with pytest.raises(Refusal, match=r"454 4\.7\.0 Temporary"):
        run(auth.step(Broken([], []), b""))

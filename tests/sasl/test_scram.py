"""SCRAM by the RFCs' own example, with every kind of binding, and against broken clients."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
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
from mailhub.sasl.mechanism import Malformed
from mailhub.sasl.scram import Scram, bindable, derived, fits
from tests.rig import run

ACCOUNT = Account(AccountId(1), Path("user", "hub.example"), "mail/user")
SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
TLS = Tls("TLSv1.3", "x", lambda kind: b"unique" if kind == "tls-exporter" else None)


class FakeLogins:
    """One account ``user`` with the password ``pencil``."""

    def __init__(self, keys: ScramKeys | None = None) -> None:
        self.keys = keys or derived("pencil", SALT, 4096)
        self.names: list[str] = []

    async def password(self, username: str, password: str) -> Account:
        raise AssertionError("SCRAM does not ask for it")

    async def scram_keys(self, username: str) -> ScramKeys:
        self.names.append(username)
        return self.keys

    async def scram(self, username: str, proof: ScramProof) -> Account:
        assert username == self.names[-1]
        if not fits(self.keys, proof):
            raise LoginRefused(LoginFault.CREDENTIALS)
        return ACCOUNT


def exchange(tls: Tls | None = None, *, plus: bool = False) -> Scram:
    return Scram(FakeLogins(), tls, lambda: NONCE, plus=plus)


def client_final(first: bytes, challenge: bytes, binding: bytes, password: str = "pencil") -> bytes:
    """What an honest client answers to a challenge."""
    fields = dict(field.split("=", 1) for field in challenge.decode().split(","))
    bare = first.decode().split(",", 2)[2]
    without = f"c={b64encode(binding).decode()},r={fields['r']}"
    message = f"{bare},{challenge.decode()},{without}".encode()
    salt, count = b64decode(fields["s"]), int(fields["i"])
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, count)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return f"{without},p={b64encode(proof).decode()}".encode()


def test_example() -> None:
    """The exchange of RFC 7677 §3, octet for octet."""
    scram = exchange()
    assert scram.initial
    challenge = run(scram.step(FIRST))
    assert challenge == (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert run(scram.step(FINAL)) == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert scram.account is None
    assert run(scram.step(b"")) is None
    assert scram.account == ACCOUNT


def test_honest_client_of_the_tests() -> None:
    """The client in this file is the RFC's."""
    challenge = run(exchange().step(FIRST))
    assert challenge is not None
    assert client_final(FIRST, challenge, b"n,,") == FINAL


def test_wrong_password() -> None:
    """A proof made of another password is refused."""
    scram = exchange()
    challenge = run(scram.step(FIRST))
    assert challenge is not None
    with pytest.raises(LoginRefused):
        run(scram.step(client_final(FIRST, challenge, b"n,,", "pen")))
    assert scram.account is None


def test_name_with_comma() -> None:
    """Commas and equals signs in names are escaped (RFC 5802 §5.1)."""
    logins = FakeLogins()
    scram = Scram(logins, None, lambda: NONCE, plus=False)
    run(scram.step("n,a=ü=3D=2C,n=ü=3D=2C,r=x".encode()))
    assert logins.names == ["ü=,"]


def test_another_identity() -> None:
    """Nobody acts for another."""
    with pytest.raises(LoginRefused):
        run(exchange().step(b"n,a=root,n=user,r=x"))


class TestBinding:
    def test_plus(self) -> None:
        """The channel's own data must be repeated (RFC 5802 §6)."""
        first = b"p=tls-exporter,,n=user,r=abc"
        for data, good in ((b"unique", True), (b"other", False), (b"", False)):
            scram = exchange(TLS, plus=True)
            challenge = run(scram.step(first))
            assert challenge is not None
            final = client_final(first, challenge, b"p=tls-exporter,," + data)
            if good:
                answer = run(scram.step(final))
                assert answer is not None
                assert answer.startswith(b"v=")
            else:
                with pytest.raises(LoginRefused):
                    run(scram.step(final))

    @pytest.mark.parametrize("kind", [b"tls-unique", b"tls-server-end-point", b"nonsense"])
    def test_type_we_have_not(self, kind: bytes) -> None:
        """A type that this channel has not, or that TLS 1.3 has not, is refused."""
        with pytest.raises(LoginRefused):
            run(exchange(TLS, plus=True).step(b"p=" + kind + b",,n=user,r=abc"))

    def test_downgrade(self) -> None:
        """A client that was told we cannot bind, where we can, was lied to (RFC 5802 §6)."""
        with pytest.raises(LoginRefused):
            run(exchange(TLS).step(b"y,,n=user,r=abc"))
        assert run(exchange().step(b"y,,n=user,r=abc")) is not None

    def test_flag_contradicts_mechanism(self) -> None:
        """``p=`` is for PLUS alone, and PLUS for nothing else."""
        with pytest.raises(Malformed):
            run(exchange(TLS).step(b"p=tls-exporter,,n=user,r=abc"))
        with pytest.raises(Malformed):
            run(exchange(TLS, plus=True).step(b"n,,n=user,r=abc"))

    def test_header_repeated(self) -> None:
        """A flag changed under way shows in the repeated header."""
        scram = exchange()
        challenge = run(scram.step(FIRST))
        assert challenge is not None
        with pytest.raises(LoginRefused):
            run(scram.step(client_final(FIRST, challenge, b"y,,")))

    def test_bindable(self) -> None:
        """There must be TLS, with one of our types."""
        assert not bindable(None)
        assert bindable(TLS)
        assert not bindable(Tls("TLSv1.3", "x", lambda kind: None))

    def test_no_channel(self) -> None:
        """PLUS without TLS has nothing to bind to."""
        with pytest.raises(LoginRefused):
            run(exchange(plus=True).step(b"p=tls-exporter,,n=user,r=abc"))


class TestBroken:
    @pytest.mark.parametrize(
        "first",
        [
            b"",
            b"n,,",
            b"x,,n=user,r=abc",
            b"n,n=user,r=abc",
            b"n,,n=,r=abc",
            b"n,,n=us=er,r=abc",
            b"n,,n=user,r=",
            b"n,,n=user,r=a b",
            b"n,,n=user,r=a\x00",
            b"n,,m=ext,n=user,r=abc",
            b"n,,n=user,r=abc,",
            b"n,,n=us\xff,r=abc",
            b"p=,,n=user,r=abc",
            b"n,,n=user,r=" + b"a" * 5000,
        ],
    )
    def test_first(self, first: bytes) -> None:
        """What does not follow the grammar is malformed (RFC 5802 §7)."""
        with pytest.raises(Malformed):
            run(exchange().step(first))

    @pytest.mark.parametrize(
        "final",
        [
            b"",
            b"c=biws,r=abc",
            b"c=biws,r=abc,p=",
            b"c=!,r=abc,p=AAAA",
            b"c=biws,r=abc,p=AAAAA",
            b"c=biws,r=abc,p=AA\xff",
            b"r=abc,c=biws,p=AAAA",
        ],
    )
    def test_final(self, final: bytes) -> None:
        """Likewise for the final message."""
        scram = exchange()
        run(scram.step(b"n,,n=user,r=abc"))
        with pytest.raises((Malformed, LoginRefused)):
            run(scram.step(final))

    def test_nonce(self) -> None:
        """Another nonce than ours is refused, a proof of another length, too."""
        scram = exchange()
        run(scram.step(FIRST))
        with pytest.raises(LoginRefused):
            run(scram.step(FINAL.replace(b"r=rOpr", b"r=sOpr")))
        scram = exchange()
        run(scram.step(FIRST))
        with pytest.raises(LoginRefused):
            run(scram.step(FINAL.partition(b",p=")[0] + b",p=AAAA"))

    def test_base64(self) -> None:
        """What only looks like base64 is malformed."""
        for final in (b"c=biws,r=abc%b,p=AAAAA", b"c=biwsA,r=abc%b,p=AAAA"):
            scram = exchange()
            run(scram.step(b"n,,n=user,r=abc"))
            with pytest.raises(Malformed):
                run(scram.step(final % NONCE.encode()))

    def test_after_the_end(self) -> None:
        """Nothing follows the server's last word but the empty response."""
        scram = exchange()
        run(scram.step(FIRST))
        run(scram.step(FINAL))
        with pytest.raises(Malformed):
            run(scram.step(b"x"))

    @given(st.lists(st.binary(max_size=80), min_size=1, max_size=4))
    def test_any_octets(self, responses: list[bytes]) -> None:
        """Whatever a client sends is malformed or refused, and never a crash."""
        scram = exchange()
        for response in responses:
            try:
                run(scram.step(response))
            except (Malformed, LoginRefused):
                break
        assert scram.account is None

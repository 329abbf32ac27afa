"""The one door: what opens it, what it costs, and who is kept waiting."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path as FilePath
from typing import Any, ParamSpec, TypeVar, cast

import pytest
from twisted.cred.checkers import ANONYMOUS
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from zope.interface import Interface

from mailhub.accounts import throttle
from mailhub.accounts.database import Accounts
from mailhub.accounts.login import LoginLimits, Memory
from mailhub.accounts.password import Cost, outdated, secret
from mailhub.accounts.record import address
from mailhub.net.portal import (
    AccountChecker,
    AccountRealm,
    IAccount,
    PasswordCredentials,
    PortalLogins,
)
from mailhub.ports.accounts import Account, LoginFault, LoginRefused, ScramProof
from mailhub.sasl.scram import Scram, derived
from tests.rig import InlineDisk, run
from tests.sasl.test_scram import FIRST, client_final

P = ParamSpec("P")
T = TypeVar("T")

CHEAP = Cost(memory=64, passes=1, iterations=4096)
ALICE = address("alice@hub.example")
BOB = address("bob@hub.example")
LIMITS = LoginLimits(
    hashing=2,
    waiting=3,
    default_domain="hub.example",
    memory=Memory(seconds=60.0),
    throttle=throttle.Limits(
        free=2, first_delay=1.0, longest_delay=4.0, address_refused=6, half_life=1e9
    ),
    cost=CHEAP,
)


class SlowDisk:
    """Keeps work until it is told to do it, and counts it."""

    def __init__(self) -> None:
        self.begun: list[tuple[Deferred[Any], Callable[[], Any]]] = []
        self.total = 0

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        done: Deferred[Any] = Deferred()
        self.begun.append((done, lambda: function(*args, **kwargs)))
        self.total += 1
        return cast("T", await done)

    brief = run

    def lock(self) -> AbstractAsyncContextManager[None]:
        raise AssertionError("nothing to lock")

    def finish(self) -> None:
        """Do all that was begun, and what follows from it."""
        while self.begun:
            done, work = self.begun.pop(0)
            done.callback(work())


class CountingDisk(InlineDisk):
    """Counts what is done."""

    def __init__(self) -> None:
        self.total = 0

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self.total += 1
        return function(*args, **kwargs)


class House:
    """A hub's accounts, and its door."""

    def __init__(self, accounts: Accounts, disk: Any, limits: LoginLimits = LIMITS) -> None:
        self.accounts = accounts
        self.clock = Clock()
        self.disk = disk
        self.checker = AccountChecker(accounts, disk, self.clock, os.urandom, limits)
        self.portal = Portal(AccountRealm(accounts), [self.checker])

    def logins(self, client: str = "192.0.2.1") -> PortalLogins:
        return PortalLogins(self.portal, self.checker, client)

    def ask(self, username: str, password: str, client: str = "192.0.2.1") -> Deferred[Any]:
        """Begin a login; what comes of it is an account or a fault."""
        asked = Deferred.fromCoroutine(self.logins(client).password(username, password))
        return asked.addErrback(fault)

    def now(self, username: str, password: str, client: str = "192.0.2.1") -> Any:
        """What comes of a login that need not wait."""
        return result(self.ask(username, password, client))


def fault(failure: Failure) -> LoginFault:
    failure.trap(LoginRefused)
    return cast("LoginRefused", failure.value).fault


def result(deferred: Deferred[Any]) -> Any:
    """What has come of it, or None while it waits."""
    found: list[Any] = []
    deferred.addCallback(found.append)
    return found[0] if found else None


@pytest.fixture
def accounts(tmp_path: FilePath) -> Iterator[Accounts]:
    with Accounts(tmp_path / "accounts.db", clock=count().__next__) as database:
        database.add_domain("hub.example")
        database.add_account(ALICE, secret("right", CHEAP, os.urandom))
        database.add_account(BOB, secret("bob's", CHEAP, os.urandom))
        yield database


@pytest.fixture
def house(accounts: Accounts) -> House:
    return House(accounts, CountingDisk())


@pytest.fixture
def slow(accounts: Accounts) -> House:
    return House(accounts, SlowDisk())


class TestAnswers:
    def test_right(self, house: House, accounts: Accounts) -> None:
        """The avatar is the account."""
        assert house.now("alice@hub.example", "right") == run(accounts.account(ALICE))
        assert house.now("ALICE", "right").path == ALICE

    def test_wrong(self, house: House, accounts: Accounts) -> None:
        """Wrong, unknown and disabled are one and the same, and one hash each."""
        accounts.enable_account(BOB, False)
        for username, password in (("alice", "wrong"), ("nobody", "right"), ("bob", "bob's")):
            before = house.disk.total
            assert house.now(username, password, f"192.0.2.{before}") is LoginFault.CREDENTIALS
            assert house.disk.total == before + 1

    def test_database_fails(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """A database that cannot be read is nobody's wrong password."""

        def broken(username: str) -> None:
            raise OSError("disk I/O error")

        monkeypatch.setattr(house.checker._register, "claim", broken)
        assert house.now("alice", "right") is LoginFault.UNAVAILABLE
        with pytest.raises(LoginRefused) as caught:
            run(house.logins().scram_keys("alice"))
        assert caught.value.fault is LoginFault.UNAVAILABLE

    def test_threads_fail(self, accounts: Accounts) -> None:
        """Nor are threads that do not run; and the attempt does not count."""

        class NoThreads(InlineDisk):
            async def run(
                self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
            ) -> T:
                raise RuntimeError("can't start new thread")

        house = House(accounts, NoThreads())
        for _ in range(10):
            assert house.now("alice", "right") is LoginFault.UNAVAILABLE


class TestCost:
    def test_recent(self, house: House) -> None:
        """A password that was right a moment ago is not hashed again, wherever it comes from."""
        for client in ("192.0.2.1", "192.0.2.1", "2001:db8::1"):
            assert house.now("alice", "right", client).path == ALICE
        assert house.disk.total == 1
        house.clock.advance(60)
        assert house.now("alice", "right").path == ALICE
        assert house.disk.total == 2

    def test_password_changed(self, house: House, accounts: Accounts) -> None:
        """A change makes the old password wrong at once."""
        house.now("alice", "right")
        accounts.set_secret(ALICE, secret("new", CHEAP, os.urandom))
        assert house.now("alice", "right") is LoginFault.CREDENTIALS
        assert house.now("alice", "new").path == ALICE

    def test_disabled(self, house: House, accounts: Accounts) -> None:
        """Disabling an account makes it useless at once, remembered or not."""
        house.now("alice", "right")
        accounts.enable_account(ALICE, False)
        assert house.now("alice", "right") is LoginFault.CREDENTIALS

    def test_eight_at_once(self, slow: House) -> None:
        """Eight connections of one client cost one hash, and none of them waits for being many."""
        asked = [slow.ask("alice", "right") for _ in range(8)]
        assert slow.disk.total == 1
        slow.disk.finish()
        assert [result(one).path for one in asked] == [ALICE] * 8
        assert slow.disk.total == 1

    def test_eight_wrong_at_once(self, slow: House) -> None:
        """Nor do eight with one wrong password."""
        asked = [slow.ask("alice", "wrong") for _ in range(8)]
        slow.disk.finish()
        assert [result(one) for one in asked] == [LoginFault.CREDENTIALS] * 8
        assert slow.disk.total == 1
        assert slow.checker._flights == {}

    def test_bug(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """A fault of ours refuses the login for now, and the next one is judged anew."""

        def fail(*_: object) -> None:
            raise KeyError

        with monkeypatch.context() as patch, capturedLogs() as logged:
            patch.setattr(house.checker._recent, "add", fail)
            assert house.now("alice", "right") is LoginFault.UNAVAILABLE
        assert "log_failure" in logged[-1]
        assert house.checker._flights == {}
        assert house.now("alice", "right").path == ALICE

    def test_first_hangs_up(self, slow: House) -> None:
        """Whoever hangs up takes the answer from nobody else."""
        first = slow.ask("alice", "right")
        second = slow.ask("alice", "right")
        hung_up: list[Failure] = []
        first.addErrback(hung_up.append)
        first.cancel()
        slow.disk.finish()
        assert len(hung_up) == 1
        assert result(second).path == ALICE

    def test_bounded(self, slow: House) -> None:
        """So many hash, so many wait, and the others are told to come later."""
        asked = [slow.ask(f"nobody{n}", "guess", f"192.0.2.{n}") for n in range(8)]
        assert slow.disk.total == 2
        assert [result(one) for one in asked[:5]] == [None] * 5
        assert [result(one) for one in asked[5:]] == [LoginFault.UNAVAILABLE] * 3
        slow.disk.finish()
        assert slow.disk.total == 5

    def test_changed_while_hashing(self, slow: House, accounts: Accounts) -> None:
        """What happened to the account while its password was hashed counts."""
        asked = slow.ask("alice", "right")
        accounts.enable_account(ALICE, False)
        slow.disk.finish()
        assert result(asked) is LoginFault.CREDENTIALS
        accounts.enable_account(ALICE, True)
        asked = slow.ask("alice", "right")
        accounts.set_secret(ALICE, secret("new", CHEAP, os.urandom))
        slow.disk.finish()
        assert result(asked) is LoginFault.CREDENTIALS

    def test_hashed_anew(self, accounts: Accounts) -> None:
        """A hash of other parameters is replaced at the first login, and the login remembered."""
        dear = LoginLimits(cost=Cost(memory=128, passes=1, iterations=5000))
        house = House(accounts, CountingDisk(), dear)
        for _ in range(2):
            assert house.now("alice@hub.example", "right").path == ALICE
        assert house.disk.total == 2
        kept = accounts.credentials(ALICE)
        assert kept is not None
        assert not outdated(kept.secret, dear.cost)


class TestThrottle:
    def test_slowed_then_refused(self, house: House) -> None:
        """Failures are put off longer and longer, before the check, then not checked."""
        for _ in range(2):
            assert house.now("alice", "wrong") is LoginFault.CREDENTIALS
        asked = house.ask("alice", "wrong")
        house.clock.advance(0.5)
        assert house.disk.total == 2
        assert result(asked) is None
        house.clock.advance(0.5)
        assert house.disk.total == 3
        for guess in range(3):
            house.ask("alice", f"guess {guess}")
        assert house.now("alice", "right") is LoginFault.THROTTLED
        house.clock.advance(4)
        assert house.clock.getDelayedCalls() == []

    def test_other_limits(self, house: House) -> None:
        """Limits may be replaced: what was counted and remembered is judged by the new ones."""
        assert isinstance(house.now("alice", "right"), Account)
        checks = house.disk.total
        memory = Memory(seconds=0.0)
        house.checker.obey(replace(LIMITS, memory=memory, default_domain="other.example"))
        assert house.now("alice", "right") is LoginFault.CREDENTIALS
        house.checker.obey(replace(LIMITS, memory=memory, cost=replace(CHEAP, passes=2)))
        assert isinstance(house.now("alice", "right"), Account)
        assert house.disk.total == checks + 3, "an unknown name's hash, alice's, and hers anew"

    def test_proven(self, house: House) -> None:
        """Where one has logged in one can, while another's guesses from there are refused."""
        house.now("alice", "right", "2001:db8::1")
        house.clock.advance(4000)
        for guess in range(9):
            house.ask("bob", f"guess {guess}", f"2001:db8::{guess}")
        assert house.now("bob", "bob's", "2001:db8::99") is LoginFault.THROTTLED
        assert house.now("alice", "right", "2001:db8::77").path == ALICE
        house.clock.advance(10)

    def test_wrong_ones_wait(self, house: House) -> None:
        """Where one has logged in a right password is not put off for wrong ones before it."""
        house.now("alice", "right")
        asked = [house.ask("alice", f"guess {guess}") for guess in range(4)]
        assert [result(one) for one in asked[2:]] == [None, None]
        assert house.now("alice", "right").path == ALICE
        house.clock.advance(1000)  # it is remembered no more, and they are not forgotten
        asked = [house.ask("alice", f"guess {guess}") for guess in range(4)]
        before = house.disk.total
        assert house.now("alice", "right").path == ALICE
        assert house.disk.total == before + 1
        house.clock.advance(10)
        assert [result(one) for one in asked] == [LoginFault.CREDENTIALS] * 4

    def test_unknown_names_too(self, house: House) -> None:
        """Names that mean nobody are slowed like others."""
        for guess in range(6):
            house.ask("nobody", f"guess {guess}")
        assert house.now("nobody", "x") is LoginFault.THROTTLED
        house.clock.advance(10)


class TestScram:
    def proof(self, house: House, password: str, username: str = "alice") -> ScramProof:
        keys = run(house.logins().scram_keys(username))
        scram = Scram(house.logins(), None, lambda: "server", plus=False)
        first = FIRST.replace(b"user", username.encode())
        challenge = run(scram.step(first))
        assert challenge is not None
        final = client_final(first, challenge, b"n,,", password)
        answer = Deferred.fromCoroutine(scram.step(final)).addErrback(fault)
        self.answer = result(answer)
        return ScramProof(b"", keys.salt)

    def test_right(self, house: House) -> None:
        """A proof opens the account without any hash."""
        self.proof(house, "right")
        assert self.answer.startswith(b"v=")
        assert house.disk.total == 0

    def test_wrong(self, house: House, accounts: Accounts) -> None:
        """A wrong proof, an unknown name and a disabled account are refused alike, and counted."""
        self.proof(house, "wrong")
        assert self.answer is LoginFault.CREDENTIALS
        self.proof(house, "right", "nobody")
        assert self.answer is LoginFault.CREDENTIALS
        accounts.enable_account(ALICE, False)
        self.proof(house, "right")
        assert self.answer is None  # put off
        house.clock.advance(1)
        for _ in range(4):
            self.proof(house, "right")
        assert self.answer is LoginFault.THROTTLED
        house.clock.advance(10)

    def test_wrong_ones_wait(self, house: House) -> None:
        """Where one has logged in a right proof is not put off, and wrong ones are."""
        self.proof(house, "right")
        for _ in range(4):
            self.proof(house, "wrong")
        answers = [self.answer]
        self.proof(house, "right")
        answers.append(self.answer)
        assert answers[0] is None
        assert answers[1].startswith(b"v=")
        house.clock.advance(10)

    def test_keys(self, house: House) -> None:
        """The keys are those of the account."""
        keys = run(house.logins().scram_keys("alice"))
        assert keys == derived("right", keys.salt, 4096)


class TestCred:
    def test_stock_credentials(self, house: House) -> None:
        """What was written for Twisted logs in with Twisted's own credentials."""
        found = self.login(house, UsernamePassword(b"alice@hub.example", b"right"))
        assert found[1].path == ALICE
        found[2]()
        [failure] = self.login(house, UsernamePassword(b"alice@hub.example", b"wr\xffng"))
        assert failure.check(UnauthorizedLogin)

    def test_other_avatars(self, accounts: Accounts, house: House) -> None:
        """The portal gives what plug-ins ask for, made of the account."""

        class IDelivery(Interface):
            pass

        def make(account: Account) -> str:
            return f"delivery of {account.path}"

        portal = Portal(AccountRealm(accounts, {IDelivery: make}), [house.checker])
        credentials = PasswordCredentials("alice", "right")
        asked = portal.login(credentials, None, Interface, IDelivery)
        assert result(asked)[:2] == (IDelivery, "delivery of alice@hub.example")
        failed = result(portal.login(credentials, None, Interface).addErrback(lambda f: f.value))
        assert isinstance(failed, NotImplementedError)

    def test_foreign_checker(self, accounts: Accounts) -> None:
        """Another checker's names are looked up: they must be accounts, and enabled."""
        realm = AccountRealm(accounts)
        accounts.enable_account(BOB, False)
        for name in (b"nobody@hub.example", b"no address", ANONYMOUS, b"bob@hub.example"):
            found = realm.requestAvatar(name, None, IAccount).addErrback(lambda f: [f])
            assert result(found)[0].check(UnauthorizedLogin)
        assert result(realm.requestAvatar("alice@hub.example", None, IAccount))[1].path == ALICE

    def test_secrets_do_not_print(self) -> None:
        """Credentials show up in logs without the password."""
        assert "hunter2" not in repr(PasswordCredentials("alice", "hunter2"))

    def login(self, house: House, credentials: Any) -> Any:
        asked = house.portal.login(credentials, None, IAccount)
        return result(asked.addErrback(lambda failure: [failure]))

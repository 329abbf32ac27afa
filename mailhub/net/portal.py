"""The one door for logins: a `twisted.cred` Portal that SMTP, POP3 and IMAP share.

An `AccountChecker` turns credentials into an address, an `AccountRealm` turns
the address into an avatar: `ports.accounts.Account` for our own protocols, and what
`avatars` makes for plug-ins written for Twisted mail.

Invariants:

1. The reactor never hashes: that happens in threads, `LoginLimits.hashing` at a
   time, with a bounded queue before them.
2. Many logins with one password at the same moment cost one hash, and one
   shortly after a success costs none.
3. Wrong password, unknown name and disabled account are told apart by nobody:
   same answer, same work.

When the database or the threads fail, a login is refused as `UNAVAILABLE`:
clients then try again and do not ask their user for another password.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, ParamSpec, TypeVar

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import Attribute, Interface, implementer

from mailhub.accounts import throttle
from mailhub.accounts.database import Accounts
from mailhub.accounts.login import Claim, LoginLimits, Recent, Register, refresh
from mailhub.accounts.password import outdated
from mailhub.mail.address import parse_address
from mailhub.mail.reply import Refusal
from mailhub.ports.accounts import (
    Account,
    Directory,
    LoginFault,
    LoginRefused,
    ScramKeys,
    ScramProof,
)
from mailhub.ports.disk import Disk
from mailhub.sasl.scram import fits

P = ParamSpec("P")
T = TypeVar("T")

KEY_OCTETS: Final = 32
"""Octets of the key under which successes are remembered."""


class IAccount(Interface):
    """What our protocols ask the portal for: the avatar is a `ports.accounts.Account`."""


class IPasswordCredentials(ICredentials):
    """A name, a password, and where they came from."""

    username: str = Attribute("As the client gave it.")
    password: str = Attribute("As the client gave it.")
    address: str = Attribute("The client's IP address.")


class IScramCredentials(ICredentials):
    """A name, a SCRAM proof, and where they came from."""

    username: str = Attribute("As the client gave it.")
    proof: ScramProof = Attribute("The client's proof.")
    address: str = Attribute("The client's IP address.")


@implementer(IPasswordCredentials)
@dataclass(frozen=True)
class PasswordCredentials:
    """Implements `IPasswordCredentials`."""

    username: str
    password: str = field(repr=False)
    address: str = ""


@implementer(IScramCredentials)
@dataclass(frozen=True)
class ScramCredentials:
    """Implements `IScramCredentials`."""

    username: str
    proof: ScramProof = field(repr=False)
    address: str = ""


class Unauthorized(UnauthorizedLogin):
    """No login; `fault` says why."""

    def __init__(self, fault: LoginFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@implementer(ICredentialsChecker)
class AccountChecker:
    """Checks passwords and SCRAM proofs against the accounts.

    Args:
        disk: Runs the hashing.
        entropy: Gives so many unpredictable octets.
    """

    credentialInterfaces = (IPasswordCredentials, IScramCredentials, IUsernamePassword)
    _log = Logger()

    def __init__(
        self,
        accounts: Accounts,
        disk: Disk,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        limits: LoginLimits | None = None,
    ) -> None:
        self._limits = limits = limits or LoginLimits()
        self._database = accounts.path
        self._disk = disk
        self._clock = clock
        self._entropy = entropy
        self._register = Register(accounts, limits.cost, entropy, limits.default_domain)
        self._recent = Recent(entropy(KEY_OCTETS), limits.memory)
        self._throttle = throttle.Throttle(limits.throttle)
        self._turns = DeferredSemaphore(limits.hashing)
        self._flights: dict[tuple[str, bytes], list[Deferred[Account]]] = {}

    def obey(self, limits: LoginLimits) -> None:
        """Go by other limits from here on; `LoginLimits.hashing` stays as it was."""
        if limits.cost != self._limits.cost:
            self._register.cost = limits.cost
        self._register.default_domain = limits.default_domain
        self._recent.memory = limits.memory
        self._throttle.obey(limits.throttle)
        self._limits = limits

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """The address of the account that the credentials open, as cred asks for it."""
        return Deferred.fromCoroutine(self._identify(credentials))

    async def _identify(self, credentials: Any) -> bytes | tuple[()]:
        try:
            if IScramCredentials.providedBy(credentials):
                account = await self._scram(credentials)
            elif IPasswordCredentials.providedBy(credentials):
                username, password = credentials.username, credentials.password
                account = await self._password(username, password, credentials.address)
            else:  # one of Twisted's own, in octets
                username, password = _text(credentials.username), _text(credentials.password)
                account = await self._password(username, password, "")
        except LoginRefused as refused:
            raise Unauthorized(refused.fault) from None
        return str(account.path).encode()

    def scram_keys(self, username: str) -> ScramKeys:
        """The keys for a name, made up where it means nobody.

        Raises:
            LoginRefused: UNAVAILABLE.
        """
        return self._register.scram_keys(self._claim(username))

    async def _scram(self, credentials: IScramCredentials) -> Account:
        claim = self._claim(credentials.username)
        attempt = self._begin(claim, credentials.address)
        if not attempt.prompt:
            await self._put_off(attempt)
        claim = self._claim(credentials.username)
        # The proof is computed for unknown names, too.
        fitting = fits(self._register.scram_keys(claim), credentials.proof)
        if attempt.prompt and not fitting:
            await self._put_off(attempt)
        return self._settled(claim, attempt, right=fitting)

    async def _password(self, username: str, password: str, address: str) -> Account:
        claim = self._claim(username)
        mark = self._recent.mark(claim, password)
        flight = (throttle.network(address), mark)
        waiting = self._flights.get(flight)
        if waiting is None:
            attempt = self._begin(claim, address)
            at_once = attempt.prompt or not attempt.delay
            if at_once and self._recent.knows(mark, self._clock.seconds()):
                return self._settled(claim, attempt, right=True)
            waiting = self._flights[flight] = []
        else:
            attempt = None
        arrival: Deferred[Account] = Deferred()
        waiting.append(arrival)
        if attempt is not None:
            # Not awaited: it goes on for the others if this client hangs up.
            Deferred.fromCoroutine(self._fly(flight, username, password, attempt))
        return await arrival

    async def _fly(
        self, flight: tuple[str, bytes], username: str, password: str, attempt: throttle.Attempt
    ) -> None:
        """Judge a password once for all who wait for it. Raises nothing."""
        outcome: Account | LoginFault
        try:
            outcome = await self._judge(username, password, attempt)
        except LoginRefused as refused:
            outcome = refused.fault
        except Exception:  # a bug: nobody may wait for ever because of it
            self._log.failure("a login could not be judged")
            outcome = LoginFault.UNAVAILABLE
        if outcome is LoginFault.UNAVAILABLE:
            self._throttle.withdrawn(attempt, self._clock.seconds())
        for arrival in self._flights.pop(flight):
            if arrival.called:
                continue  # cancelled: that client has gone
            if isinstance(outcome, LoginFault):
                arrival.errback(LoginRefused(outcome))
            else:
                arrival.callback(outcome)
        if isinstance(outcome, Account):
            with suppress(LoginRefused):  # unavailable: at another login, then
                await self._renew(username, password)

    async def _judge(self, username: str, password: str, attempt: throttle.Attempt) -> Account:
        if not attempt.prompt:
            await self._put_off(attempt)
        claim = self._claim(username)
        mark = self._recent.mark(claim, password)
        right = self._recent.knows(mark, self._clock.seconds())
        if not right:
            right = await self._in_turn(self._register.matches, claim, password)
        # While it was hashed the account may have been disabled, or its password changed.
        now = self._claim(username)
        right = right and self._recent.mark(now, password) == mark
        if attempt.prompt and not right:
            await self._put_off(attempt)
        account = self._settled(now, attempt, right=right)
        self._recent.add(mark, self._clock.seconds())
        return account

    async def _renew(self, username: str, password: str) -> None:
        """Hash a password that is known to be right anew, if it costs something else now."""
        cost, entropy = self._limits.cost, self._entropy
        kept = self._claim(username).credentials
        if kept is None or not outdated(kept.secret, cost):
            return
        if await self._in_turn(refresh, self._database, kept, password, cost, entropy):
            self._log.info("password of {path} hashed anew", path=kept.account.path.shown)

    async def _in_turn(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do slow work in a thread, as soon as there are not too many at it.

        Raises:
            LoginRefused: UNAVAILABLE: too many wait already, or the threads failed.
        """
        if len(self._turns.waiting) >= self._limits.waiting:
            raise LoginRefused(LoginFault.UNAVAILABLE)
        await self._turns.acquire()
        try:
            return await self._disk.run(work, *args, **kwargs)
        except Exception:
            self._log.failure("a password could not be hashed")
            raise LoginRefused(LoginFault.UNAVAILABLE) from None
        finally:
            self._turns.release()

    async def _put_off(self, attempt: throttle.Attempt) -> None:
        if attempt.delay:
            await deferLater(self._clock, attempt.delay)

    def _claim(self, username: str) -> Claim:
        try:
            return self._register.claim(username)
        except OSError:
            self._log.failure("the accounts cannot be read")
            raise LoginRefused(LoginFault.UNAVAILABLE) from None

    def _begin(self, claim: Claim, address: str) -> throttle.Attempt:
        now = self._clock.seconds()
        attempt = self._throttle.begin(throttle.network(address), claim.key, now)
        if attempt is None:
            self._log.warn(
                "login throttled: {name!r} from {address}", name=claim.key, address=address
            )
            raise LoginRefused(LoginFault.THROTTLED)
        return attempt

    def _settled(self, claim: Claim, attempt: throttle.Attempt, *, right: bool) -> Account:
        """The account, if the attempt was right and it may log in."""
        account = claim.account
        if account is None or not right:
            self._log.warn(
                "login failed: {name!r} from {network}", name=claim.key, network=attempt.network
            )
            raise LoginRefused(LoginFault.CREDENTIALS)
        self._throttle.succeeded(attempt, self._clock.seconds())
        return account


@implementer(IRealm)
class AccountRealm:
    """Gives avatars to those whose credentials were checked, by whichever checker.

    Args:
        avatars: What else the portal can be asked for, and how it is made of an
            account: Twisted's ``IMessageDelivery``, for instance.
    """

    def __init__(
        self, directory: Directory, avatars: Mapping[Any, Callable[[Account], object]] | None = None
    ) -> None:
        self._directory = directory
        self._avatars = {IAccount: _itself, **(avatars or {})}

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Deferred[Any]:  # noqa: ARG002
        """The first avatar that we can make of those asked for, as cred asks for it."""
        return Deferred.fromCoroutine(self._avatar(avatarId, interfaces))

    async def _avatar(
        self, avatar_id: Any, interfaces: Sequence[Any]
    ) -> tuple[Any, object, Callable[[], None]]:
        interface = next((one for one in interfaces if one in self._avatars), None)
        if interface is None:
            raise NotImplementedError(f"no avatar for {interfaces}")
        try:
            account = await self._directory.account(parse_address(_text(avatar_id)))
        except Refusal:
            account = None  # a foreign checker's name that is no address, or ANONYMOUS
        if account is None or not account.enabled:
            raise Unauthorized(LoginFault.CREDENTIALS)
        return interface, self._avatars[interface](account), _nothing


class PortalLogins:
    """Implements `ports.accounts.Logins` for the clients of one address."""

    def __init__(self, portal: Portal, checker: AccountChecker, address: str) -> None:
        self._portal = portal
        self._checker = checker
        self._address = throttle.canonical(address)

    async def password(self, username: str, password: str) -> Account:
        """The account that this name and password open."""
        return await self._login(PasswordCredentials(username, password, self._address))

    async def scram_keys(self, username: str) -> ScramKeys:
        """The keys of an account; made up, but the same each time, for an unknown one."""
        return self._checker.scram_keys(username)

    async def scram(self, username: str, proof: ScramProof) -> Account:
        """The account, if `proof` fits the keys that `scram_keys` gave."""
        return await self._login(ScramCredentials(username, proof, self._address))

    async def _login(self, credentials: ICredentials) -> Account:
        try:
            _, account, _ = await self._portal.login(credentials, None, IAccount)
        except UnauthorizedLogin as error:
            fault = getattr(error, "fault", LoginFault.CREDENTIALS)
            raise LoginRefused(fault) from None
        assert isinstance(account, Account)
        return account


def _itself(account: Account) -> object:
    return account


def _nothing() -> None:
    """Logging out leaves nothing to do."""


def _text(octets: object) -> str:
    return octets.decode(errors="replace") if isinstance(octets, bytes) else str(octets)

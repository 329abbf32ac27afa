"""What a login is judged by: the account a name means, what a guess is compared with, and memory.

Deliberately without waiting or threads: `net.portal` brings both.

Invariants:

1. A name that means nobody costs what a real one costs: it is compared with a
   hash of the same parameters, and gets SCRAM keys that are made up, but the
   same each time, also after a restart.
2. What is remembered of a password is a keyed hash; the key is made at the
   start and kept in memory only.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import MIN_ITERATIONS, SALT_OCTETS, Cost, secret, verify
from mailhub.accounts.record import AccountsError, Credentials
from mailhub.accounts.throttle import Limits as Throttle
from mailhub.mail.address import Path, parse_address
from mailhub.mail.reply import Refusal
from mailhub.ports.accounts import Account, ScramKeys
from mailhub.sasl.prep import prepared

NAME_LIMIT = 320
"""Characters of a user name: a local part, an at sign and a domain."""


@dataclass(frozen=True, slots=True)
class Memory:
    """How long logins are remembered.

    Attributes:
        seconds: For which a password that was right needs no hashing; 0 for never.
        entries: Passwords remembered.
    """

    seconds: float = 900.0
    entries: int = 10_000


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """How logins are checked; `net.portal` obeys it.

    Attributes:
        hashing: Passwords hashed at the same time.
        waiting: Logins that may wait for their turn; more are refused as unavailable.
        default_domain: Taken where a user name has none; empty for no such names.
    """

    hashing: int = 2
    waiting: int = 200
    default_domain: str = ""
    memory: Memory = field(default_factory=Memory)
    throttle: Throttle = field(default_factory=Throttle)
    cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True, slots=True)
class Claim:
    """A user name, looked up.

    Attributes:
        key: What failures are counted under, whether the account exists or not.
    """

    key: str
    credentials: Credentials | None

    @property
    def account(self) -> Account | None:
        """The account that may log in by this name; None for unknown and for disabled."""
        if self.credentials is None or not self.credentials.account.enabled:
            return None
        return self.credentials.account


class Register:
    """Looks up names, and makes up what unknown ones need.

    Args:
        default_domain: Taken where a name has none; empty for no such names. May be replaced.
        cost: Of the hash that unknown names are compared with.
        entropy: Gives so many unpredictable octets.
    """

    def __init__(
        self,
        accounts: Accounts,
        cost: Cost,
        entropy: Callable[[int], bytes],
        default_domain: str = "",
    ) -> None:
        self._accounts = accounts
        self._entropy = entropy
        self.default_domain = default_domain
        self._pepper = accounts.pepper()
        self.cost = cost

    @property
    def cost(self) -> Cost:
        """What an unknown name costs. To change it takes as long as a login."""
        return self._cost

    @cost.setter
    def cost(self, cost: Cost) -> None:
        self._cost = cost
        self._nobody = secret(self._entropy(SALT_OCTETS).hex(), cost, self._entropy).hash

    def claim(self, username: str) -> Claim:
        """Whom a user name means.

        Raises:
            OSError: The database failed.
        """
        path = self._path(username)
        if path is None:
            return Claim(username[:NAME_LIMIT].casefold(), None)
        return Claim(path.key, self._accounts.credentials(path))

    def matches(self, claim: Claim, password: str) -> bool:
        """Whether the password opens the account. Slow, whatever the answer."""
        known = claim.credentials is not None
        kept = claim.credentials.secret.hash if claim.credentials is not None else self._nobody
        return verify(kept, password) and known

    def scram_keys(self, claim: Claim) -> ScramKeys:
        """The keys for a name, made up where it means nobody."""
        if claim.credentials is not None:
            return claim.credentials.secret.scram
        made = [
            hmac.digest(
                self._pepper, f"{what} {claim.key}".encode(errors="surrogatepass"), "sha256"
            )
            for what in ("salt", "stored", "server")
        ]
        iterations = max(self._cost.iterations, MIN_ITERATIONS)
        return ScramKeys(made[0][:SALT_OCTETS], iterations, made[1], made[2])

    def _path(self, username: str) -> Path | None:
        if len(username) > NAME_LIMIT:
            return None
        try:
            name = prepared(username)
            if "@" not in name and self.default_domain:
                name = f"{name}@{self.default_domain}"
            return parse_address(name)
        except (ValueError, Refusal):
            return None


class Recent:
    """Remembers which passwords were right a short while ago.

    Args:
        key: Of the keyed hash; unpredictable, made at the start.

    Attributes:
        memory: May be replaced.
    """

    def __init__(self, key: bytes, memory: Memory | None = None) -> None:
        self._key = key
        self.memory = memory or Memory()
        self._known: OrderedDict[bytes, float] = OrderedDict()

    def mark(self, claim: Claim, password: str) -> bytes:
        """What stands for this password of this account; another one once it was changed."""
        kept = claim.credentials
        identity = f"{kept.account.id}.{kept.version}" if kept is not None else ""
        text = f"{identity}\0{len(claim.key)}\0{claim.key}\0{password}"
        return hmac.digest(self._key, text.encode(errors="surrogatepass"), "sha256")

    def knows(self, mark: bytes, now: float) -> bool:
        """Whether that password was right within `Memory.seconds`."""
        since = self._known.get(mark)
        return since is not None and 0 <= now - since < self.memory.seconds

    def add(self, mark: bytes, now: float) -> None:
        """Remember a password that was found right."""
        self._known[mark] = now
        self._known.move_to_end(mark)
        while len(self._known) > self.memory.entries:
            self._known.popitem(last=False)


def refresh(
    database: str,
    credentials: Credentials,
    password: str,
    cost: Cost,
    entropy: Callable[[int], bytes],
) -> bool:
    """Hash a password anew, as it costs now; for a thread of its own. Whether it was kept."""
    try:
        with Accounts(database) as accounts:
            accounts.refresh_secret(credentials, secret(password, cost, entropy))
    except (AccountsError, ValueError):
        return False  # the old hash is as good a password check as before
    return True

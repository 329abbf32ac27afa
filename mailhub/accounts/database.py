"""Domains, accounts and aliases in one SQLite database: the hub reads it, operators change it.

Reads are made inline (a few microseconds); what was read is kept until
``PRAGMA data_version`` says that another process, such as the command line, has
committed something. Changes block, are durable when they return, and are
checked: each mistake is an `AccountsError` with one line for a person.

Invariants:

1. All SQL about accounts is here; `schema` makes the tables.
2. Names are unique by `Path.key`; no address is an account and an alias at once.
3. Each account and alias is in a domain that exists; no alias leads to itself,
   and none inside a hosted domain leads to nowhere when it is made.
4. A maildir belongs to one account for ever: the directory of a deleted one is
   not given to another.

When the world fails: reads raise `OSError`; changes raise `AccountsError`
and leave everything as it was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

from mailhub.accounts.groups import Groups, account_of
from mailhub.accounts.password import Secret
from mailhub.accounts.record import AccountsError, Alias, Credentials, Domain, shown
from mailhub.mail.address import Path, parse_address, to_unicode
from mailhub.mail.reply import Refusal
from mailhub.policy.alias import AliasLoop, Rules, expand_all
from mailhub.ports.accounts import Account, AccountId, Quota, ScramKeys

T = TypeVar("T")

_ONE_ACCOUNT: Final = """
SELECT id, local, domain, maildir, quota_octets, quota_messages, quota_mailboxes, enabled, admin,
    version, hash, salt, iterations, stored_key, server_key
FROM account WHERE key = ?
"""
_ALL_ACCOUNTS: Final = """
SELECT id, local, domain, maildir, quota_octets, quota_messages, quota_mailboxes, enabled, admin
FROM account WHERE ?1 IS NULL OR domain = ?1 ORDER BY domain, key
"""
_ADD_ACCOUNT: Final = """
INSERT INTO account (key, local, domain, maildir, quota_octets, quota_messages, quota_mailboxes,
    hash, salt, iterations, stored_key, server_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SET_QUOTA: Final = """
UPDATE account SET quota_octets = ?, quota_messages = ?, quota_mailboxes = ? WHERE key = ?
"""
_SET_HASHES: Final = """
UPDATE account
SET hash = ?, salt = ?, iterations = ?, stored_key = ?, server_key = ?, version = version + 1
WHERE key = ?
"""
_REFRESH_HASHES: Final = """
UPDATE account
SET hash = ?, salt = ?, iterations = ?, stored_key = ?, server_key = ?
WHERE id = ? AND version = ?
"""


class Accounts(Groups):
    """The database; implements `ports.accounts.Directory`.

    Args:
        rules: How aliases will be expanded; may be replaced.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rules: Rules | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(path, entropy, clock)
        self.rules = rules or Rules()

    # ---- Reading: Directory ----------------------------------------------------------

    async def hosted(self, domain: str) -> bool:
        """Whether mail for this domain ends here."""
        found: bool = self._read("hosted", domain, self._hosted)
        return found

    async def account(self, path: Path) -> Account | None:
        """The account with exactly this address, enabled or not."""
        found = self._credentials(path.key)
        return None if found is None else found.account

    async def alias(self, path: Path) -> tuple[Path, ...] | None:
        """What an alias stands for; None if there is no such alias."""
        found: tuple[Path, ...] = self._read("alias", path.key, self._targets)
        return found or None

    async def catch_all(self, domain: str) -> tuple[Path, ...] | None:
        """Where mail for unknown local parts of a hosted domain goes; None for nowhere."""
        return await self.alias(Path("", domain))

    async def postmaster(self, domain: str) -> Path | None:
        """Who gets postmaster@ and abuse@; ``postmaster`` at the first domain for ``""``.

        Where the one who was named is gone or disabled, or nobody was, it is
        the first account of the domain, then the first of all.
        """
        found: Path | None = self._read("postmaster", domain, self._postmaster)
        return found

    def credentials(self, path: Path) -> Credentials | None:
        """What a login as this address is checked against, enabled or not."""
        return self._credentials(path.key)

    def by_id(self, number: AccountId) -> Account | None:
        """The account with this id; None once it was deleted."""
        found: Account | None = self._read("id", str(number), self._numbered)
        return found

    def pepper(self) -> bytes:
        """A secret of this database: the same for its life."""
        [(value,)] = self._db.execute("SELECT value FROM pepper")
        return bytes(value)

    # ---- Listing ---------------------------------------------------------------------------

    def domains(self) -> list[Domain]:
        """All domains, in order of names."""
        rows = self._db.execute("SELECT name, enabled, postmaster FROM domain ORDER BY name")
        return [
            Domain(name, bool(enabled), _optional(postmaster), self._targets(f"@{name}"))
            for name, enabled, postmaster in rows.fetchall()
        ]

    def accounts(self, domain: str | None = None) -> list[Account]:
        """All accounts, or a domain's, in order of addresses."""
        return [account_of(row) for row in self._db.execute(_ALL_ACCOUNTS, (domain,))]

    def aliases(self, domain: str | None = None) -> list[Alias]:
        """All aliases, or a domain's, without catch-alls, in order of addresses."""
        rows = self._db.execute(
            "SELECT local, domain, target FROM alias"
            " WHERE local != '' AND (?1 IS NULL OR domain = ?1) ORDER BY domain, key, id",
            (domain,),
        )
        found: dict[Path, list[Path]] = {}
        for local, name, target in rows:
            found.setdefault(Path(local, name), []).append(parse_address(target))
        return [Alias(path, tuple(targets)) for path, targets in found.items()]

    # ---- Changing domains ------------------------------------------------------------------

    def add_domain(self, name: str, postmaster: Path | None = None) -> None:
        """Host a domain (an A-label, as `domain_name` makes it)."""
        with self._change():
            if self._hosts(name):
                raise AccountsError(f"{to_unicode(name)} is hosted here already")
            self._db.execute("INSERT INTO domain (name) VALUES (?)", (name,))
            if postmaster is not None:
                self._name_postmaster(name, postmaster)

    def remove_domain(self, name: str) -> None:
        """Host a domain no more; it must have no accounts and no aliases."""
        with self._change():
            self._must_host(name)
            accounts = self._one("SELECT count(*) FROM account WHERE domain = ?", name)
            aliases = self._one("SELECT count(*) FROM alias WHERE domain = ?", name)
            if accounts or aliases:
                held = f"{accounts} accounts, {aliases} aliases"
                raise AccountsError(f"{to_unicode(name)} is in use ({held})")
            self._db.execute("DELETE FROM domain WHERE name = ?", (name,))

    def enable_domain(self, name: str, enabled: bool) -> None:
        """Take mail for a domain, or treat it as foreign."""
        with self._change():
            self._must_host(name)
            self._db.execute("UPDATE domain SET enabled = ? WHERE name = ?", (enabled, name))

    def set_postmaster(self, domain: str, postmaster: Path | None) -> None:
        """Name who gets postmaster@ and abuse@; None for the first account."""
        with self._change():
            self._must_host(domain)
            self._name_postmaster(domain, postmaster)

    def set_catch_all(self, domain: str, targets: Sequence[Path]) -> None:
        """Name who gets mail for unknown local parts; nobody if `targets` is empty."""
        everyone = Path("", domain)
        with self._change():
            self._must_host(domain)
            self._db.execute("DELETE FROM alias WHERE key = ?", (everyone.key,))
            self._point(everyone, targets)

    # ---- Changing accounts -----------------------------------------------------------------

    def add_account(self, path: Path, secret: Secret, quota: Quota | None = None) -> Account:
        """Make an account in a hosted domain."""
        quota = quota or Quota()
        with self._change():
            self._must_be_free(path)
            whose = (path.key, path.local, path.domain, self._maildir(path))
            limits = (quota.octets, quota.messages, quota.mailboxes)
            self._db.execute(_ADD_ACCOUNT, (*whose, *limits, *_secret_row(secret)))
        return self._must_exist(path)

    def delete_account(self, path: Path) -> Account:
        """Delete an account; its maildir stays, and is not given to another."""
        with self._change():
            account = self._must_exist(path)
            for alias in self._pointing_at(path):
                raise AccountsError(f"{shown(alias)} still delivers to {path.shown}")
            self._db.execute("INSERT OR IGNORE INTO retired VALUES (?)", (account.maildir,))
            self._db.execute("DELETE FROM account WHERE key = ?", (path.key,))
            self._dismiss_postmaster(path)
        return account

    def enable_account(self, path: Path, enabled: bool) -> None:
        """Let an account log in and get mail, or neither."""
        self._update("UPDATE account SET enabled = ? WHERE key = ?", path, enabled)

    def set_quota(self, path: Path, quota: Quota) -> None:
        """Limit what an account may hold."""
        self._update(_SET_QUOTA, path, quota.octets, quota.messages, quota.mailboxes)

    def set_admin(self, path: Path, admin: bool) -> None:
        """Let an account do over IMAP what is the operator's to do, or no more."""
        self._update("UPDATE account SET admin = ? WHERE key = ?", path, admin)

    def set_secret(self, path: Path, secret: Secret) -> None:
        """Give an account another password: sessions stay, logins remembered do not."""
        self._update(_SET_HASHES, path, *_secret_row(secret))

    def refresh_secret(self, credentials: Credentials, secret: Secret) -> None:
        """Keep the same password in another form, unless it was changed meanwhile."""
        unchanged = (credentials.account.id, credentials.version)
        with self._change():
            self._db.execute(_REFRESH_HASHES, (*_secret_row(secret), *unchanged))

    # ---- Changing aliases ------------------------------------------------------------------

    def add_alias(self, path: Path, targets: Sequence[Path]) -> None:
        """Make an alias, or give it more targets."""
        with self._change():
            if not self._targets(path.key):
                self._must_be_free(path)
            if not targets:
                raise AccountsError(f"{path.shown} stands for nothing")
            self._point(path, targets)

    def remove_alias(self, path: Path, targets: Sequence[Path] = ()) -> None:
        """Remove an alias, or some of its targets."""
        with self._change():
            held = self._targets(path.key)
            if not held:
                raise AccountsError(f"{path.shown} is not an alias")
            for target in targets or held:
                where = (path.key, target.key)
                gone = self._db.execute("DELETE FROM alias WHERE key = ? AND target_key = ?", where)
                if not gone.rowcount:
                    raise AccountsError(f"{path.shown} does not stand for {target.shown}")
            if not self._targets(path.key):
                for alias in self._pointing_at(path):
                    raise AccountsError(f"{shown(alias)} still delivers to {path.shown}")
                self._dismiss_postmaster(path)

    # ---- Inside ----------------------------------------------------------------------------

    def _hosted(self, domain: str) -> bool:
        return bool(self._one("SELECT enabled FROM domain WHERE name = ?", domain))

    def _credentials(self, key: str) -> Credentials | None:
        found: Credentials | None = self._read("account", key, self._stored)
        return found

    def _stored(self, key: str) -> Credentials | None:
        row = self._db.execute(_ONE_ACCOUNT, (key,)).fetchone()
        if row is None:
            return None
        version, kept, salt, iterations, stored_key, server_key = row[9:]
        keys = ScramKeys(salt, iterations, stored_key, server_key)
        return Credentials(account_of(row), version, Secret(kept, keys))

    def _numbered(self, number: str) -> Account | None:
        key = self._one("SELECT key FROM account WHERE id = ?", int(number))
        stored = None if key is None else self._stored(key)
        return None if stored is None else stored.account

    def _targets(self, key: str) -> tuple[Path, ...]:
        rows = self._db.execute("SELECT target FROM alias WHERE key = ? ORDER BY id", (key,))
        return tuple(parse_address(target) for (target,) in rows)

    def _postmaster(self, domain: str) -> Path | None:
        if not domain:
            first = self._one("SELECT name FROM domain WHERE enabled ORDER BY id LIMIT 1")
            return None if first is None else Path("postmaster", first)
        named = _optional(self._one("SELECT postmaster FROM domain WHERE name = ?", domain))
        if named is not None:
            stored = self._stored(named.key)
            if stored is None or stored.account.enabled:
                return named
        row = self._db.execute(
            "SELECT local, domain FROM account WHERE enabled"
            " AND domain IN (SELECT name FROM domain WHERE enabled)"
            " ORDER BY domain != ?, id LIMIT 1",
            (domain,),
        ).fetchone()
        return None if row is None else Path(*row)

    def _hosts(self, name: str) -> bool:
        return self._one("SELECT 1 FROM domain WHERE name = ?", name) is not None

    def _must_host(self, name: str) -> None:
        if not self._hosts(name):
            raise AccountsError(f"{to_unicode(name)} is not hosted here")

    def _must_exist(self, path: Path) -> Account:
        stored = self._stored(path.key)
        if stored is None:
            raise AccountsError(f"there is no account {path.shown}")
        return stored.account

    def _must_be_free(self, path: Path) -> None:
        self._must_host(path.domain)
        if self._stored(path.key) is not None:
            raise AccountsError(f"{path.shown} is an account already")
        if self._targets(path.key):
            raise AccountsError(f"{path.shown} is an alias already")

    def _update(self, sql: str, path: Path, *values: object) -> None:
        with self._change():
            self._must_exist(path)
            self._db.execute(sql, (*values, path.key))

    def _name_postmaster(self, domain: str, postmaster: Path | None) -> None:
        self._db.execute(
            "UPDATE domain SET postmaster = ? WHERE name = ?",
            (None if postmaster is None else str(postmaster), domain),
        )
        self._cache.clear()
        if postmaster is not None:
            self._must_lead_somewhere(postmaster, (Path("postmaster", domain),))

    def _dismiss_postmaster(self, path: Path) -> None:
        """Name nobody where `path`, which is going, was postmaster."""
        named = self._db.execute("SELECT id, postmaster FROM domain").fetchall()
        for row, postmaster in named:
            if postmaster is not None and parse_address(postmaster).key == path.key:
                self._db.execute("UPDATE domain SET postmaster = NULL WHERE id = ?", (row,))

    def _point(self, alias: Path, targets: Sequence[Path]) -> None:
        """Add targets to an alias or catch-all, each of which must lead somewhere else."""
        self._db.executemany(
            "INSERT OR IGNORE INTO alias (key, local, domain, target_key, target)"
            " VALUES (?, ?, ?, ?, ?)",
            [(alias.key, alias.local, alias.domain, to.key, str(to)) for to in targets],
        )
        self._cache.clear()
        for target in targets:
            self._must_lead_somewhere(target, (alias,))

    def _must_lead_somewhere(self, target: Path, trail: tuple[Path, ...]) -> None:
        try:
            expansion = at_once(expand_all((target,), self, self.rules, trail))
        except AliasLoop as loop:
            raise _loop(loop) from None
        except Refusal as refusal:
            raise AccountsError(f"{target.shown}: {refusal.reply.lines[0]}") from None
        for _, why in expansion.refused:
            if isinstance(why, AliasLoop):
                raise _loop(why)

    def _pointing_at(self, path: Path) -> list[Path]:
        """The aliases and catch-alls with `path`, or a subaddress of it, among their targets."""
        separator = self.rules.separator
        rows = self._db.execute(
            "SELECT DISTINCT local, domain, target FROM alias WHERE target_key = ?1"
            " OR (?2 != '' AND target_key LIKE '%' || ?2 || '%@' || ?3)",
            (path.key, separator, path.domain),
        )
        return [
            Path(local, domain)
            for local, domain, target in rows
            if _without(parse_address(target), separator, path).key == path.key
        ]

    def _maildir(self, path: Path) -> str:
        """A directory that no account has, or had (`quote` leaves no way out of its parent)."""
        local = path.key.rpartition("@")[0]
        name = quote(local, safe="+=")
        if name.startswith("."):
            name = "%2E" + name[1:]
        name = name.replace("~", "%7E")
        base = maildir = f"mail/{path.domain}/{name}"
        number = 1
        while self._one(
            "SELECT 1 FROM retired WHERE maildir = ?1"
            " UNION ALL SELECT 1 FROM account WHERE maildir = ?1",
            maildir,
        ):
            number += 1
            maildir = f"{base}~{number}"
        return maildir


def _secret_row(secret: Secret) -> tuple[object, ...]:
    keys = secret.scram
    return secret.hash, keys.salt, keys.iterations, keys.stored_key, keys.server_key


def _optional(text: str | None) -> Path | None:
    return None if text is None else parse_address(text)


def _without(target: Path, separator: str, path: Path) -> Path:
    """`target` without its subaddress, unless it is `path` as it stands."""
    if not separator or target.key == path.key:
        return target
    return Path(target.local.partition(separator)[0], target.domain)


def _loop(loop: AliasLoop) -> AccountsError:
    return AccountsError("alias loop: " + " -> ".join(shown(path) for path in loop.trail))


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing: of policies over this directory."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("the directory waits")  # pragma: no cover

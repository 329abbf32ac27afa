"""The accounts database: what it refuses and answers, and that changes elsewhere show."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path as FilePath

import pytest

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import Secret
from mailhub.accounts.record import AccountsError, Alias, address, domain_name
from mailhub.mail.address import Path
from mailhub.policy.alias import Rules, expand
from mailhub.ports.accounts import Quota, ScramKeys
from tests.rig import run

SECRET = Secret("$argon2id$…", ScramKeys(b"salt", 4096, b"stored", b"server"))
OTHER = Secret("$argon2id$other", ScramKeys(b"pepper", 8192, b"s2", b"s3"))

ALICE = address("alice@hub.example")
BOB = address("bob@hub.example")
TEAM = address("team@hub.example")
ABROAD = address("carol@elsewhere.example")


@pytest.fixture
def file(tmp_path: FilePath) -> FilePath:
    return tmp_path / "accounts.db"


@pytest.fixture
def accounts(file: FilePath) -> Iterator[Accounts]:
    with Accounts(file, clock=count().__next__) as database:
        database.add_domain("hub.example")
        database.add_account(ALICE, SECRET)
        database.add_account(BOB, SECRET, Quota(1000, 10))
        yield database


class TestFile:
    def test_private(self, accounts: Accounts, file: FilePath) -> None:
        """Hashes are for nobody else to read, in the side files neither."""
        for name in ("", "-wal", "-shm"):
            found = file.with_name(file.name + name)
            assert stat.S_IMODE(found.stat().st_mode) == 0o600

    def test_lasts(self, accounts: Accounts, file: FilePath) -> None:
        """What was committed is there for the next one who opens it; the pepper is the same."""
        with Accounts(file) as other:
            assert other.accounts() == accounts.accounts()
            assert other.pepper() == accounts.pepper() != b""

    def test_newer(self, file: FilePath) -> None:
        """A file of a newer version is not touched."""
        with sqlite3.connect(file) as db:
            db.execute("PRAGMA user_version = 99")
        with pytest.raises(AccountsError, match="newer mailhub"):
            Accounts(file)

    def test_no_database(self, file: FilePath) -> None:
        """A file that is none is named in the error."""
        file.write_bytes(b"not a database, but long enough to be one" * 100)
        with pytest.raises(AccountsError, match=r"accounts\.db: .*not a database"):
            Accounts(file)

    def test_no_directory(self, tmp_path: FilePath) -> None:
        """So is a place where there can be no file."""
        with pytest.raises(AccountsError, match=r"nowhere.*No such file"):
            Accounts(tmp_path / "nowhere" / "accounts.db")

    def test_half_made(self, file: FilePath) -> None:
        """A start that failed amid making the tables leaves none of them."""

        def dry(_: int) -> bytes:
            raise RuntimeError("no entropy")

        with pytest.raises(RuntimeError):
            Accounts(file, entropy=dry)
        with Accounts(file) as database:
            assert database.domains() == []

    def test_locked(self, accounts: Accounts, file: FilePath) -> None:
        """A fault of the database amid a change is one line, and nothing stays of it."""
        accounts._db.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AccountsError, match="locked"):
            accounts.add_domain("second.example")
        other.execute("ROLLBACK")
        other.close()
        accounts.add_domain("second.example")


class TestLookups:
    def test_account(self, accounts: Accounts) -> None:
        """The local part is compared without regard to case, and shown as it was created."""
        found = run(accounts.account(address("ALICE@HUB.Example.")))
        assert found is not None
        assert found.path == ALICE
        assert found.maildir == "mail/hub.example/alice"
        assert run(accounts.account(TEAM)) is None

    def test_by_id(self, accounts: Accounts) -> None:
        """What the queue remembers of an account is its id; a deleted one's is nobody's again."""
        found = run(accounts.account(BOB))
        assert found is not None
        assert accounts.by_id(found.id) == found
        accounts.delete_account(BOB)
        assert accounts.by_id(found.id) is None
        assert accounts.add_account(BOB, SECRET).id != found.id

    def test_quota(self, accounts: Accounts) -> None:
        """Quotas are kept, and can be changed."""
        accounts.set_quota(BOB, Quota(5, 6))
        found = run(accounts.account(BOB))
        assert found is not None
        assert found.quota == Quota(5, 6)

    def test_hosted(self, accounts: Accounts) -> None:
        """A disabled domain is a foreign one."""
        assert run(accounts.hosted("hub.example"))
        assert not run(accounts.hosted("elsewhere.example"))
        accounts.enable_domain("hub.example", False)
        assert not run(accounts.hosted("hub.example"))

    def test_alias(self, accounts: Accounts) -> None:
        """An alias stands for several, here and elsewhere, in the order they were given."""
        accounts.add_alias(TEAM, (BOB, ABROAD))
        accounts.add_alias(TEAM, (ALICE, BOB))
        assert run(accounts.alias(address("Team@hub.example"))) == (BOB, ABROAD, ALICE)
        assert run(accounts.alias(ALICE)) is None
        assert accounts.aliases() == [Alias(TEAM, (BOB, ABROAD, ALICE))]
        assert accounts.aliases("other.example") == []

    def test_catch_all(self, accounts: Accounts) -> None:
        """A catch-all belongs to its domain, and is no alias among the others."""
        assert run(accounts.catch_all("hub.example")) is None
        accounts.set_catch_all("hub.example", (BOB,))
        accounts.set_catch_all("hub.example", (ALICE,))
        assert run(accounts.catch_all("hub.example")) == (ALICE,)
        assert accounts.aliases() == []
        assert accounts.domains()[0].catch_all == (ALICE,)
        accounts.set_catch_all("hub.example", ())
        assert run(accounts.catch_all("hub.example")) is None

    def test_credentials(self, accounts: Accounts) -> None:
        """Another password is another version; the same one hashed anew is not."""
        first = accounts.credentials(ALICE)
        assert first is not None
        assert first.secret == SECRET
        accounts.refresh_secret(first, OTHER)
        second = accounts.credentials(ALICE)
        assert second is not None
        assert (second.secret, second.version) == (OTHER, first.version)
        accounts.set_secret(ALICE, SECRET)
        accounts.refresh_secret(second, OTHER)
        third = accounts.credentials(ALICE)
        assert third is not None
        assert third.secret == SECRET
        assert third.version != first.version
        assert accounts.credentials(TEAM) is None

    def test_other_process(self, accounts: Accounts, file: FilePath) -> None:
        """What another process commits shows at the next question, cached or not."""
        assert run(accounts.account(TEAM)) is None
        assert run(accounts.hosted("new.example")) is False
        with Accounts(file) as other:
            other.add_account(TEAM, SECRET)
            other.add_domain("new.example")
            other.enable_account(ALICE, False)
        assert run(accounts.account(TEAM)) is not None
        assert run(accounts.hosted("new.example")) is True
        found = run(accounts.account(ALICE))
        assert found is not None
        assert not found.enabled

    def test_asked_again_after_a_moment(self, file: FilePath) -> None:
        """For two milliseconds an answer is not asked for again, and no longer."""
        now = 10.0
        with Accounts(file, clock=lambda: now) as ours, Accounts(file) as other:
            assert run(ours.hosted("new.example")) is False
            other.add_domain("new.example")
            assert run(ours.hosted("new.example")) is False
            now += 0.0021
            assert run(ours.hosted("new.example")) is True

    def test_unreadable(self, accounts: Accounts) -> None:
        """A database that cannot be read is an I/O error like any other."""
        accounts._db.execute("DROP TABLE alias")
        with pytest.raises(OSError, match="no such table"):
            run(accounts.alias(TEAM))

    def test_bounded(self, accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
        """Guessing addresses does not fill the memory."""
        monkeypatch.setattr("mailhub.accounts.base.CACHE_ENTRIES", 10)
        for number in range(100):
            run(accounts.account(Path(f"nobody{number}", "hub.example")))
        assert len(accounts._cache) <= 12


class TestPostmaster:
    def test_first_account(self, accounts: Accounts) -> None:
        """Where nobody is named it is the domain's first account, then the first of all."""
        accounts.add_domain("second.example")
        assert run(accounts.postmaster("hub.example")) == ALICE
        assert run(accounts.postmaster("second.example")) == ALICE
        accounts.enable_account(ALICE, False)
        assert run(accounts.postmaster("hub.example")) == BOB

    def test_named(self, accounts: Accounts) -> None:
        """One who is named gets it, while enabled."""
        accounts.set_postmaster("hub.example", BOB)
        assert run(accounts.postmaster("hub.example")) == BOB
        accounts.enable_account(BOB, False)
        assert run(accounts.postmaster("hub.example")) == ALICE
        accounts.enable_account(BOB, True)
        accounts.delete_account(BOB)
        assert accounts.domains()[0].postmaster is None
        accounts.set_postmaster("hub.example", ABROAD)
        assert run(accounts.postmaster("hub.example")) == ABROAD
        accounts.set_postmaster("hub.example", None)
        assert run(accounts.postmaster("hub.example")) == ALICE

    def test_alias_that_goes(self, accounts: Accounts) -> None:
        """An alias may be named; when it goes, nobody is."""
        accounts.add_alias(TEAM, (BOB,))
        accounts.set_postmaster("hub.example", TEAM)
        assert run(accounts.postmaster("hub.example")) == TEAM
        accounts.remove_alias(TEAM)
        assert run(accounts.postmaster("hub.example")) == ALICE

    def test_without_domain(self, accounts: Accounts) -> None:
        """The bare postmaster is the first domain's (RFC 5321 §4.1.1.3)."""
        assert run(accounts.postmaster("")) == address("postmaster@hub.example")
        assert run(expand(Path("Postmaster", ""), accounts)).accounts[0].path == ALICE

    def test_nobody(self, file: FilePath) -> None:
        """An empty hub has none."""
        with Accounts(file) as empty:
            assert run(empty.postmaster("")) is None
            assert run(empty.postmaster("hub.example")) is None


def refused(text: str) -> pytest.RaisesExc[AccountsError]:
    """One line, with this in it."""
    return pytest.raises(AccountsError, match=f"^[^\n]*{text}[^\n]*$")


class TestMistakes:
    def test_domains(self, accounts: Accounts) -> None:
        """A domain is hosted once, and removed only when nothing is left in it."""
        with refused("hub.example is hosted here already"):
            accounts.add_domain("hub.example")
        with refused("hub.example is in use .2 accounts, 0 aliases"):
            accounts.remove_domain("hub.example")
        with refused("gone.example is not hosted here"):
            accounts.remove_domain("gone.example")
        with refused("gone.example is not hosted here"):
            accounts.enable_domain("gone.example", True)
        with refused("nobody@hub.example: No such mailbox"):
            accounts.set_postmaster("hub.example", address("nobody@hub.example"))
        accounts.add_domain("second.example", BOB)
        accounts.remove_domain("second.example")
        assert [domain.name for domain in accounts.domains()] == ["hub.example"]

    def test_domain_with_bad_postmaster(self, accounts: Accounts) -> None:
        """A domain whose postmaster does not exist is not made at all."""
        with refused("nobody@hub.example: No such mailbox"):
            accounts.add_domain("second.example", address("nobody@hub.example"))
        assert len(accounts.domains()) == 1

    def test_accounts(self, accounts: Accounts) -> None:
        """An address is one thing: an account or an alias, once, in a hosted domain."""
        accounts.add_alias(TEAM, (ALICE,))
        for path, text in (
            (address("ALICE@hub.example"), "ALICE@hub.example is an account already"),
            (TEAM, "team@hub.example is an alias already"),
            (ABROAD, "elsewhere.example is not hosted here"),
        ):
            with refused(text):
                accounts.add_account(path, SECRET)
        nobody = address("nobody@hub.example")
        with refused("there is no account nobody@hub.example"):
            accounts.delete_account(nobody)
        with refused("there is no account nobody@hub.example"):
            accounts.set_secret(nobody, SECRET)

    def test_delete_with_alias(self, accounts: Accounts) -> None:
        """An account that an alias or a catch-all delivers to stays, subaddress or not."""
        accounts.add_alias(TEAM, (address("alice+team@hub.example"), BOB))
        accounts.set_catch_all("hub.example", (BOB,))
        with refused("team@hub.example still delivers to alice@hub.example"):
            accounts.delete_account(ALICE)
        accounts.remove_alias(TEAM)
        with refused("the catch-all of hub.example still delivers to bob@hub.example"):
            accounts.delete_account(BOB)
        accounts.delete_account(ALICE)
        assert run(accounts.account(ALICE)) is None

    def test_plus_is_no_subaddress(self, file: FilePath) -> None:
        """Without a separator ``a+b`` is a name like any other."""
        with Accounts(file, Rules(separator="")) as database:
            database.add_domain("hub.example")
            database.add_account(ALICE, SECRET)
            database.add_account(address("alice+x@hub.example"), SECRET)
            database.add_alias(TEAM, (address("alice+x@hub.example"),))
            database.delete_account(ALICE)

    def test_aliases(self, accounts: Accounts) -> None:
        """An alias needs targets that exist, and a name that is free."""
        with refused("alice@hub.example is an account already"):
            accounts.add_alias(ALICE, (BOB,))
        with refused("team@hub.example stands for nothing"):
            accounts.add_alias(TEAM, ())
        with refused("nobody@hub.example: No such mailbox"):
            accounts.add_alias(TEAM, (BOB, address("nobody@hub.example")))
        assert accounts.aliases() == []
        with refused("team@hub.example is not an alias"):
            accounts.remove_alias(TEAM)
        accounts.add_alias(TEAM, (ALICE, BOB))
        with refused("team@hub.example does not stand for carol@elsewhere.example"):
            accounts.remove_alias(TEAM, (ALICE, ABROAD))
        accounts.remove_alias(TEAM, (ALICE,))
        assert accounts.aliases() == [Alias(TEAM, (BOB,))]

    def test_alias_in_use(self, accounts: Accounts) -> None:
        """An alias behind another one stays until nothing leads to it."""
        everyone = address("everyone@hub.example")
        accounts.add_alias(TEAM, (ALICE, BOB))
        accounts.add_alias(everyone, (TEAM,))
        with refused("everyone@hub.example still delivers to team@hub.example"):
            accounts.remove_alias(TEAM)
        accounts.remove_alias(TEAM, (BOB,))
        assert accounts.aliases("hub.example") == [Alias(everyone, (TEAM,)), Alias(TEAM, (ALICE,))]

    def test_loops(self, accounts: Accounts) -> None:
        """A loop is named, all the way round, also one beside targets that would do."""
        a, b, c = (address(f"{name}@hub.example") for name in "abc")
        accounts.add_alias(a, (ALICE,))
        accounts.add_alias(b, (a,))
        accounts.add_alias(c, (b, BOB))
        with refused(
            "alias loop: a@hub.example -> c@hub.example -> b@hub.example -> a@hub.example"
        ):
            accounts.add_alias(a, (c,))
        with refused("alias loop: team@hub.example -> team@hub.example"):
            accounts.add_alias(TEAM, (TEAM,))
        assert run(accounts.alias(a)) == (ALICE,)

    def test_catch_all_loop(self, accounts: Accounts) -> None:
        """A catch-all that points at an unknown name points at itself."""
        with refused("alias loop: the catch-all of hub.example"):
            accounts.set_catch_all("hub.example", (address("nobody@hub.example"),))

    def test_postmaster_loop(self, accounts: Accounts) -> None:
        """A postmaster who is an alias for postmaster is none."""
        with refused("alias loop: postmaster@hub.example"):
            accounts.set_postmaster("hub.example", address("postmaster@hub.example"))
        with refused("alias loop"):
            accounts.set_postmaster("hub.example", address("abuse@hub.example"))


class TestMaildirs:
    @pytest.mark.parametrize(
        ("text", "maildir"),
        [
            ("Alice.Smith+x@hub.example", "mail/hub.example/alice.smith+x"),
            ('".."@hub.example', "mail/hub.example/%2E."),
            ('"../../etc"@hub.example', "mail/hub.example/%2E.%2F..%2Fetc"),
            ('"a b/c"@hub.example', "mail/hub.example/a%20b%2Fc"),
            ("a~2@hub.example", "mail/hub.example/a%7E2"),
            ("пётр@hub.example", "mail/hub.example/%D0%BF%D1%91%D1%82%D1%80"),
        ],
    )
    def test_names(self, accounts: Accounts, text: str, maildir: str) -> None:
        """Whatever the local part, its directory is one level under its domain."""
        account = accounts.add_account(address(text), SECRET)
        assert account.maildir == maildir
        assert account.maildir.count("/") == 2

    def test_not_reused(self, accounts: Accounts) -> None:
        """Who gets a deleted person's address does not get the old mail."""
        for number in ("", "~2", "~3"):
            account = run(accounts.account(ALICE)) or accounts.add_account(ALICE, SECRET)
            assert account.maildir == f"mail/hub.example/alice{number}"
            assert accounts.delete_account(ALICE) == account


class TestSpelling:
    def test_idna(self, accounts: Accounts) -> None:
        """A-labels inside, U-labels where a person reads."""
        name = domain_name("Bücher.Example")
        accounts.add_domain(name)
        accounts.add_account(address("käthe@bücher.example"), SECRET)
        assert name == "xn--bcher-kva.example"
        assert [domain.shown for domain in accounts.domains()] == ["hub.example", "bücher.example"]
        [account] = accounts.accounts(name)
        assert account.path.shown == "käthe@bücher.example"
        with refused("bücher.example is in use"):
            accounts.remove_domain(name)

    @pytest.mark.parametrize("text", ["", "alice", "postmaster", "a@b@c..d", '""@hub.example'])
    def test_no_address(self, text: str) -> None:
        """What is no address is quoted in the error."""
        with refused("is not an address: "):
            address(text)

    @pytest.mark.parametrize("text", ["", "a b", "[192.0.2.1]", "-.example"])
    def test_no_domain(self, text: str) -> None:
        """Likewise for domains; address literals are not hosted."""
        with refused("is not a domain: "):
            domain_name(text)

r"""Mailboxes shared between accounts: names, rights, flags, quotas, and who hears of what."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path as FilePath

import pytest

from mailhub.mail.address import Path
from mailhub.mail.flag import FLAGGED
from mailhub.mail.rights import ALL
from mailhub.ports.accounts import Account, AccountId, Quota
from mailhub.ports.message import Appending, FlagAction, Uid
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store.reach import AccountReach, SharedReaches
from mailhub.store.sharing import Sharing
from tests.rig import run
from tests.store.world import TEXT
from tests.store.world import Hub as Mail

ANN, BOB, EVE = (
    Account(AccountId(number), Path(name, "hub.example"), f"mail/hub.example/{name}")
    for number, name in enumerate(("ann", "bob", "eve"), 1)
)
ANNS = "Other Users/ann@hub.example"
ONE, TWO = Uid(1), Uid(2)


class People:
    """Accounts in memory."""

    def __init__(self) -> None:
        self.accounts = {account.path.key: account for account in (ANN, BOB, EVE)}
        self.groups: dict[str, set[AccountId]] = {"team": {BOB.id}}
        self.shares: set[tuple[str, AccountId]] = set()

    def account(self, path: Path) -> Account | None:
        return self.accounts.get(path.key)

    def by_id(self, number: AccountId) -> Account | None:
        return next((it for it in self.accounts.values() if it.id == number), None)

    def groups_of(self, account: AccountId) -> frozenset[str]:
        return frozenset(name for name, members in self.groups.items() if account in members)

    def is_group(self, name: str) -> bool:
        return name in self.groups

    def sharers(self, identifiers: Iterable[str]) -> Sequence[Account]:
        wanted = set(identifiers)
        found = {owner for identifier, owner in self.shares if identifier in wanted}
        return [it for it in self.accounts.values() if it.id in found]

    def note_sharing(self, owner: AccountId, identifiers: Iterable[str]) -> None:
        self.shares |= {(identifier, owner) for identifier in identifiers}

    def set_quota(self, path: Path, quota: Quota) -> None:
        self.accounts[path.key] = replace(self.accounts[path.key], quota=quota)


class Hub:
    """Ann, Bob and Eve on one hub."""

    def __init__(self, root: FilePath) -> None:
        self.world = Mail(root)
        self.people = People()
        self.sharing = Sharing(
            self.world.stores, self.people, bytes(root), "Other Users", os.urandom
        )
        self.reaches = SharedReaches(self.sharing)
        self.ann, self.bob, self.eve = (self.reach(it) for it in (ANN, BOB, EVE))

    def reach(self, account: Account) -> AccountReach:
        return run(self.reaches.of(account))

    def append(self, reach: AccountReach, name: str, *flags: str) -> int:
        upload = run(reach.upload(len(TEXT), name))
        run(upload.write(TEXT))
        return run(reach.append(name, [Appending(upload, flags)])).uids[0]


@pytest.fixture
def hub(tmp_path: FilePath) -> Hub:
    return Hub(tmp_path)


def names(reach: AccountReach) -> list[str]:
    return [row.name for row in run(reach.list()) if row.name.startswith("Other")]


def fault(awaitable: object) -> StoreFault:
    with pytest.raises(StoreRefused) as caught:
        run(awaitable)  # type: ignore[arg-type]
    return caught.value.fault


class TestNames:
    def test_listed(self, hub: Hub) -> None:
        """Only what may be looked up is listed, the INBOX under its owner's address."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lr"))
        assert names(hub.bob) == [f"{ANNS}/Sent"]
        run(hub.ann.set_acl("INBOX", "$team", "l"))
        run(hub.ann.set_acl("Trash", "anyone", "r"))
        assert names(hub.bob) == [ANNS, f"{ANNS}/Sent"]
        assert names(hub.eve) == []
        run(hub.ann.delete_acl("Sent", "bob@hub.example"))
        assert names(hub.bob) == [ANNS]
        hub.people.groups["team"].clear()
        assert names(hub.bob) == []

    def test_nothing_is_learnt(self, hub: Hub) -> None:
        """Who may not look up hears of a mailbox that is there what he hears of any other."""
        tried = [f"{ANNS}/Sent", f"{ANNS}/Nowhere", "Other Users/none@hub.example", ANNS]
        tried += ["Other Users", "Other Users/", "Other Users/bob@hub.example", "Other Users/x"]
        for name in tried:
            for attempt in (
                hub.bob.open(name),
                hub.bob.status(name),
                hub.bob.delete(name),
                hub.bob.rename(name, f"{name}2"),
                hub.bob.create(f"{name}/New"),
                hub.bob.upload(1, name),
                hub.bob.rights(name),
                hub.bob.acl(name),
                hub.bob.set_acl(name, "bob@hub.example", "l"),
                hub.bob.delete_acl(name, "bob@hub.example"),
                hub.bob.metadata(name),
                hub.bob.set_metadata(name, {"/private/a": b"x"}),
                hub.bob.quota_root(name),
            ):
                with pytest.raises(StoreRefused) as caught:
                    run(attempt)
                told = (caught.value.fault, caught.value.text)
                expected = [(StoreFault.NONEXISTENT, "No such mailbox")]
                if name == "Other Users/":
                    expected.append((StoreFault.CANNOT, caught.value.text))
                assert told in expected, (name, attempt)

    def test_own_namespace_is_hidden(self, hub: Hub) -> None:
        """A mailbox of one's own cannot lie where others' do."""
        run(hub.world.stores.of(BOB))
        run(run(hub.world.stores.of(BOB)).create("Other Users/mine"))
        assert names(hub.bob) == []
        assert fault(hub.bob.open("Other Users/mine")) is StoreFault.NONEXISTENT

    def test_slash_in_address(self, hub: Hub) -> None:
        """An address is one level, whatever is in it."""
        odd = Account(AccountId(9), Path("a/b%", "hub.example"), "mail/hub.example/odd")
        hub.people.accounts[odd.path.key] = odd
        run(hub.reach(odd).set_acl("INBOX", "bob@hub.example", "lr"))
        [name] = names(hub.bob)
        assert name == "Other Users/a%2Fb%25@hub.example"
        run(run(hub.bob.open(name)).release())

    def test_subscriptions(self, hub: Hub) -> None:
        """A subscription is one's own, and outlives the right to look."""
        run(hub.ann.set_acl("INBOX", "bob@hub.example", "lr"))
        run(hub.bob.subscribe(ANNS))
        [row] = [row for row in run(hub.bob.list()) if row.name == ANNS]
        assert (row.subscribed, row.selectable) == (True, True)
        run(hub.ann.delete_acl("INBOX", "bob@hub.example"))
        [row] = [row for row in run(hub.bob.list()) if row.name == ANNS]
        assert (row.subscribed, row.selectable) == (True, False)
        run(hub.bob.unsubscribe(ANNS))
        assert names(hub.bob) == []

    def test_adopted(self, hub: Hub) -> None:
        """Lists that Dovecot left are found when their owner logs in."""
        (hub.world.root / "mail/hub.example/eve/dovecot-acl").write_text("user=bob lr\n")
        fresh = Hub(hub.world.root)
        assert names(fresh.bob) == ["Other Users/eve@hub.example"]


class TestRights:
    """Each right is asked for by what needs it, and no other does (RFC 4314 §4)."""

    @pytest.mark.parametrize(
        ("letter", "attempt"),
        [
            ("r", lambda reach, name: reach.open(name)),
            ("r", lambda reach, name: reach.status(name)),
            ("r", lambda reach, name: reach.quota_root(name)),
            ("i", lambda reach, name: reach.upload(3, name)),
            ("k", lambda reach, name: reach.create(f"{name}/New")),
            ("x", lambda reach, name: reach.delete(name)),
            ("a", lambda reach, name: reach.acl(name)),
            ("a", lambda reach, name: reach.owned(name)),
            ("a", lambda reach, name: reach.set_acl(name, "eve@hub.example", "l")),
            ("a", lambda reach, name: reach.delete_acl(name, "eve@hub.example")),
            ("w", lambda reach, name: reach.set_metadata(name, {"/shared/a": b"x"})),
        ],
    )
    def test_needed(self, hub: Hub, letter: str, attempt: object) -> None:
        call = attempt
        run(hub.ann.set_acl("Sent", "bob@hub.example", "".join(set(ALL) - {letter})))
        assert fault(call(hub.bob, f"{ANNS}/Sent")) is StoreFault.NO_PERMISSION  # type: ignore[operator]
        run(hub.ann.set_acl("Sent", "bob@hub.example", "l" + letter))
        run(call(hub.bob, f"{ANNS}/Sent"))  # type: ignore[operator]

    def test_rename(self, hub: Hub) -> None:
        """It takes x here and k above, and mailboxes stay with their owner."""
        run(hub.ann.create("A"))
        run(hub.ann.create("B"))
        run(hub.ann.set_acl("A", "bob@hub.example", "lx"))
        run(hub.ann.set_acl("B", "bob@hub.example", "l"))
        assert fault(hub.bob.rename(f"{ANNS}/A", f"{ANNS}/B/A")) is StoreFault.NO_PERMISSION
        run(hub.ann.set_acl("B", "bob@hub.example", "lk"))
        assert fault(hub.bob.rename(f"{ANNS}/A", "Mine")) is StoreFault.CANNOT
        assert fault(hub.bob.rename("Sent", f"{ANNS}/B/A")) is StoreFault.CANNOT
        run(hub.bob.rename(f"{ANNS}/A", f"{ANNS}/B/A"))
        assert "B/A" in [row.name for row in run(hub.ann.list())]

    def test_top_level(self, hub: Hub) -> None:
        """Above a top-level mailbox of another's stands the INBOX."""
        run(hub.ann.set_acl("INBOX", "bob@hub.example", "lrk"))
        run(hub.bob.create(f"{ANNS}/New"))
        assert run(hub.bob.rights(f"{ANNS}/New")) == "lrk"
        run(hub.ann.create("Own"))
        assert run(hub.ann.acl("Own")) == {"ann@hub.example": ALL}

    def test_inherited(self, hub: Hub) -> None:
        """A new mailbox has the list of the one above."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lrk"))
        run(hub.ann.create("Sent/2026/May"))
        assert run(hub.bob.rights(f"{ANNS}/Sent/2026/May")) == "lrk"

    def test_owner(self, hub: Hub) -> None:
        """An owner's own entry counts, but never locks the owner out."""
        run(hub.ann.set_acl("Sent", "ann@hub.example", "r"))
        assert run(hub.ann.rights("Sent")) == "lra"
        assert fault(hub.ann.upload(3, "Sent")) is StoreFault.NO_PERMISSION
        assert fault(hub.ann.delete("Sent")) is StoreFault.NO_PERMISSION
        mailbox = run(hub.ann.open("Sent"))
        assert mailbox.rights == "lra"
        run(hub.ann.delete_acl("Sent", "owner"))
        assert mailbox.rights == ALL
        run(mailbox.release())

    def test_acl_mistakes(self, hub: Hub) -> None:
        """An identifier that means nobody, and a right there is not, are refused."""
        for identifier in ("none@hub.example", "$none", "a b@", "none"):
            assert fault(hub.ann.set_acl("Sent", identifier, "l")) is StoreFault.CANNOT
        with pytest.raises(ValueError, match="z"):
            run(hub.ann.set_acl("Sent", "bob@hub.example", "z"))
        assert fault(hub.ann.acl("Nowhere")) is StoreFault.NONEXISTENT
        run(hub.ann.set_acl("Sent", "BOB", "l"))
        assert list(run(hub.ann.acl("Sent"))) == ["ann@hub.example", "bob@hub.example"]
        del hub.people.accounts["bob@hub.example"]
        run(hub.ann.delete_acl("Sent", "bob@hub.example"))
        assert list(run(hub.ann.acl("Sent"))) == ["ann@hub.example"]

    def test_restart(self, hub: Hub) -> None:
        """Lists are on the disk, nowhere else."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lr"))
        fresh = Hub(hub.world.root)
        assert run(fresh.bob.rights(f"{ANNS}/Sent")) == "lr"
        assert names(fresh.bob) == [f"{ANNS}/Sent"]


class TestOpen:
    def test_seen_together(self, hub: Hub) -> None:
        """Two accounts on one mailbox hear of each other's changes in the same turn."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lrswite"))
        hers, his = run(hub.ann.open("Sent")), run(hub.bob.open(f"{ANNS}/Sent"))
        heard: list[str] = []
        hers.watch(lambda: heard.append("ann"))
        his.watch(lambda: heard.append("bob"))
        hub.append(hub.ann, "Sent")
        assert heard == ["bob", "ann"]
        run(his.store([ONE], FlagAction.ADD, ["\\Flagged"]))
        assert hers.flags[0] == his.flags[0] == FLAGGED
        run(his.expunge([ONE]))
        assert list(hers.uids) == list(his.uids) == []
        assert heard == ["bob", "ann"] * 3

    def test_revoked(self, hub: Hub) -> None:
        """Who may not read any more is told at once."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lr"))
        his = run(hub.bob.open(f"{ANNS}/Sent"))
        heard: list[str] = []
        his.watch(lambda: heard.append(his.ended))
        assert his.ended == ""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "-r"))
        assert heard == ["You may not read this mailbox any more"]
        run(his.release())

    def test_revoked_elsewhere(self, hub: Hub) -> None:
        """So is who leaves a group, or loses the right by another program: at the next look."""
        run(hub.ann.set_acl("Sent", "$team", "lr"))
        his = run(hub.bob.open(f"{ANNS}/Sent"))
        heard: list[str] = []
        his.watch(lambda: heard.append(his.ended))
        run(hub.sharing.look())
        assert heard == []
        hub.people.groups["team"].clear()
        run(hub.sharing.look())
        assert heard == ["You may not read this mailbox any more"]

    def test_renamed(self, hub: Hub) -> None:
        """A visit follows a mailbox that its owner renames."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lr"))
        his = run(hub.bob.open(f"{ANNS}/Sent"))
        run(hub.ann.rename("Sent", "Gone/Out"))
        assert his.name == f"{ANNS}/Gone/Out"
        assert his.ended == ""

    def test_deleted(self, hub: Hub) -> None:
        """A visit of a mailbox that is deleted shows no messages any more."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lr"))
        hub.append(hub.ann, "Sent")
        his = run(hub.bob.open(f"{ANNS}/Sent"))
        run(hub.ann.delete("Sent"))
        assert list(his.uids) == []
        run(his.release())


class TestDropBox:
    def test_no_uids(self, hub: Hub) -> None:
        """Who may put messages into a mailbox, and not open it, hears no UIDs (RFC 4315 §3)."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "li"))
        target = f"{ANNS}/Sent"
        upload = run(hub.bob.upload(len(TEXT), target))
        run(upload.write(TEXT))
        assert run(hub.bob.append(target, [Appending(upload, ("\\Seen",))])).uids == ()
        for _ in range(2):
            hub.append(hub.bob, "INBOX")
        inbox = run(hub.bob.open("INBOX"))
        for placed in (run(inbox.copy([ONE], target)), run(inbox.move([TWO], target))):
            assert (placed.sources, placed.uids) == ((), ())
        assert list(inbox.uids) == [1]
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lri"))
        assert run(inbox.copy([ONE], target)).uids == (4,)

    def test_own(self, hub: Hub) -> None:
        """Whoever has taken the right to read from himself hears none either."""
        hub.append(hub.ann, "INBOX")
        run(hub.ann.set_acl("Sent", "ann@hub.example", "li"))
        inbox = run(hub.ann.open("INBOX"))
        assert run(inbox.copy([ONE], "Sent")).uids == ()

    def test_composed(self, hub: Hub) -> None:
        """A copy's target is found by its name in either form."""
        run(hub.ann.create("Gr\u00fcn"))
        hub.append(hub.ann, "INBOX")
        inbox = run(hub.ann.open("INBOX"))
        assert run(inbox.copy([ONE], "Gru\u0308n")).uids == (1,)


class TestQuota:
    def test_owner_pays(self, hub: Hub) -> None:
        """What is put into a shared mailbox counts for its owner."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lri"))
        hub.people.set_quota(ANN.path, Quota(octets=len(TEXT) + 5))
        hub.reach(hub.people.accounts["ann@hub.example"])
        hub.append(hub.bob, f"{ANNS}/Sent")
        assert fault(hub.bob.upload(len(TEXT), f"{ANNS}/Sent")) is StoreFault.OVER_QUOTA
        hub.append(hub.bob, "INBOX")
        inbox = run(hub.bob.open("INBOX"))
        assert fault(inbox.copy([ONE], f"{ANNS}/Sent")) is StoreFault.OVER_QUOTA
        assert fault(inbox.move([ONE], f"{ANNS}/Sent")) is StoreFault.OVER_QUOTA
        assert list(inbox.uids) == [1]
        assert run(hub.bob.quota_root(f"{ANNS}/Sent")) == "ann@hub.example"
        assert run(hub.bob.usage_of("ann@hub.example")).octets == len(TEXT)
        assert fault(hub.eve.usage_of("ann@hub.example")) is StoreFault.NONEXISTENT

    def test_move_away(self, hub: Hub) -> None:
        """What is moved away does not count any more."""
        for account in (ANN, BOB):
            hub.people.set_quota(account.path, Quota(messages=10))
        ann, bob = (hub.reach(hub.people.accounts[it.path.key]) for it in (ANN, BOB))
        run(ann.set_acl("INBOX", "bob@hub.example", "lrite"))
        hub.append(ann, "INBOX")
        assert run(ann.usage()).messages == 1
        run(run(bob.open(ANNS)).move([ONE], "INBOX"))
        assert run(ann.usage()).messages == 0
        assert run(bob.usage()).messages == 1

    def test_operator(self, hub: Hub) -> None:
        """An admin sets quotas, and they count at once."""
        assert fault(hub.bob.set_quota("", Quota(1))) is StoreFault.NO_PERMISSION
        assert not hub.bob.admin
        hub.people.accounts["bob@hub.example"] = replace(BOB, admin=True)
        assert hub.bob.admin
        run(hub.bob.set_quota("ann@hub.example", Quota(octets=5, mailboxes=4)))
        assert run(hub.bob.usage_of("ann@hub.example")).quota == Quota(octets=5, mailboxes=4)
        assert fault(hub.ann.upload(len(TEXT))) is StoreFault.OVER_QUOTA
        run(hub.ann.create("Fourth"))
        assert fault(hub.ann.create("Fifth")) is StoreFault.OVER_QUOTA
        assert run(hub.ann.usage()).mailboxes == 4
        missing = hub.bob.set_quota("none@hub.example", Quota(1))
        assert fault(missing) is StoreFault.NONEXISTENT


class TestAnnotations:
    def test_whose(self, hub: Hub) -> None:
        """Shared ones are seen by all who may look, private ones by their own account."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lrw"))
        run(hub.ann.set_metadata("Sent", {"/shared/comment": b"all", "/private/comment": b"ann"}))
        run(hub.bob.set_metadata(f"{ANNS}/Sent", {"/private/comment": b"bob"}))
        assert run(hub.ann.metadata("Sent")) == {
            "/shared/comment": b"all",
            "/private/comment": b"ann",
        }
        assert run(hub.bob.metadata(f"{ANNS}/Sent"))["/private/comment"] == b"bob"
        run(hub.ann.rename("Sent", "Out"))
        assert run(hub.bob.metadata(f"{ANNS}/Out"))["/shared/comment"] == b"all"
        run(hub.ann.delete("Out"))
        run(hub.ann.create("Out"))
        assert run(hub.ann.metadata("Out")) == {}

    def test_inbox_renamed(self, hub: Hub) -> None:
        """They stay with INBOX, and go along too; the server's do not (RFC 5464 §4.1)."""
        run(hub.ann.set_acl("INBOX", "bob@hub.example", "lr"))
        run(hub.ann.set_metadata("INBOX", {"/shared/comment": b"all", "/private/comment": b"ann"}))
        run(hub.bob.set_metadata(ANNS, {"/private/comment": b"bob"}))
        run(hub.ann.set_metadata("", {"/private/a": b"x"}))
        run(hub.ann.rename("INBOX", "Old"))
        entries = {"/shared/comment": b"all", "/private/comment": b"ann"}
        assert run(hub.ann.metadata("Old")) == entries
        assert run(hub.ann.metadata("INBOX")) == entries
        run(hub.ann.set_acl("Old", "bob@hub.example", "lr"))
        assert run(hub.bob.metadata(f"{ANNS}/Old"))["/private/comment"] == b"bob"

    def test_server(self, hub: Hub) -> None:
        """The server's shared ones are the operator's."""
        run(hub.bob.set_metadata("", {"/private/a": b"x"}))
        attempt = hub.bob.set_metadata("", {"/shared/comment": b"x"})
        assert fault(attempt) is StoreFault.NO_PERMISSION
        hub.people.accounts["bob@hub.example"] = replace(BOB, admin=True)
        run(hub.bob.set_metadata("", {"/shared/comment": b"welcome"}))
        assert run(hub.ann.metadata("")) == {"/shared/comment": b"welcome"}
        assert run(hub.bob.metadata("")) == {"/shared/comment": b"welcome", "/private/a": b"x"}

    def test_special_use(self, hub: Hub) -> None:
        """A mailbox's special use is its owner's annotation (RFC 6154 §4)."""
        run(hub.ann.set_metadata("Sent", {"/private/specialuse": b"\\sent \\Junk"}))
        [row] = [row for row in run(hub.ann.list()) if row.name == "Sent"]
        assert row.special_use == ("\\Sent", "\\Junk")
        assert run(hub.ann.metadata("Sent"))["/private/specialuse"] == b"\\Sent \\Junk"
        run(hub.ann.set_metadata("Sent", {"/private/specialuse": None}))
        assert run(hub.ann.metadata("Sent")) == {}
        wrong = hub.ann.set_metadata("Sent", {"/private/specialuse": b"\\Mine"})
        assert fault(wrong) is StoreFault.CANNOT
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lrw"))
        his = hub.bob.set_metadata(f"{ANNS}/Sent", {"/private/specialuse": b"\\Sent"})
        assert fault(his) is StoreFault.CANNOT

    def test_limit(self, hub: Hub) -> None:
        """There are only so many, and all of a command or none."""
        many = {f"/private/{number}": b"x" for number in range(101)}
        assert fault(hub.ann.set_metadata("Sent", many)) is StoreFault.TOO_MANY_ENTRIES
        assert run(hub.ann.metadata("Sent")) == {}

    def test_heard(self, hub: Hub) -> None:
        """Other sessions hear of changes: of shared ones if they may look, of their own always."""
        heard: list[tuple[str, str, list[str]]] = []
        again = hub.reach(ANN)

        def listen(who: str, reach: AccountReach) -> None:
            reach.watch_metadata(lambda name, entries: heard.append((who, name, list(entries))))

        listen("ann", hub.ann)
        listen("again", again)
        listen("bob", hub.bob)
        listen("eve", hub.eve)
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lr"))
        run(hub.ann.set_metadata("Sent", {"/shared/a": b"x", "/private/b": b"y"}))
        assert heard == [
            ("again", "Sent", ["/shared/a", "/private/b"]),
            ("bob", f"{ANNS}/Sent", ["/shared/a"]),
        ]
        heard.clear()
        hub.bob.unwatch_metadata()
        run(again.set_metadata("", {"/private/b": b"y"}))
        assert heard == [("ann", "", ["/private/b"])]


class TestUrlKeys:
    def test_own(self, hub: Hub) -> None:
        """Each account has keys of its own, whoever's mailbox it is, and they outlast a session."""
        key = run(hub.ann.make_url_key("F1", anew=False))
        assert len(key) == 32
        assert run(hub.reach(ANN).url_key("F1")) == key
        assert run(hub.bob.url_key("F1")) is None
        assert run(hub.bob.make_url_key("F1", anew=False)) != key
        assert run(hub.ann.make_url_key("F1", anew=True)) != key
        run(hub.ann.forget_url_keys())
        assert run(hub.ann.url_key("F1")) is None
        assert run(hub.bob.url_key("F1")) is not None

    def test_named(self, hub: Hub) -> None:
        """An account is found by its address, as others would write it."""
        found = run(hub.reaches.named("Ann@HUB.example"))
        assert found is not None
        assert "INBOX" in [row.name for row in run(found.list())]
        assert run(hub.reaches.named("nobody@hub.example")) is None
        assert run(hub.reaches.named("nobody")) is None


def test_switched_off(tmp_path: FilePath) -> None:
    """Without a name for it nothing is shared."""
    hub = Hub(tmp_path)
    run(hub.ann.set_acl("Sent", "anyone", "lr"))
    off = SharedReaches(Sharing(hub.world.stores, hub.people, bytes(tmp_path), "", os.urandom))
    bob = run(off.of(BOB))
    assert bob.others == ""
    assert names(bob) == []
    assert fault(bob.open(f"{ANNS}/Sent")) is StoreFault.NONEXISTENT
    run(bob.create(f"{ANNS}/Sent"))
    assert names(bob) == ["Other Users", ANNS, f"{ANNS}/Sent"]

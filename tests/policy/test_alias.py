"""Addresses expand to whoever gets their mail, once, and always come to an end."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import Path, parse_address
from mailhub.mail.reply import Refusal
from mailhub.policy.alias import AliasLoop, Rules, expand, expand_all, may_send_as
from mailhub.ports.accounts import Account, AccountId
from tests.rig import run


def at(local: str, domain: str = "hub.example") -> Path:
    return Path(local, domain)


@dataclass
class FakeDirectory:
    """Tables by local part; one domain, and perhaps others that are aliases of nothing."""

    accounts: dict[str, bool] = field(default_factory=dict)
    aliases: dict[str, list[str]] = field(default_factory=dict)
    everyone: list[str] = field(default_factory=list)
    master: str | None = None

    async def hosted(self, domain: str) -> bool:
        return domain == "hub.example"

    async def account(self, path: Path) -> Account | None:
        for number, (local, enabled) in enumerate(self.accounts.items()):
            if at(local).key == path.key:
                return Account(AccountId(number), at(local), local, enabled=enabled)
        return None

    async def alias(self, path: Path) -> tuple[Path, ...] | None:
        for local, targets in self.aliases.items():
            if at(local).key == path.key:
                return tuple(map(place, targets))
        return None

    async def catch_all(self, domain: str) -> tuple[Path, ...] | None:
        return tuple(map(place, self.everyone)) or None

    async def postmaster(self, domain: str) -> Path | None:
        return None if self.master is None else at(self.master)


def place(text: str) -> Path:
    return parse_address(text) if "@" in text else at(text)


DIRECTORY = FakeDirectory(
    accounts={"alice": True, "bob": True, "gone": False, "a+b": True},
    aliases={
        "team": ["alice", "bob", "carol@elsewhere.example"],
        "all": ["team", "bob", "dan@elsewhere.example", "gone"],
        "old": ["gone"],
        "self": ["self"],
        "ping": ["pong"],
        "pong": ["ping", "alice"],
        "tagged": ["alice+tag", "alice"],
        "out": ["carol@elsewhere.example"],
    },
    master="bob",
)


def names(path: Path, directory: FakeDirectory = DIRECTORY, rules: Rules | None = None) -> str:
    """Who gets it, on one line."""
    found = run(expand(path, directory, rules))
    here = [account.path.local for account in found.accounts]
    return " ".join(here + [str(other) for other in found.others])


@pytest.mark.parametrize(
    ("local", "who"),
    [
        ("alice", "alice"),
        ("ALICE", "alice"),
        ("team", "alice bob carol@elsewhere.example"),
        ("Team+tag", "alice bob carol@elsewhere.example"),
        ("all", "alice bob carol@elsewhere.example dan@elsewhere.example"),
        ("alice+tag", "alice"),
        ("alice+tag+more", "alice"),
        ("a+b", "a+b"),
        ("tagged", "alice"),
        ("ping", "alice"),
        ("postmaster", "bob"),
        ("Abuse", "bob"),
        ("MAILER-DAEMON", "bob"),
    ],
)
def test_order(local: str, who: str) -> None:
    """Account, alias, subaddress, postmaster; each recipient once."""
    assert names(at(local)) == who


@pytest.mark.parametrize(
    ("local", "reply"),
    [
        ("nobody", "550 5.1.1 No such mailbox here"),
        ("nobody+tag", "550 5.1.1 No such mailbox here"),
        ("+alice", "550 5.1.1 No such mailbox here"),
        ("gone", "550 5.2.1 Mailbox disabled"),
        ("gone+tag", "550 5.2.1 Mailbox disabled"),
        ("old", "550 5.2.1 Mailbox disabled"),
        ("self", "550 5.4.6 Alias loop"),
    ],
)
def test_refused(local: str, reply: str) -> None:
    """What leads nowhere is refused, and says why, not whither."""
    with pytest.raises(Refusal) as caught:
        run(expand(at(local), DIRECTORY))
    assert caught.value.reply.text == reply


def test_partly_refused() -> None:
    """An alias delivers to those it can; the others are in the result."""
    found = run(expand(at("all"), DIRECTORY))
    assert [(path.local, refusal.reply.status) for path, refusal in found.refused] == [
        ("gone", "5.2.1")
    ]
    found = run(expand(at("ping"), DIRECTORY))
    [(_, loop)] = found.refused
    assert isinstance(loop, AliasLoop)
    assert [path.local for path in loop.trail] == ["ping", "pong", "ping"]


def test_elsewhere() -> None:
    """An address in a foreign domain stands for itself, an address literal too."""
    for text in ("carol@elsewhere.example", "carol@[192.0.2.1]", "alice@[IPv6:2001:db8::1]"):
        found = run(expand(parse_address(text), DIRECTORY))
        assert found.accounts == ()
        assert found.others == (parse_address(text),)


def test_separator() -> None:
    """The separator is configured; empty, there are no subaddresses."""
    assert names(at("alice-tag"), rules=Rules(separator="-")) == "alice"
    with pytest.raises(Refusal):
        names(at("alice+tag"), rules=Rules(separator=""))


def test_catch_all() -> None:
    """Unknown names go to the catch-all, but disabled ones, and postmaster, do not."""
    directory = FakeDirectory({"bob": True, "gone": False}, everyone=["bob"], master=None)
    assert names(at("anything"), directory) == "bob"
    assert names(at("postmaster"), directory) == "bob"
    with pytest.raises(Refusal):
        names(at("gone"), directory)


def test_catch_all_loop() -> None:
    """A catch-all that leads to an unknown name ends."""
    directory = FakeDirectory(everyone=["x"])
    with pytest.raises(AliasLoop):
        names(at("y"), directory)


def test_bare_postmaster() -> None:
    """``RCPT TO:<postmaster>`` is deliverable (RFC 5321 §4.1.1.3)."""
    assert names(Path("PostMaster", "")) == "bob"


def test_no_postmaster() -> None:
    """A hub without anybody has no postmaster either."""
    with pytest.raises(Refusal) as caught:
        names(at("postmaster"), FakeDirectory())
    assert caught.value.reply.code == 550


def test_nothing_to_expand() -> None:
    """No addresses, no recipients."""
    with pytest.raises(Refusal):
        run(expand_all((), DIRECTORY))


def test_depth() -> None:
    """Aliases behind aliases are followed so far, and no further."""
    chain = {f"a{number}": [f"a{number + 1}"] for number in range(30)}
    directory = FakeDirectory({"a30": True}, chain)
    assert names(at("a10"), directory) == "a30"
    with pytest.raises(Refusal) as caught:
        names(at("a0"), directory)
    assert caught.value.reply.status == "5.3.0"


def test_fan_out() -> None:
    """An alias for everybody in the world delivers to as many as is allowed."""
    directory = FakeDirectory(aliases={"world": [f"a{n}@elsewhere.example" for n in range(50)]})
    found = run(expand(at("world"), directory, Rules(fan_out=10)))
    assert len(found.others) == 9
    assert len(found.refused) == 41


LOCALS = st.sampled_from("abcdef")


@given(
    accounts=st.dictionaries(LOCALS, st.booleans(), max_size=3),
    aliases=st.dictionaries(LOCALS, st.lists(LOCALS, min_size=1, max_size=4), max_size=6),
    everyone=st.lists(LOCALS, max_size=2),
    master=st.none() | LOCALS,
)
def test_invariants(
    accounts: dict[str, bool],
    aliases: dict[str, list[str]],
    everyone: list[str],
    master: str | None,
) -> None:
    """However tangled, it ends; recipients are enabled, and each is there once."""
    directory = FakeDirectory(accounts, aliases, everyone, master)
    for local in "abcdefg":
        try:
            found = run(expand(at(local), directory))
        except Refusal:
            continue
        assert all(account.enabled for account in found.accounts)
        ids = [account.id for account in found.accounts]
        assert len(ids) == len(set(ids)) > 0


class TestMaySendAs:
    @pytest.mark.parametrize(
        ("text", "may"),
        [
            ("alice@hub.example", True),
            ("Alice@HUB.example", True),
            ("alice+tag@hub.example", True),
            ("team@hub.example", True),
            ("bob@hub.example", False),
            ("out@hub.example", False),
            ("postmaster@hub.example", False),
            ("nobody@hub.example", False),
            ("self@hub.example", False),
            ("alice@elsewhere.example", False),
            ("alice@[127.0.0.1]", False),
        ],
    )
    def test_alice(self, text: str, may: bool) -> None:
        """One writes as oneself, and as every address whose mail one gets."""
        alice = run(DIRECTORY.account(at("alice")))
        assert alice is not None
        assert run(may_send_as(alice, parse_address(text), DIRECTORY)) is may

    def test_postmaster(self) -> None:
        """Whoever is postmaster may write as postmaster."""
        bob = run(DIRECTORY.account(at("bob")))
        assert bob is not None
        assert run(may_send_as(bob, at("postmaster"), DIRECTORY))

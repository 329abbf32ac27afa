"""Aliases give way to their members, with the options that DSN leaves them."""

from __future__ import annotations

import pytest

from mailhub.mail.address import Path, parse_path
from mailhub.mail.envelope import Envelope, Notify, Recipient
from mailhub.policy.alias import Rules, expand
from mailhub.ports.accounts import Account
from mailhub.ports.outgoing import QueueId
from mailhub.queue.item import Expanded, new_item
from mailhub.queue.telling import Action, to_report
from mailhub.relay.addressees import Addressees, addressees, members
from tests.policy.test_alias import DIRECTORY, FakeDirectory, at
from tests.rig import run

SUCCESS, FAILURE = Notify.SUCCESS, Notify.FAILURE


def expanded(*recipients: Recipient, directory: FakeDirectory = DIRECTORY) -> Addressees:
    return addressees((each, run(expand(each.path, directory))) for each in recipients)


def shown(found: Addressees) -> list[str]:
    """Each one's path, and whether it is here."""
    return [
        f"{recipient.path}{'' if place is None else ' here'}"
        for recipient, place in zip(found.recipients, found.places, strict=True)
    ]


def test_direct() -> None:
    """An account is addressed as the sender did, subaddress and all."""
    sent = Recipient(at("Alice+Tag"), FAILURE, "rfc822;x")
    found = expanded(sent, Recipient(parse_path("x@elsewhere.example")))
    assert found.recipients[0] is sent
    assert shown(found) == ["Alice+Tag@hub.example here", "x@elsewhere.example"]


def test_each_once() -> None:
    """Two ways to one mailbox are one delivery; the first one's options count."""
    found = expanded(
        Recipient(at("alice")),
        Recipient(at("team")),
        Recipient(at("alice+tag")),
        Recipient(parse_path("Carol@elsewhere.example")),
    )
    assert shown(found) == [
        "alice@hub.example here",
        "bob@hub.example here",
        "carol@elsewhere.example",
    ]


def test_forwarded() -> None:
    """One who is forwarded to inherits the options, and the address the sender knows."""
    [found] = expanded(Recipient(at("out"), SUCCESS)).recipients
    assert found == Recipient(
        parse_path("carol@elsewhere.example"), SUCCESS, "rfc822;out@hub.example"
    )
    [found] = expanded(Recipient(at("out"), None, "rfc822;first@x")).recipients
    assert found.orcpt == "rfc822;first@x"


def test_xtext() -> None:
    """The address is made safe for ORCPT (RFC 3461 §4.2)."""
    [found] = expanded(Recipient(at("out+a=b"))).recipients
    assert found.orcpt == "rfc822;out+2Ba+3Db@hub.example"


def test_no_orcpt() -> None:
    """What ORCPT could not say is left out."""
    directory = FakeDirectory({"bob": True}, master="bob")
    [found] = expanded(Recipient(Path("postmaster", "")), directory=directory).recipients
    assert found == Recipient(at("bob"))


def test_unitext() -> None:
    """An address that is not ASCII is spelled in ASCII, whoever comes next (RFC 6533 §3)."""
    directory = FakeDirectory({"bob": True}, everyone=["bob"])
    unknown = Recipient(Path("Ünbekannt+x", "hub.example"))
    [found] = expanded(unknown, directory=directory).recipients
    assert found == Recipient(at("bob"), None, r"utf-8;\x{DC}nbekannt\x{2B}x@hub.example")


@pytest.mark.parametrize(
    ("asked", "left"),
    [(None, None), (FAILURE, FAILURE), (Notify.NEVER, Notify.NEVER)],
)
def test_members(asked: Notify | None, left: Notify | None) -> None:
    """Members of a list get the options of the list (RFC 3461 §5.2.7.3)."""
    found = expanded(Recipient(at("team"), asked))
    assert [each.notify for each in found.recipients] == [left] * 3
    assert found.expanded == []


@pytest.mark.parametrize(("asked", "left"), [(SUCCESS, Notify.NEVER), (SUCCESS | FAILURE, FAILURE)])
def test_list_reports_expansion(asked: Notify, left: Notify) -> None:
    """Success of a list is that it was expanded, and members do not report theirs."""
    found = expanded(Recipient(at("alice")), Recipient(at("all"), asked))
    assert [each.notify for each in found.recipients] == [None, asked, left, left, left]
    envelope = Envelope(parse_path("x@y.example"), tuple(found.recipients))
    item = found.settle(new_item(QueueId("q"), 5.0, envelope, found.places, 1))
    assert found.expanded == [1]
    assert isinstance(item.fates[1], Expanded)
    assert item.local == (0, 2)
    assert item.remote == (3, 4)
    assert to_report(None, item) == {1: Action.EXPANDED}


def test_nothing_expanded() -> None:
    """Other items stay as they are."""
    found = expanded(Recipient(at("alice"), SUCCESS))
    envelope = Envelope(recipients=tuple(found.recipients))
    item = new_item(QueueId("q"), 5.0, envelope, found.places, 1)
    assert found.settle(item) is item


def test_notices() -> None:
    """Notices of our own go where mail from elsewhere would."""
    found = run(members(Recipient(at("out")), DIRECTORY, Rules()))
    assert [(str(each.path), place) for each, place in found] == [("carol@elsewhere.example", None)]
    [(each, place)] = run(members(Recipient(at("alice-x")), DIRECTORY, Rules(separator="-")))
    assert str(each.path) == "alice-x@hub.example"
    assert place is not None


def test_posting() -> None:
    """A subaddress may choose a mailbox, where nothing stands between; a bare address does not."""
    asked: list[str] = []

    def posting(account: Account, detail: str) -> str:
        asked.append(f"{account.path} {detail}")
        return detail.title()

    def placed(text: str) -> list[str | None]:
        path = at(text)
        expansion = run(expand(path, DIRECTORY))
        found = addressees([(Recipient(path), expansion)], "+", posting)
        return [None if place is None else place.mailbox for place in found.places]

    assert placed("alice+lists") == ["Lists"]
    assert placed("alice+") == ["INBOX"]
    assert placed("alice") == ["INBOX"]
    assert asked == ["alice@hub.example lists"]

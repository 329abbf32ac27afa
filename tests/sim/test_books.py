"""What a simulation counts."""

from __future__ import annotations

import pytest

from mailhub.sim.books import SLOT, Ledger, author
from mailhub.sim.campaign import Addresses, parsed
from mailhub.sim.manners import Manners, Why
from mailhub.sim.receiver import Message, Receiver
from mailhub.sim.world import World
from mailhub.sim.worldfile import parsed as parsed_world

ATLAS = parsed_world("w", "[provider Far]\ndomains = *\nweight = 1\n")
CAMPAIGN = parsed("c", "[mail x]\nfrom = s@here.example\nrecipients = 4\n")


class Bookkeeping:
    """A ledger, and a provider that reports to it."""

    def __init__(self) -> None:
        self.addresses = Addresses(CAMPAIGN, ATLAS, "7")
        self.ledger = Ledger(self.addresses, 4, ["Far", "Detour"])
        self.account = self.ledger.accounts[0]
        world = World()
        self.far = Receiver(world, Manners("Far"))
        self.detour = Receiver(world, Manners("Detour"))

    def take(self, *numbers: int, now: float = 0.0, heard: bool = True, at: str = "Far") -> None:
        recipients = [self.addresses.address(number) for number in numbers]
        message = Message("192.0.2.1", "s@here.example", recipients, b"")
        receiver = self.far if at == "Far" else self.detour
        self.ledger.accepted(receiver, message, now, heard=heard)

    def bounce(self, number: int) -> None:
        self.ledger.bounced("s@here.example", self.addresses.address(number), 5.0)

    def hand_in(self, *numbers: int) -> None:
        for number in numbers:
            self.ledger.handed_in(number, "Far", 0.0)


@pytest.fixture
def books() -> Bookkeeping:
    return Bookkeeping()


def test_fates(books: Bookkeeping) -> None:
    """Each recipient has one fate, and then all is over."""
    books.hand_in(0, 1, 2)
    books.ledger.refused_by_hub(3, "Far", 0.0)
    assert books.account.waiting == 3
    books.take(0, now=1.0)
    books.bounce(1)
    assert not books.ledger.over
    books.take(2, now=25.0)
    account = books.account
    assert (account.handed_in, account.delivered, account.bounced, account.refused) == (4, 2, 1, 1)
    assert (account.waiting, account.first, account.last) == (0, 0.0, 25.0)
    assert books.ledger.over
    assert sorted(account.slots) == [0, 25 // SLOT]


def test_duplicates(books: Bookkeeping) -> None:
    """What comes again is a duplicate; a reply that was lost is counted."""
    books.hand_in(0)
    books.take(0, heard=False)
    books.take(0)
    assert (books.account.delivered, books.account.duplicates, books.account.in_doubt) == (1, 1, 1)
    books.bounce(0)
    assert books.account.bounced == 0, "it was delivered"


def test_a_bounce_that_was_wrong(books: Bookkeeping) -> None:
    """What is delivered after its bounce is delivered."""
    books.hand_in(0)
    books.bounce(0)
    books.bounce(0)
    assert books.ledger.settled == 1
    books.take(0)
    assert (books.account.delivered, books.account.bounced, books.ledger.settled) == (1, 0, 1)


def test_the_hub_is_quicker_than_its_reply(books: Bookkeeping) -> None:
    """A message may be delivered before the application has heard that it was taken."""
    books.take(0, now=3.0)
    books.hand_in(0)
    assert (books.account.handed_in, books.account.delivered) == (1, 1)
    books.ledger.refused_by_hub(0, "Far", 4.0)
    assert books.account.refused == 0


def test_a_detour(books: Bookkeeping) -> None:
    """What comes by way of another host counts for whom it is for."""
    books.hand_in(0)
    books.take(0, at="Detour")
    assert books.account.delivered == 1
    assert books.ledger.accounts[1].delivered == 0


def test_strangers(books: Bookkeeping) -> None:
    """Mail that is not the campaign's is counted apart."""
    message = Message("192.0.2.1", "x@y", ["postmaster@far.example"], b"")
    books.ledger.accepted(books.far, message, 0.0, heard=True)
    books.ledger.bounced("x@y", "postmaster@far.example", 0.0)
    assert books.ledger.others == 1


def test_what_stood_in_the_way(books: Bookkeeping) -> None:
    """Refusals by their cause and connections by their number belong to a moment."""
    books.ledger.refused(books.far, Why.RATE, 1, 12.0)
    books.ledger.refused(books.far, Why.OUTAGE, 0, 12.0)
    for open_ in (1, 3, 2):
        books.ledger.calls(books.far, open_, 12.0)
    slot = books.account.slots[1]
    assert slot.refused == {Why.RATE: 1, Why.OUTAGE: 1}
    assert slot.connections == 3
    assert books.account.deferrals[Why.RATE] == 1


def test_when_so_many_had_it(books: Bookkeeping) -> None:
    """The moments at which parts of those who got it had it."""
    books.hand_in(0, 1, 2, 3)
    assert books.account.reached(0.5) is None
    for number, now in enumerate((1.5, 2.5, 3.5, 100.25)):
        books.take(number, now=now)
    assert books.account.reached(0.5) == 3.0
    assert books.account.reached(1.0) == 100.25


def test_what_was_not_sent(books: Bookkeeping) -> None:
    """Whom a suppression list kept it from is among the bounced, and counted apart."""
    books.hand_in(0, 1)
    books.bounce(0)
    books.ledger.bounced("s@here.example", books.addresses.address(1), 5.0, suppressed=True)
    assert (books.account.bounced, books.account.suppressed) == (2, 1)


def test_afterwards(books: Bookkeeping) -> None:
    """What comes back later changes nobody's fate, and is counted."""
    books.hand_in(0)
    books.take(0)
    books.ledger.afterwards(books.far, 9.0, bounced=True)
    books.ledger.afterwards(books.far, 9.0, bounced=False)
    account = books.account
    assert (account.delivered, account.returned, account.complaints) == (1, 1, 1)


def test_authors() -> None:
    """A return path of the hub's own is not the sender's address: that is the author's."""
    content = b"Received: x\r\nFrom: <s@here.example>\r\n\r\nFrom: <x@y.example>\r\n"
    for sender, expected in (
        ("bounce+abc@here.example", "s@here.example"),
        ("other@here.example", "other@here.example"),
        ("", ""),
    ):
        assert author(Message("192.0.2.1", sender, [], content)) == expected
    assert author(Message("", "bounce+abc@here.example", [], b"")) == "bounce+abc@here.example"

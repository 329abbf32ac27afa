"""What comes back to return paths of ours, in a whole hub: from the newsletter to the list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath

import pytest
from twisted.internet.defer import Deferred

from mailhub.policy.suppression import Entry, Reason
from mailhub.queue.change import Release, Select
from mailhub.queue.event import Complained, Decided, Fated, Reported, State
from mailhub.queue.item import Held
from mailhub.queue.suppressions import Suppressions
from mailhub.sim.manners import Outage, Window
from tests.relay.campaigning import ANN, BOB, Campaigning

CORPUS = FilePath(__file__).parents[1] / "corpus"
RETURNS = "[suppression]\nreturn paths = bulk\n"
NOTED = "250 2.0.0 Noted, and its sender is told"
NOBODY = "550 5.1.1 No such mailbox here"


def bounce(name: str) -> str:
    return (CORPUS / "bounces" / f"{name}.eml").read_text()


def complaint(world: Campaigning, kind: str = "abuse") -> str:
    """One that names the return path of what the far host took last."""
    text = (CORPUS / "feedback" / "yahoo.eml").read_text()
    signed = "bounce+g00k3m9x7c4e2dq8w2h5t7n3y40@hub.example"
    return text.replace(signed, world.far.taken[-1].sender).replace(": abuse\n", f": {kind}\n")


@pytest.fixture
def shop() -> Iterator[Campaigning]:
    made = Campaigning(RETURNS)
    yield made
    assert made.world.errors == []
    made.close()


class TestFailures:
    def test_the_sender_hears_once(self, shop: Campaigning) -> None:
        """In a notice of ours, with what was said; of a second bounce nothing."""
        shop.newsletter()
        for _ in range(2):
            assert shop.comes_back(bounce("postfix"))[-1] == NOTED
        [notice] = shop.inbox()
        assert "Subject: Not delivered: bob@far.example" in notice
        assert "What happened: There is no mailbox of that name" in notice
        assert "Remote-MTA: dns; store.far.example" in notice
        assert "Return-Path: <>" in notice
        assert "List-Unsubscribe: <https://hub.example/u>" in notice

    def test_it_is_on_the_list(self, shop: Campaigning) -> None:
        """The next newsletter does not go there, and its sender reads why; a letter does."""
        queue_id = shop.newsletter()
        shop.comes_back(bounce("postfix"))
        [entry] = shop.entries()
        assert (entry.domain, entry.address) == ("shop.example", BOB)
        assert (entry.reason, entry.queue_id) == (Reason.HARD, queue_id)
        assert "User unknown" in entry.reply
        shop.newsletter(BOB, "eve@far.example")
        assert [it.recipients for it in shop.far.taken] == [[BOB], ["eve@far.example"]]
        assert "on the suppression list of shop.example" in shop.inbox()[-1]
        shop.letter()
        assert shop.far.taken[-1].recipients == [BOB]
        assert shop.far.taken[-1].sender == ANN

    def test_the_journey(self, shop: Campaigning) -> None:
        """It tells the return path and its rule, what came back, and what followed."""
        queue_id = shop.newsletter()
        sent = shop.far.taken[-1].sender
        shop.comes_back(bounce("postfix"))
        events = shop.journey(queue_id)
        decided = [it.verdicts[0] for it in events if isinstance(it, Decided)]
        assert decided[0][0] == f"return path: <{sent}>"
        assert decided[0][1].startswith("[suppression] return paths")
        assert "gets no more such mail" in decided[-1][0]
        fates = [it for it in events if isinstance(it, Fated)]
        assert [it.state for it in fates] == [State.RELAYED, State.FAILED]
        assert fates[-1].host == "store.far.example"
        assert [it.action for it in events if isinstance(it, Reported)] == ["failed"]

    def test_full_mailboxes(self, shop: Campaigning) -> None:
        """The sender hears of any failure; on the list are those alone who do not exist."""
        shop.newsletter()
        assert shop.comes_back(bounce("exchange-full"))[-1] == NOTED
        assert "What happened: The recipient's mailbox is full" in shop.inbox()[0]
        assert shop.entries() == []

    def test_after_a_crash(self, shop: Campaigning) -> None:
        """Who is to hear was written with the fate; the key is the same."""
        shop.newsletter()
        shop.shop.crash()
        shop.world.run(10)
        shop.shop.start()
        assert shop.comes_back(bounce("qmail"))[-1] == NOTED
        assert len(shop.inbox()) == 1

    def test_while_it_is_in_the_queue(self, shop: Campaigning) -> None:
        """Mail in doubt may bounce before it is settled: the item itself tells then."""
        shop.far.manners = replace(shop.far.manners, lost_replies=1.0)
        queue_id = shop.newsletter()
        for _ in range(2):
            assert len(shop.far.taken) == 1, "and it is not sent again"
            shop.comes_back(bounce("exim"))
            assert len(shop.inbox()) == 1
            shop.world.run(3600)
        assert "Undelivered message" in shop.inbox()[0], "it is all there, and not its header only"
        assert shop.shop.parts.journal.load(queue_id) is None
        assert [it.reason for it in shop.entries()] == [Reason.HARD]

    def test_some_write_in_capitals(self, shop: Campaigning) -> None:
        """A return path is read whatever its case is."""
        shop.newsletter()
        path = shop.far.taken[-1].sender.upper()
        assert shop.comes_back(bounce("sendmail"), path)[-1] == NOTED


class TestWhatIsNoFailure:
    @pytest.mark.parametrize("name", ["vacation", "receipt", "postfix-delayed", "relayed"])
    def test_passed_on(self, shop: Campaigning, name: str) -> None:
        """Answers, delays and receipts come to the sender as they are, and count for nothing."""
        queue_id = shop.newsletter()
        assert "queued as" in shop.comes_back(bounce(name))[-1]
        [passed] = shop.inbox()
        assert bounce(name).partition("\n\n")[0].splitlines()[0] in passed
        assert shop.entries() == []
        told = [it.verdicts[0][0] for it in shop.journey(queue_id) if isinstance(it, Decided)]
        assert told[-1].startswith("came back: ")

    def test_answers_with_a_sender(self, shop: Campaigning) -> None:
        """Some automatic answers are from somebody (RFC 3834 §3.3 only advises against it)."""
        shop.newsletter()
        assert "queued as" in shop.comes_back(bounce("vacation"), sender=BOB)[-1]
        assert len(shop.inbox()) == 1

    def test_letters(self, shop: Campaigning) -> None:
        """A letter from somebody does not go to a return path: it is no address to write to."""
        shop.newsletter()
        [*_, last] = shop.comes_back(bounce("person"), sender=BOB)
        assert last == "550 5.7.1 Only notices about a message are taken at this address"
        assert shop.inbox() == []

    def test_among_others(self, shop: Campaigning) -> None:
        """What comes for others too is delivered to all of them."""
        shop.newsletter()
        path = shop.far.taken[-1].sender
        said = shop.say("mx.far.example", "", (path, ANN), bounce("postfix"))
        assert "queued as" in said[-1]
        assert len(shop.inbox()) == 1, "both are Ann"
        assert [it.reason for it in shop.entries()] == [Reason.HARD]


class TestForgery:
    def test_nobody_is_told_anything(self) -> None:
        """A forged return path, an old one, and an address that never was look the same."""
        shop = Campaigning(f"{RETURNS}return paths for = 1d\n")
        shop.newsletter()
        path = shop.far.taken[-1].sender
        changed = path[:25] + ("1" if path[25] != "1" else "2") + path[26:]
        for other in (changed, path.replace("@", "0@"), "nobody@shop.example"):
            assert shop.say("mx.far.example", "", (other,), "x")[-2] == NOBODY, other
        shop.world.run(2 * 86_400)
        assert shop.say("mx.far.example", "", (path,), "x")[-2] == NOBODY
        shop.close()

    def test_others_return_paths(self, shop: Campaigning) -> None:
        """Those of another hub are addresses like others: to be relayed, or not."""
        shop.newsletter()
        path = shop.far.taken[-1].sender.replace("shop.example", "far.example")
        assert shop.say("mx.far.example", "", (path,), "x")[-2] == "550 5.7.1 Relaying denied"
        assert "queued as" in shop.say("mx.shop.example", "", (path,), "\nx")[-1]

    def test_catch_all(self, shop: Campaigning) -> None:
        """Not even a catch-all takes a forged one."""
        parts = shop.shop.parts
        parts.accounts.set_catch_all("shop.example", [parts.accounts.accounts()[0].path])
        shop.newsletter()
        changed = shop.far.taken[-1].sender.replace("@", "0@")
        assert shop.say("mx.far.example", "", (changed,), "x")[-2] == NOBODY


class TestComplaints:
    def test_to_the_return_path(self, shop: Campaigning) -> None:
        """It puts the address on the list for ever, and the sender has the report."""
        queue_id = shop.newsletter()
        [*_, last] = shop.comes_back(complaint(shop), sender="feedback@far.example")
        assert "queued as" in last
        [entry] = shop.entries()
        assert (entry.reason, entry.expires) == (Reason.COMPLAINT, 0.0)
        assert entry.reply.startswith("abuse, says arf.mail.yahoo.example")
        [event] = [it for it in shop.journey(queue_id) if isinstance(it, Complained)]
        assert (event.kind, event.recipient) == ("abuse", BOB)
        assert "Feedback-Type: abuse" in shop.inbox()[0]

    def test_to_abuse(self, shop: Campaigning) -> None:
        """It is delivered as ever, and counts."""
        parts = shop.shop.parts
        ann = parts.accounts.accounts()[0].path
        parts.accounts.add_alias(ann.__class__("abuse", "shop.example"), [ann])
        shop.newsletter()
        said = shop.say("mx.far.example", "", ("abuse@shop.example",), complaint(shop))
        assert "queued as" in said[-1]
        assert len(shop.inbox()) == 1
        assert [it.reason for it in shop.entries()] == [Reason.COMPLAINT]

    def test_taken_back(self, shop: Campaigning) -> None:
        """Whoever says that it is no spam gets mail again."""
        shop.newsletter()
        shop.comes_back(complaint(shop))
        assert len(shop.entries()) == 1
        shop.comes_back(complaint(shop, "not-spam"))
        assert shop.entries() == []

    @pytest.mark.parametrize("kind", ["virus", "auth-failure", "other"])
    def test_other_reports(self, shop: Campaigning, kind: str) -> None:
        """What is nobody's wish is told, and puts nobody on a list."""
        queue_id = shop.newsletter()
        shop.comes_back(complaint(shop, kind))
        assert shop.entries() == []
        assert any(isinstance(it, Complained) for it in shop.journey(queue_id))

    def test_of_nothing_that_we_have_signed(self, shop: Campaigning) -> None:
        """Nobody can put others on the list who has not had the message."""
        shop.newsletter()
        parts = shop.shop.parts
        ann = parts.accounts.accounts()[0].path
        parts.accounts.add_alias(ann.__class__("fbl", "shop.example"), [ann])
        text = (CORPUS / "feedback" / "unsigned.eml").read_text()
        said = shop.say("mx.far.example", "", ("fbl@shop.example",), text)
        assert "queued as" in said[-1]
        assert shop.entries() == []


class TestGoingOut:
    def test_each_recipient_its_own(self, shop: Campaigning) -> None:
        """Of one message to several there, each has a return path of its own."""
        names = [f"u{number}@far.example" for number in range(5)]
        shop.newsletter(*names)
        assert sorted(it.recipients[0] for it in shop.far.taken) == names
        assert len({it.sender for it in shop.far.taken}) == len(names)

    def test_what_strangers_send(self, shop: Campaigning) -> None:
        """Forwarded mail keeps its sender."""
        parts = shop.shop.parts
        ann = parts.accounts.accounts()[0].path
        parts.accounts.add_alias(
            ann.__class__("old", "shop.example"), [ann.__class__(*BOB.split("@"))]
        )
        said = shop.say(
            "mx.far.example", "x@far.example", ("old@shop.example",), "List-Id: <x>\n\nx"
        )
        assert "queued as" in said[-1]
        assert shop.far.taken[-1].sender == "x@far.example"

    def test_refused_there(self) -> None:
        """Who is refused at once is on the list at once, whatever return paths are."""
        shop = Campaigning("", unknown=1.0)
        shop.newsletter()
        assert [it.reason for it in shop.entries()] == [Reason.HARD]
        shop.close()

    def test_no_such_domain(self) -> None:
        """A domain that there is not is no address either; one whose hosts are down is."""
        shop = Campaigning("", outages=(Window(0, 86_400),), outage=Outage.REFUSED)
        shop.newsletter("x@nowhere.example", BOB)
        assert [it.address for it in shop.entries()] == ["x@nowhere.example"]
        shop.close()

    def test_greylisting(self) -> None:
        """Those who greylist see the same sender at each attempt, and take it."""
        shop = Campaigning(RETURNS, greylist=300.0)
        shop.newsletter()
        assert shop.far.taken == []
        shop.world.run(3600)
        assert len(shop.far.taken) == 1
        shop.close()

    def test_in_a_domain_of_their_own(self) -> None:
        """A return domain need not be hosted: return paths in it are taken, and nothing else."""
        shop = Campaigning(f"{RETURNS}return domain = bounces.shop.example\n")
        shop.newsletter()
        assert shop.far.taken[-1].sender.endswith("@bounces.shop.example")
        assert shop.comes_back(bounce("gmail"))[-1] == NOTED
        said = shop.say("mx.far.example", "", ("ann@bounces.shop.example",), "x")
        assert said[-2] == "550 5.7.1 Relaying denied"
        shop.close()

    def test_their_domain_has_a_postmaster(self) -> None:
        """As each domain has that takes mail (RFC 5321 §4.5.1)."""
        shop = Campaigning(f"{RETURNS}return domain = bounces.shop.example\n")
        said = shop.say("mx.far.example", BOB, ("postmaster@bounces.shop.example",), "\nx")
        own = shop.say("mx.far.example", BOB, ("postmaster@mx.shop.example",), "\nx")
        assert [line[:3] for line in said] == [line[:3] for line in own]
        assert not any("Relaying denied" in line for line in said)
        shop.close()

    def test_by_the_command_line(self, shop: Campaigning) -> None:
        """What somebody puts on the list while the hub runs is in force at once."""
        shop.put(Entry("*", BOB, Reason.MANUAL, 0.0))
        shop.newsletter()
        assert shop.far.taken == []

    def test_held(self) -> None:
        """With hold it waits in the queue, until the address is off the list and it is released."""
        shop = Campaigning("[suppression]\naction = hold\n")
        shop.put(Entry("shop.example", BOB, Reason.HARD, 0.0))
        queue_id = shop.newsletter()
        journal = shop.shop.parts.journal
        item = journal.load(queue_id)
        assert item is not None
        assert isinstance(item.fates[0], Held)
        assert shop.inbox() == []

        def release() -> None:
            done = Deferred.fromCoroutine(journal.amend(Release(Select(), shop.world.now)))
            done.addCallback(lambda _: shop.shop.parts.runner.wake())
            shop.world.run(10)

        release()
        assert shop.far.taken == [], "it is still on the list"
        lists = Suppressions(shop.shop.state)
        lists.remove(BOB)
        lists.close()
        release()
        assert [it.recipients for it in shop.far.taken] == [[BOB]]
        shop.close()

    def test_refused_at_rcpt(self) -> None:
        """With refuse, the program that sends hears of it at once."""
        shop = Campaigning("[suppression]\nclasses = *\naction = refuse\n")
        shop.put(Entry("shop.example", BOB, Reason.HARD, 0.0))
        said = shop.say("mx.shop.example", ANN, (BOB, "eve@far.example"), "Subject: x\n\nx")
        assert said[1].startswith("550 5.7.1 Not sent: <bob@far.example> is on the suppression")
        assert "queued as" in said[-1]
        assert [it.recipients for it in shop.far.taken] == [["eve@far.example"]]
        shop.close()

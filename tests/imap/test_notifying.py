"""NOTIFY over the real store: what is told unasked, to whom, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.item import Fact, Item
from mailhub.imap.notifying import combined
from mailhub.imap.sequence import contains, merged
from mailhub.imap.session import Session
from mailhub.imap.settings import Limits, Settings
from mailhub.mail.rights import Rights
from mailhub.ports.conversation import Client
from mailhub.ports.store import Affair
from tests.imap.fakes import ALICE, FakeLogins, FakeMechanisms
from tests.imap.given import Talk
from tests.imap.test_concurrency import reaches
from tests.rig import hear, run
from tests.store.world import TEXT, Hub


class House:
    """A hub, and clients of one account."""

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self.hub = Hub(root, mailboxes=("Sent", "Lists", "Lists/One"))
        self.hub.account = ALICE
        self.hub.maildir = root / "alice"
        self.reaches = reaches(self.hub)
        self.settings = Settings("hub.example", limits=limits or Limits())
        self.watcher, self.other = self.client(), self.client()

    def client(self) -> Peer:
        peer = Peer(self)
        assert peer.say("LOGIN alice secret")[-1].startswith("t OK")
        return peer


class Peer:
    def __init__(self, house: House) -> None:
        self.session = Session(
            Client("127.0.0.1", 143),
            house.settings,
            FakeMechanisms(),
            FakeLogins(),
            house.reaches,
        )
        self.woken: int = False
        self.session.wake = self._wake
        run(self.session.greet())

    def _wake(self) -> None:
        self.woken = True

    def say(self, command: str) -> list[str]:
        self.session.feed(f"t {command}\r\n".encode())
        return run(hear(self.session.respond())).decode().split("\r\n")[:-1]

    def heard(self) -> list[str]:
        """What it is told unasked."""
        if not self.woken:
            return []
        self.woken = False
        return run(hear(self.session.respond())).decode().split("\r\n")[:-1]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


class TestSelected:
    def test_at_once(self, house: House) -> None:
        """New mail with what was asked for of it, expunges and flags, without a command."""
        watcher = house.watcher
        watcher.say("SELECT INBOX")
        said = watcher.say(
            "NOTIFY SET (selected (MessageNew (uid body.peek[header.fields (subject)])"
            " MessageExpunge FlagChange))"
        )
        assert said == ["t OK What happens is told from here on"]
        house.hub.deliver("a")
        assert watcher.heard() == [
            "* 1 EXISTS",
            "* 1 RECENT",
            "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (subject)] {16}",
            "Subject: one",
            "",
            ")",
        ]
        house.other.say("SELECT INBOX")
        house.other.say("STORE 1 +FLAGS (\\Deleted)")
        assert watcher.heard() == ["* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))"]
        house.other.say("EXPUNGE")
        assert watcher.heard() == ["* 1 EXPUNGE"]
        assert watcher.heard() == []

    def test_delayed(self, house: House) -> None:
        """SELECTED-DELAYED holds EXPUNGE back until a command, or IDLE, allows it."""
        watcher = house.watcher
        house.hub.deliver("a", "b")
        watcher.say("SELECT INBOX")
        watcher.say("NOTIFY SET (selected-delayed (MessageNew MessageExpunge))")
        house.other.say("SELECT INBOX")
        house.other.say("STORE 1 +FLAGS (\\Deleted)")
        house.other.say("EXPUNGE")
        house.hub.deliver("c")
        assert watcher.heard()[0] == "* 3 EXISTS"
        assert watcher.say("FETCH 2:3 UID")[:2] == ["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)"]
        assert watcher.say("IDLE") == ["+ idling", "* 1 EXPUNGE"]

    def test_only_what_was_asked_for(self, house: House) -> None:
        """Without FlagChange flags wait for a command; without SELECTED all does."""
        watcher = house.watcher
        house.hub.deliver("a")
        watcher.say("SELECT INBOX")
        watcher.say("NOTIFY SET (selected (MessageNew MessageExpunge))")
        house.other.say("SELECT INBOX")
        house.other.say("STORE 1 +FLAGS (\\Flagged)")
        assert watcher.heard() == []
        assert watcher.say("NOOP")[0] == "* 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent))"
        watcher.say("NOTIFY SET (mailboxes Sent (MessageNew MessageExpunge))")
        house.hub.deliver("b")
        assert watcher.heard() == []
        assert watcher.say("NOOP")[0] == "* 2 EXISTS"

    def test_told_by_a_command(self, house: House) -> None:
        """Whatever told of a new message, its items follow; another mailbox begins anew."""
        watcher = house.watcher
        watcher.say("SELECT INBOX")
        watcher.say("NOTIFY SET (selected (MessageNew (uid) MessageExpunge))")
        house.hub.deliver("a")
        assert watcher.say("NOOP")[-1] == "* 1 FETCH (UID 1)"
        house.hub.append(TEXT, TEXT, name="Sent")
        assert "FETCH" not in "".join(watcher.say("SELECT Sent"))
        house.hub.append(TEXT, name="Sent")
        assert watcher.heard() == ["* 3 EXISTS", "* 3 RECENT", "* 3 FETCH (UID 3)"]

    def test_own(self, house: House) -> None:
        """What the client has put there itself it knows (RFC 5465 §5.2)."""
        watcher = house.watcher
        watcher.say("SELECT INBOX")
        watcher.say("NOTIFY SET (selected (MessageNew (uid) MessageExpunge))")
        assert "FETCH" not in "".join(watcher.say("APPEND INBOX {1+}\r\nx"))
        assert "FETCH" not in "".join(watcher.say("COPY 1 INBOX"))
        house.hub.deliver("a")
        assert watcher.heard()[-1] == "* 3 FETCH (UID 3)"
        watcher.say("APPEND Sent {1+}\r\nx")
        house.hub.deliver("b")
        assert watcher.heard()[-1] == "* 4 FETCH (UID 4)"

    def test_with_a_context(self, house: House) -> None:
        """What UPDATE and MessageNew ask for comes in one FETCH, behind ADDTO (RFC 5465 §5.2)."""
        watcher, octets = house.watcher, len(TEXT)
        watcher.say("SELECT INBOX")
        watcher.say("UID SEARCH RETURN (UPDATE (UID RFC822.SIZE)) LARGER 1")
        watcher.say("NOTIFY SET (selected (MessageNew (uid flags) MessageExpunge))")
        house.hub.append(TEXT)
        row = f"* 1 FETCH (UID 1 FLAGS (\\Recent) RFC822.SIZE {octets})"
        assert watcher.heard() == [
            "* 1 EXISTS",
            "* 1 RECENT",
            '* ESEARCH (TAG "t") UID ADDTO (0 1)',
            row,
        ]
        house.hub.append(TEXT, TEXT)
        heard = watcher.say("NOOP")
        assert heard[-1].startswith("* 3 FETCH (UID 3 FLAGS ")
        assert sum("FETCH" in line for line in heard) == 2
        # Of what the client has put there itself, what the search asked for only
        assert watcher.say("APPEND INBOX {2+}\r\nxy")[-1] == "* 4 FETCH (UID 4 RFC822.SIZE 2)"

    def test_flags_with_a_context(self, house: House) -> None:
        """Where flags are not asked for they wait, a context or not."""
        watcher = house.watcher
        house.hub.deliver("a")
        watcher.say("SELECT INBOX")
        watcher.say("UID SEARCH RETURN (UPDATE) UNSEEN")
        watcher.say("NOTIFY SET (selected (MessageNew MessageExpunge))")
        house.other.say("SELECT INBOX")
        house.other.say("STORE 1 +FLAGS (\\Seen)")
        assert watcher.heard() == ['* ESEARCH (TAG "t") UID REMOVEFROM (0 1)']
        assert watcher.say("NOOP")[0].startswith("* 1 FETCH (UID 1 FLAGS ")


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=3),
            st.lists(st.sampled_from([Fact.UID, Fact.FLAGS, Fact.SIZE]), unique=True),
        ),
        max_size=4,
    )
)
def test_combined(told: list[tuple[list[tuple[int, int]], list[Fact]]]) -> None:
    """Of each message all is told once that anybody asked for, in ascending order."""
    asked = [(merged((min(it), max(it)) for it in uids), tuple(items)) for uids, items in told]
    found: dict[int, tuple[Item, ...]] = {}
    for ((low, high),), items in combined(asked):
        for uid in range(low, high + 1):
            assert uid not in found
            assert uid > max(found, default=0)
            found[uid] = items
    for uid in range(1, 13):
        wanted = dict.fromkeys(it for uids, items in asked if contains(uids, uid) for it in items)
        assert found.get(uid, ()) == tuple(wanted)


FOREIGN = "Other Users/bob@hub.example/Work"


class TestShared:
    """Mailboxes of other accounts (what is told of them by the store is in its own tests)."""

    def talk(self, rights: str) -> Talk:
        made = Talk().login()
        box = made.store._make(FOREIGN)
        box.rights = Rights(rights)
        return made

    def test_no_access(self) -> None:
        """What may be looked up and not read is told so (RFC 5465 §3.1)."""
        both = "(MessageNew MessageExpunge)"
        asked = f'NOTIFY SET STATUS (mailboxes ("{FOREIGN}" Nowhere) {both})'
        assert self.talk("l").say(f"a {asked}") == [
            f'* LIST (\\NoAccess) "/" "{FOREIGN}"',
            "a OK What happens is told from here on",
        ]
        assert self.talk("lr").say(f"a {asked}")[0].startswith(f'* STATUS "{FOREIGN}" (MESSAGES 0')
        asked = f'NOTIFY SET (mailboxes "{FOREIGN}" (MailboxName))'
        assert len(self.talk("l").say(f"a {asked}")) == 1

    def test_filters(self) -> None:
        """They pass SUBSCRIBED, MAILBOXES and SUBTREE, and no filter for personal ones."""
        both = "(MessageNew MessageExpunge)"
        filters = {
            "personal": False,
            "inboxes": False,
            f'mailboxes "{FOREIGN}"': True,
            'subtree "Other Users"': True,
            "subscribed": True,
        }
        for which, passes in filters.items():
            talk = self.talk("lr")
            talk.store.subscribed.add(FOREIGN)
            talk.say(f"a NOTIFY SET ({which} {both})")
            talk.store._make(FOREIGN).rights = Rights("lr")
            talk.store.announce(Affair.MESSAGES, FOREIGN)
            assert bool(talk.heard()) is passes, which

    def test_granted_and_revoked(self) -> None:
        """Whatever was asked for, a client hears whether it may still look it up (§5.9)."""
        talk = self.talk("lr")
        talk.say(f'a NOTIFY SET (mailboxes "{FOREIGN}" (MessageNew MessageExpunge))')
        talk.store.announce(Affair.GRANTED, FOREIGN)
        assert talk.heard() == [f'* LIST (\\HasNoChildren) "/" "{FOREIGN}"']
        del talk.store.boxes[FOREIGN]
        talk.store.announce(Affair.REVOKED, FOREIGN)
        assert talk.heard() == [f'* LIST (\\NonExistent \\NoAccess) "/" "{FOREIGN}"']


class TestOthers:
    def test_closed_mailboxes(self, house: House) -> None:
        """STATUS of a mailbox that nobody has open, once for each change."""
        watcher = house.watcher
        watcher.say("NOTIFY SET (inboxes (MessageNew MessageExpunge))")
        house.hub.deliver("a", "b")
        (line,) = watcher.heard()
        assert line.startswith("* STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY ")
        house.other.say("SELECT INBOX")
        house.other.say("STORE 1 +FLAGS (\\Deleted)")
        assert watcher.heard() == []
        house.other.say("EXPUNGE")
        assert watcher.heard()[0].startswith("* STATUS INBOX (MESSAGES 1 UIDNEXT 3 ")

    def test_flags(self, house: House) -> None:
        """FlagChange tells how many are unseen, and the highest MODSEQ."""
        watcher = house.watcher
        house.hub.deliver("a")
        watcher.say("NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))")
        house.other.say("SELECT INBOX")
        watcher.heard()
        house.other.say("STORE 1 +FLAGS (\\Seen)")
        (line,) = watcher.heard()
        assert "UNSEEN 0 HIGHESTMODSEQ " in line
        house.other.say("STORE 1 +FLAGS (\\Seen)")
        assert watcher.heard() == []

    def test_filters(self, house: House) -> None:
        """SUBTREE, MAILBOXES and SUBSCRIBED, which follows the subscriptions."""
        watcher = house.watcher
        both = "(MessageNew MessageExpunge)"
        watcher.say(f"NOTIFY SET (subtree Lists {both}) (mailboxes (sent Nowhere) {both})")
        for name in ("INBOX", "Sent", "Lists", "Lists/One"):
            house.hub.append(TEXT, name=name)
        assert [line.split()[2] for line in watcher.heard()] == ["Lists", "Lists/One"]
        watcher.say(f"NOTIFY SET (subscribed {both})")
        house.hub.append(TEXT, name="Lists/One")
        assert [line.split()[2] for line in watcher.heard()] == ["Lists/One"]
        house.other.say("UNSUBSCRIBE Lists/One")
        house.hub.append(TEXT, name="Lists/One")
        assert watcher.heard() == []

    def test_status_first(self, house: House) -> None:
        """With STATUS the numbers of all that is watched come first, and are not repeated."""
        house.hub.append(TEXT, name="Sent")
        house.watcher.say("SELECT INBOX")
        said = house.watcher.say("NOTIFY SET STATUS (personal (MessageNew MessageExpunge))")
        assert [line.split()[2] for line in said[:-1]] == ["Lists", "Lists/One", "Sent"]
        house.other.say("EXAMINE Sent")
        assert house.watcher.heard() == []

    def test_idle(self, house: House) -> None:
        """Amid IDLE just the same is told."""
        house.watcher.say("NOTIFY SET (mailboxes Sent (MessageNew MessageExpunge))")
        house.watcher.say("SELECT INBOX")
        house.watcher.say("IDLE")
        house.hub.append(TEXT, name="Sent")
        assert house.watcher.heard()[0].startswith("* STATUS Sent (MESSAGES 1 ")

    def test_other_programs(self, house: House) -> None:
        """What another program puts into a closed mailbox is told at the hub's next look."""
        house.watcher.say("NOTIFY SET (personal (MessageNew MessageExpunge))")
        run(house.hub.stores.look())
        assert house.watcher.heard() == []
        house.hub.drop("1.M1.x")
        run(house.hub.stores.look())
        assert house.watcher.heard()[0].startswith("* STATUS INBOX (MESSAGES 1 ")
        run(house.hub.stores.look())
        assert house.watcher.heard() == []

    def test_none(self, house: House) -> None:
        """NOTIFY NONE, and logging out, end it."""
        house.watcher.say("NOTIFY SET (personal (MessageNew MessageExpunge))")
        house.watcher.say("NOTIFY NONE")
        house.hub.append(TEXT)
        assert house.watcher.heard() == []
        house.watcher.say("NOTIFY SET (personal (MessageNew MessageExpunge))")
        assert house.hub.store.listeners
        run(house.watcher.session.close())
        assert not house.hub.store.listeners


class TestNames:
    def test_life(self, house: House) -> None:
        """Created and deleted with the level above, renamed with the old name."""
        watcher = house.watcher
        watcher.say("NOTIFY SET (personal (MailboxName SubscriptionChange))")
        house.other.say("CREATE Lists/Two")
        assert watcher.heard() == [
            '* LIST (\\HasNoChildren) "/" Lists/Two',
            '* LIST (\\Subscribed \\HasChildren) "/" Lists',
        ]
        house.other.say("RENAME Lists/Two Three")
        assert watcher.heard() == ['* LIST (\\HasNoChildren) "/" Three ("OLDNAME" (Lists/Two))']
        house.other.say("SUBSCRIBE Three")
        assert watcher.heard() == ['* LIST (\\Subscribed \\HasNoChildren) "/" Three']
        house.other.say("UNSUBSCRIBE Three")
        house.other.say("DELETE Three")
        assert watcher.heard() == ['* LIST (\\NonExistent) "/" Three']

    def test_own(self, house: House) -> None:
        """What the client does itself it is not told (RFC 5465 §5), but follows."""
        watcher = house.watcher
        names = "MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange"
        watcher.say(f"NOTIFY SET (personal ({names})) (subscribed (MessageNew MessageExpunge))")
        for command in (
            *("CREATE A", "CREATE A/B", "SUBSCRIBE A/B", "RENAME A C", "DELETE C"),
            *('SETMETADATA Sent (/private/comment "x")', 'SETMETADATA "" (/private/comment "x")'),
        ):
            assert len(watcher.say(command)) == 1
        house.other.say("CREATE A/B")
        assert watcher.heard()[0] == '* LIST (\\Subscribed \\HasNoChildren) "/" A/B'
        house.hub.append(TEXT, name="A/B")
        assert watcher.heard()[0].startswith("* STATUS A/B (MESSAGES 1 ")

    def test_annotations(self, house: House) -> None:
        """METADATA of mailboxes and of the server, by name only."""
        watcher = house.watcher
        watcher.say("NOTIFY SET (personal (MailboxMetadataChange ServerMetadataChange))")
        house.other.say('SETMETADATA INBOX (/private/comment "x")')
        house.other.say('SETMETADATA "" (/private/vendor/a "x")')
        assert watcher.heard() == [
            "* METADATA INBOX /private/comment",
            '* METADATA "" /private/vendor/a',
        ]


def test_overflow(tmp_path: Path) -> None:
    """Who is told of more than is kept for it hears that, and nothing more."""
    house = House(tmp_path, Limits(notices=2))
    house.watcher.say("NOTIFY SET (personal (MailboxName))")
    for name in ("A", "B", "C", "D"):
        house.other.say(f"CREATE {name}")
    assert house.watcher.heard() == ["* OK [NOTIFICATIONOVERFLOW] Too much happens"]
    house.other.say("CREATE E")
    assert house.watcher.heard() == []

"""REPLACE amid other sessions and failures (what one alone sees is in a dialogue)."""

from __future__ import annotations

from mailhub.ports.accounts import Quota
from mailhub.ports.message import Uid
from mailhub.ports.store import StoreFault, StoreRefused
from tests.imap.given import Talk
from tests.rig import run


def test_gone_meanwhile() -> None:
    """What another session has expunged cannot be replaced, and nothing is appended."""
    talk = Talk().select()
    run(talk.store.inbox.expunge([Uid(2)]))
    heard = talk.say("a REPLACE 2 INBOX {1+}\r\nx")
    assert heard[-1] == "a NO [EXPUNGEISSUED] That message is gone"
    assert len(talk.store.inbox.uids) == 2


def test_read_only() -> None:
    """EXAMINE allows none."""
    talk = Talk().login()
    talk.say("e EXAMINE INBOX")
    assert talk.say("a REPLACE 1 INBOX {1+}\r\nx")[-1].startswith("a NO [READ-ONLY]")


def test_upload_fails() -> None:
    """Where the new message does not arrive the old one stays."""
    talk = Talk().select()
    talk.store.refusal = StoreRefused(StoreFault.OVER_QUOTA, "Over quota")
    heard = talk.say("a UID REPLACE 1 INBOX {3+}\r\nxyz")
    assert heard == ["a NO [OVERQUOTA] Over quota"]
    assert list(talk.store.inbox.uids) == [1, 2, 3]
    assert talk.store.uploads[-1].aborted


def test_resynchronised() -> None:
    """Who enabled QRESYNC hears how far it is with the end of the command."""
    talk = Talk().login()
    talk.say("e ENABLE QRESYNC")
    talk.say("s SELECT INBOX")
    heard = talk.say("a UID REPLACE 3 INBOX {1+}\r\nx")
    assert heard[1:] == [
        "* VANISHED 3",
        "* 3 EXISTS",
        "* 3 RECENT",
        f"a OK [HIGHESTMODSEQ {talk.store.inbox.highest_modseq}] Replace completed",
    ]


class TestQuota:
    """What the replaced message held counts as free (RFC 8508 §3.4)."""

    def test_full(self) -> None:
        """A draft can be saved again in an account that is full, and grow where there is room."""
        talk = Talk().select()
        used = sum(len(octets) for octets in talk.store.inbox.octets.values())
        talk.store.quota = Quota(used - 5)
        size = len(talk.store.inbox.octets[Uid(1)])
        same, larger = b"x" * size, b"x" * (size + 1)
        said = talk.raw(b"a REPLACE 1 INBOX {%d+}\r\n%b\r\n" % (size, same))
        assert said.endswith(b"a OK Replace completed\r\n")
        said = talk.raw(b"b UID REPLACE 4 Work {%d+}\r\n%b\r\n" % (size + 1, larger))
        assert said == b"b NO [OVERQUOTA] Over quota\r\n"
        said = talk.raw(b"c APPEND Work {1+}\r\nx\r\n")
        assert said == b"c NO [OVERQUOTA] Over quota\r\n"

    def test_another_root(self) -> None:
        """Where the mailboxes have different quotas nothing is freed."""
        talk = Talk().select()
        talk.store.roots["Work"] = "bob@hub.example"
        talk.store.quota = Quota(1)
        assert talk.say("a REPLACE 1 INBOX {1+}\r\nx")[-1] == "a OK Replace completed"
        assert talk.say("b REPLACE 1 Work {1+}\r\nx")[-1] == "b NO [OVERQUOTA] Over quota"
        assert talk.say("c REPLACE 1 Nowhere {1+}\r\nx")[-1] == "c NO [OVERQUOTA] Over quota"

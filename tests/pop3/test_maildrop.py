"""The maildrop."""

from __future__ import annotations

from typing import cast

import pytest

from mailhub.pop3.command import Err
from mailhub.pop3.maildrop import ROWS, Maildrop
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Uid
from mailhub.ports.store import StoreRefused
from tests.pop3.fakes import MAIL, FakeMailbox
from tests.rig import run


def maildrop(mailbox: FakeMailbox | None = None) -> Maildrop:
    return Maildrop(cast(Mailbox, mailbox or FakeMailbox(MAIL)))


class TestListings:
    """Numbers, sizes, unique ids."""

    def test_sizes(self) -> None:
        """One line for each message (RFC 1939 §5)."""
        assert b"".join(maildrop().sizes()) == b"1 23\r\n2 33\r\n3 27\r\n"

    def test_unique_ids(self) -> None:
        """UID and UIDVALIDITY in hexadecimal, as Dovecot's default has them."""
        drop = maildrop()
        assert b"".join(drop.unique_ids()) == (
            b"1 000000ab499602d2\r\n2 00000493499602d2\r\n3 0000087b499602d2\r\n"
        )
        assert drop.unique_id(1) == b"00000493499602d2"

    def test_marked(self) -> None:
        """What is marked is left out, and the numbers of the others stay."""
        drop = maildrop()
        drop.mark(drop.place(2))
        assert b"".join(drop.sizes()) == b"1 23\r\n3 27\r\n"
        assert (drop.count, drop.octets) == (2, 50)
        drop.unmark()
        assert (drop.count, drop.octets) == (3, 83)
        assert drop.size(drop.place(2)) == 33

    def test_pieces(self) -> None:
        """Listings of any length come in pieces below 64 KiB."""
        mailbox = FakeMailbox([b"x"] * (2 * ROWS + 1))
        drop = maildrop(mailbox)
        for place in range(ROWS, 2 * ROWS):
            drop.mark(place)
        pieces = list(drop.unique_ids())
        assert len(pieces) == 2
        assert max(map(len, pieces)) <= 65_536
        assert b"".join(pieces).count(b"\r\n") == ROWS + 1

    def test_snapshot(self) -> None:
        """Deliveries and expunges do not change numbers and sizes (RFC 1939 §8)."""
        mailbox = FakeMailbox(MAIL)
        drop = maildrop(mailbox)
        del mailbox.uids[0], mailbox.sizes[0]
        assert drop.count == 3
        assert b"".join(drop.sizes()).startswith(b"1 23\r\n")

    @pytest.mark.parametrize("number", [0, 4, 10**40])
    def test_no_such(self, number: int) -> None:
        """There is no message 0, and none beyond the last."""
        with pytest.raises(Err, match="No such"):
            maildrop().place(number)

    def test_deleted(self) -> None:
        """A marked message cannot be addressed (RFC 1939 §5)."""
        drop = maildrop()
        drop.mark(drop.place(1))
        with pytest.raises(Err, match="deleted"):
            drop.place(1)


class TestContent:
    """The messages themselves."""

    def test_content(self) -> None:
        """Their octets."""
        content = run(maildrop().content(0))
        assert run(content.read()) == MAIL[0]

    def test_expunged(self) -> None:
        """One that IMAP has expunged is missed."""
        mailbox = FakeMailbox(MAIL)
        drop = maildrop(mailbox)
        del mailbox.mails[171]
        with pytest.raises(Err, match="removed"):
            run(drop.content(0))

    def test_broken(self) -> None:
        """A disk that fails is a temporary failure."""
        mailbox = FakeMailbox(MAIL)
        mailbox.faults.add("content")
        with pytest.raises(Err) as failed:
            run(maildrop(mailbox).content(0))
        assert failed.value.code == "SYS/TEMP"


class TestRemove:
    """What QUIT does."""

    def test_marked(self) -> None:
        """The marked ones go, in one step."""
        mailbox = FakeMailbox(MAIL)
        drop = maildrop(mailbox)
        drop.mark(2)
        drop.mark(0)
        assert run(drop.remove())
        assert mailbox.expunged == [171, 2171]

    def test_nothing(self) -> None:
        """Nothing marked, nothing asked."""
        mailbox = FakeMailbox(MAIL)
        mailbox.faults.add("expunge")
        assert run(maildrop(mailbox).remove())

    def test_gone_already(self) -> None:
        """What IMAP has expunged meanwhile is gone, too."""
        mailbox = FakeMailbox(MAIL)
        drop = maildrop(mailbox)
        drop.mark(0)
        del mailbox.mails[171]
        assert run(drop.remove())

    def test_stuck(self) -> None:
        """What is still there afterwards was not removed."""
        mailbox = FakeMailbox(MAIL)
        mailbox.faults.add("stuck")
        drop = maildrop(mailbox)
        drop.mark(0)
        assert not run(drop.remove())
        assert mailbox.position(Uid(171)) == 0

    def test_refused(self) -> None:
        """The store's refusal comes through."""
        mailbox = FakeMailbox(MAIL)
        mailbox.faults.add("expunge")
        drop = maildrop(mailbox)
        drop.mark(0)
        with pytest.raises(StoreRefused):
            run(drop.remove())

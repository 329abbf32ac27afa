"""What Dovecot knows of a maildir."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.store import dovecot
from mailhub.store.dovecot import Adopted
from mailhub.store.files import Files
from tests.rig import run
from tests.store.world import Hub, contents

# As Debian's Dovecot 2.3.19 wrote them.
UIDLIST = b"""3 V1795504565 N9 G9e81f116b339056b2836000083ecc375
1 :1795504563.M404913P13867.vm,S=18,W=21
7 W21 :1795504563.M421823P13871.vm,S=18,W=21:2,S
"""
KEYWORDS = b"0 Junk\n1 $Forwarded\n"


class TestParsing:
    def test_version_3(self) -> None:
        """UIDVALIDITY, the next UID, each file's UID, keywords."""
        assert dovecot.parse(UIDLIST, KEYWORDS) == Adopted(
            1795504565,
            9,
            {
                b"1795504563.M404913P13867.vm,S=18,W=21": 1,
                b"1795504563.M421823P13871.vm,S=18,W=21": 7,
            },
            ("Junk", "$Forwarded"),
        )

    def test_version_1(self) -> None:
        """The old format has the same, without letters."""
        assert dovecot.parse(b"1 5 3\n2 1.M.h\n") == Adopted(5, 3, {b"1.M.h": 2})

    def test_next_uid_is_above_all(self) -> None:
        """A header that was written before the last lines does not lower the next UID."""
        adopted = dovecot.parse(b"3 V5 N3\n9 :1.M.h\nnonsense\n")
        assert adopted is not None
        assert adopted.uid_next == 10

    @pytest.mark.parametrize(
        "octets", [b"", b"2 x\n", b"3 N5\n", b"3 Vx N5\n", b"3 V0 N5\n", b"3 V1 N99999999999\n"]
    )
    def test_useless(self, octets: bytes) -> None:
        """Without UIDVALIDITY nothing can be taken over."""
        assert dovecot.parse(octets) is None

    def test_keywords_with_gaps(self) -> None:
        """Letters may not move: one without a name gets one."""
        adopted = dovecot.parse(b"3 V1 N1\n", b"2 \xc3\xa4x\n0 a\n77 z\n")
        assert adopted is not None
        assert adopted.keywords == ("a", "unknown-1", "??x")

    @given(st.binary(max_size=200), st.binary(max_size=60))
    def test_any_octets(self, octets: bytes, keywords: bytes) -> None:
        """Nothing in the files makes us fail."""
        dovecot.parse(b"3 V1 N1\n" + octets, keywords)


def dovecots(root: Path) -> Hub:
    """A hub whose account has a maildir that Dovecot has used."""
    hub = Hub(root)
    for name in ("cur", "new", "tmp"):
        (hub.maildir / name).mkdir(parents=True)
    (hub.maildir / "dovecot-uidlist").write_bytes(UIDLIST)
    (hub.maildir / "dovecot-keywords").write_bytes(KEYWORDS)
    (hub.maildir / "subscriptions").write_bytes(b"V\t2\n\nA\tB\n")
    hub.drop("1795504563.M404913P13867.vm,S=18,W=21", b"Subject: a\n\nhello\n")
    hub.drop("1795504563.M421823P13871.vm,S=18,W=21:2,Sab", b"Subject: b\n\nhello\n", "cur")
    return hub


class TestAdoption:
    def test_uids_keywords_subscriptions(self, tmp_path: Path) -> None:
        """A client that knew the mailbox under Dovecot finds it unchanged."""
        hub = dovecots(tmp_path)
        mailbox = hub.open()
        assert mailbox.uid_validity == 1795504565
        assert list(mailbox.uids) == [1, 7]
        assert mailbox.uid_next == 9
        assert list(mailbox.flags) == [0, 1 | 32 | 64]
        assert mailbox.keywords == ("Junk", "$Forwarded")
        assert list(mailbox.sizes) == [21, 21]
        assert run(contents(mailbox))[0] == b"Subject: a\r\n\r\nhello\r\n"
        assert [row.name for row in run(hub.store.list()) if row.subscribed] == ["A/B"]

    def test_only_once(self, tmp_path: Path) -> None:
        """From then on the UIDs stand in the names, whatever Dovecot's file says."""
        hub = dovecots(tmp_path)
        hub.open()
        hub.lose_index()
        (hub.maildir / "dovecot-uidlist").write_bytes(b"3 V9 N1\n")
        mailbox = hub.open()
        assert mailbox.uid_validity == 1795504565
        assert list(mailbox.uids) == [1, 7]
        assert mailbox.uid_next >= 9

    def test_new_mail_beside_it(self, tmp_path: Path) -> None:
        """What Dovecot had not seen yet gets new UIDs."""
        hub = dovecots(tmp_path)
        hub.drop("1795504570.M1P1.vm")
        assert list(hub.open().uids) == [1, 7, 9]

    def test_no_files(self, tmp_path: Path) -> None:
        """A maildir that Dovecot never saw has nothing to adopt."""
        assert dovecot.load(Files(), os.fsencode(tmp_path)) is None

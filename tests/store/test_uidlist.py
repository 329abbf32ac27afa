"""The text file that must not be lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.store import uidlist
from mailhub.store.durable import Corrupt
from mailhub.store.files import Files
from mailhub.store.uidlist import UID_LIMIT, UidList

KEYWORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


@given(
    st.builds(
        UidList,
        st.integers(1, UID_LIMIT),
        st.integers(1, UID_LIMIT),
        st.integers(1, 2**62),
        st.lists(KEYWORD, max_size=26).map(tuple),
    )
)
def test_round_trip(uid_list: UidList) -> None:
    """What is written is read."""
    assert uidlist.parse(bytes(uid_list)) == uid_list


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xff",
        b"mailhub-uidlist 2\n",
        b"mailhub-uidlist 1\nuidvalidity 1\n",
        b"mailhub-uidlist 1\nuidvalidity 0\nceiling 1\nmodseq 1\n",
        b"mailhub-uidlist 1\nuidvalidity 1\nceiling 9999999999\nmodseq 1\n",
        b"mailhub-uidlist 1\nuidvalidity 1\nceiling 1\nmodseq 1\nkeyword b X\n",
        b"mailhub-uidlist 1\nuidvalidity 1\nceiling 1\nmodseq 1\nnonsense\n",
    ],
)
def test_not_believed_in_part(octets: bytes) -> None:
    """A file with any line that is not ours is corrupt."""
    with pytest.raises(Corrupt):
        uidlist.parse(octets)


def test_file(tmp_path: Path) -> None:
    """It lies beside ``cur``; a maildir may have none yet."""
    directory = os.fsencode(tmp_path)
    assert uidlist.load(Files(), directory) is None
    uidlist.save(Files(), directory, UidList(5, keywords=("Junk",)))
    assert uidlist.load(Files(), directory) == UidList(5, keywords=("Junk",))
    assert os.listdir(tmp_path) == ["mailhub-uidlist"]

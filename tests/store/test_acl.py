"""Dovecot's access control lists: read, changed, and read again when somebody else has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.rights import ALL, Rights, rights
from mailhub.store.acl import FILE, Acls, parse, render
from mailhub.store.files import Files

LINES = b"""# made by hand
owner lrwstipekxa
user=bob@hub.example lr
user=Carol lrs
group=team lr:insert post
-user=eve@hub.example a
anonymous l
"user=d w@hub.example" r
group-override=boss lrw
nonsense
"""


def test_parse() -> None:
    """Each kind of line; what means nothing to us stays."""
    acl, others = parse(LINES, "hub.example")
    assert acl == {
        "owner": ALL,
        "bob@hub.example": "lr",
        "carol@hub.example": "lrs",
        "$team": "lrip",
        "-eve@hub.example": "a",
        "anyone": "l",
        "d w@hub.example": "r",
    }
    assert others == ["# made by hand", "group-override=boss lrw", "nonsense"]


NAMES = st.one_of(
    st.sampled_from(["anyone", "authenticated", "owner"]),
    st.from_regex(r"\$[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True),
    st.from_regex(r'[a-z"\\ ]{1,9}@[a-z]{1,5}\.example', fullmatch=True),
)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["", "-"]), NAMES).map("".join),
        st.text(alphabet=ALL).map(rights),
    )
)
def test_round_trip(acl: dict[str, Rights]) -> None:
    """What we write we read."""
    assert parse(render(acl, ["# kept"]), "hub.example") == (acl, ["# kept"])


@pytest.fixture
def acls(tmp_path: Path) -> Acls:
    (tmp_path / ".Work").mkdir()
    (tmp_path / ".Work.New").mkdir()
    return Acls(Files(), os.fsencode(tmp_path), "hub.example")


def test_change(acls: Acls, tmp_path: Path) -> None:
    """Changes show at once; the file goes with the last entry."""
    assert acls.get(b"") == {}
    acls.change(b"", lambda acl: acl.update(anyone=rights("l")))
    assert acls.get(b"") == {"anyone": "l"}
    assert (tmp_path / FILE.decode()).read_text() == "anyone l\n"
    acls.change(b"", lambda acl: acl.clear())
    assert acls.get(b"") == {}
    assert not (tmp_path / FILE.decode()).exists()


def test_others_change(acls: Acls, tmp_path: Path) -> None:
    """What another program wrote counts from the next question on."""
    file = tmp_path / ".Work" / FILE.decode()
    file.write_text("anyone lr\n")
    assert acls.get(b".Work") == {"anyone": "lr"}
    file.write_text("anyone lrs\n")
    assert acls.get(b".Work") == {"anyone": "lrs"}
    file.unlink()
    assert acls.get(b".Work") == {}


def test_inherit(acls: Acls, tmp_path: Path) -> None:
    """A new mailbox has the list of the one above, all its lines; none if that has none."""
    acls.inherit(b".Work.New", b".Work")
    assert not (tmp_path / ".Work.New" / FILE.decode()).exists()
    (tmp_path / ".Work" / FILE.decode()).write_bytes(LINES)
    acls.inherit(b".Work.New", b".Work")
    assert (tmp_path / ".Work.New" / FILE.decode()).read_bytes() == LINES


def test_disk(acls: Acls, tmp_path: Path) -> None:
    """A list that cannot be read gives nobody anything."""
    (tmp_path / FILE.decode()).mkdir()
    with pytest.raises(OSError, match="directory"):
        acls.get(b"")

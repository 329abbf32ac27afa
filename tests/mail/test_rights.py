"""Rights as letters, and who may what by an access control list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.rights import (
    ALL,
    NONE,
    Rights,
    granted,
    identities,
    modified,
    rights,
    shown,
    union,
    without,
    writable,
)

LETTERS = st.text(alphabet=ALL, max_size=15)
BOB = identities("bob@hub.example", ["team"])


@given(LETTERS, LETTERS)
def test_sets(left: str, right: str) -> None:
    """Unions and differences are those of sets, in the one order."""
    one, other = rights(left), rights(right)
    assert set(union(one, other)) == set(left) | set(right)
    assert set(without(one, other)) == set(left) - set(right)
    assert list(union(one, other)) == sorted(set(left + right), key=ALL.index)


def test_virtual() -> None:
    """RFC 2086's rights are taken for their members, and told with any of them."""
    assert rights("cd") == "kxte"
    assert shown(rights("lrt")) == "lrtd"
    assert shown(rights("lrk")) == "lrkc"
    assert shown(NONE) == ""


def test_unknown() -> None:
    """A letter that is no right is named."""
    with pytest.raises(ValueError, match=r"^z$"):
        rights("lrz")
    with pytest.raises(ValueError, match=r"^L$"):
        rights("L")


def test_modified() -> None:
    """SETACL replaces, adds and takes."""
    before = rights("lrs")
    assert modified(before, "w") == "w"
    assert modified(before, "+wc") == "lrswkx"
    assert modified(before, "-sd") == "lr"
    assert modified(before, "") == ""


def test_union_of_identifiers() -> None:
    """All that means somebody counts; what is negative is taken from all of it."""
    acl = {
        "anyone": rights("l"),
        "$team": rights("rw"),
        "bob@hub.example": rights("s"),
        "-$team": rights("w"),
        "ann@hub.example": rights("a"),
    }
    assert granted(acl, BOB) == "lrs"
    assert granted(acl, identities("eve@hub.example")) == "l"
    assert granted({}, BOB) == NONE


def test_negative_anyone() -> None:
    """What is taken from anyone is taken from those who were named, too."""
    acl = {"bob@hub.example": rights("lrw"), "-anyone": rights("w")}
    assert granted(acl, BOB) == "lr"


def test_owner() -> None:
    """An owner may everything unless the list says of the owner; lookup and administer always."""
    assert granted({}, BOB, owner=True) == ALL
    assert granted({"anyone": rights("l")}, BOB, owner=True) == ALL
    assert granted({"owner": rights("lr")}, BOB, owner=True) == "lra"
    assert granted({"bob@hub.example": rights("r")}, BOB, owner=True) == "lra"
    assert granted({"-owner": ALL}, BOB, owner=True) == "la"
    assert granted({"owner": rights("lr")}, BOB) == NONE


def test_writable() -> None:
    """A mailbox is read-only to those who may change nothing in it."""
    assert not writable(Rights("lrpkxa"))
    assert all(writable(Rights("lr" + letter)) for letter in "swite")

"""The HTTP interface: what it refuses, and what it tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.error import HTTPError

import pytest

from mailhub.lab.client import Lab

Hand = Callable[..., Any]


def asked(
    lab: Lab, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, Any]:
    """A request as it is, and its answer."""
    connection = HTTPConnection(lab.host, lab.ports["http"])
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return answer.status, found


def test_it_tells_what_there_is(lab: Lab) -> None:
    """Who does not know it asks for /."""
    status, found = asked(lab, "GET", "/")
    assert status == 200
    assert "POST /clock" in found


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("DELETE", "/clock", 405),
        ("GET", "/inboxes/nobody", 400),
        ("GET", "/inboxes/new@inbox.test/1", 404),
        ("GET", "/inboxes/new@inbox.test?wait=soon", 400),
        ("GET", "/inboxes/new@inbox.test?wait=nan", 400),
        ("GET", "/inboxes/new@inbox.test?wait=-1", 400),
        ("GET", "/inboxes/new@inbox.test?wait=0.01", 404),
        ("GET", "/journeys?id=nonsense&wait=0.01", 404),
        ("PUT", "/inboxes", 404),
    ],
)
def test_refusals(lab: Lab, method: str, path: str, status: int) -> None:
    """What cannot be answered says why."""
    code, found = asked(lab, method, path)
    assert code == status
    assert found["error"]


@pytest.mark.parametrize("body", ["", "5h", "[]", "{}", '{"advance": "soon"}', '{"advance": -1}'])
def test_bad_moves(lab: Lab, body: str) -> None:
    """A move that is none leaves the clock alone."""
    before = lab.now
    status, _ = asked(lab, "POST", "/clock", body, Content_Type="application/json")
    assert status == 400
    assert lab.now - before < 60


def test_pages_in_browsers_are_refused(lab: Lab) -> None:
    """Neither another name for this machine, nor a form, gets anything."""
    assert asked(lab, "GET", "/inboxes", Host="evil.example")[0] == 403
    status, _ = asked(lab, "POST", "/clock", '{"advance": "5h"}', Content_Type="text/plain")
    assert status == 415


def test_inboxes(lab: Lab, hand_in: Hand) -> None:
    """They are listed, chosen from, and emptied."""
    hand_in("ann@a.test", "chosen@inbox.test", subject="First")
    hand_in("bob@b.test", "chosen@inbox.test", subject="Second")
    inbox = lab.inbox("chosen@inbox.test")
    second = inbox.wait(subject="second")
    assert second.sender == "bob@b.test"
    inbox.wait(sender="ann@")
    assert "chosen@inbox.test" in lab.ask("GET", "/inboxes")
    assert inbox.raw(second).startswith(b"Return-Path: <bob@b.test>\r\n")
    inbox.clear()
    assert inbox.messages() == []


def test_nobody_got_anything(lab: Lab) -> None:
    """An inbox that is not there is empty."""
    assert lab.ask("GET", "/inboxes/never@asked.test") == []


def test_world(lab: Lab) -> None:
    """Who lives there is told."""
    assert any(it["domains"] == ["greylist.test"] for it in lab.ask("GET", "/world"))


def test_refusals_reach_the_client(lab: Lab) -> None:
    """An address that is none is an error, not an empty inbox."""
    with pytest.raises(HTTPError):
        lab.inbox("nobody")


def test_reset_wants_json(lab: Lab) -> None:
    """A page in a browser cannot begin it anew."""
    assert asked(lab, "POST", "/reset", "{}", Content_Type="text/plain")[0] == 415
    assert asked(lab, "GET", "/reset")[0] == 405

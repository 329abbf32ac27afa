"""The lab over HTTP: JSON to read inboxes and journeys, and to move the clock.

Only programs of this machine are to use it: a page in somebody's browser could call it too,
so that other names than ours, and other forms than JSON, are refused.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from mailhub.config.values import parse_duration
from mailhub.lab.prepared import PASSWORD
from mailhub.lab.shown import shown
from mailhub.mail.address import Path, parse_address
from mailhub.mail.date import format_date
from mailhub.mail.reply import Refusal
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import as_json
from mailhub.queue.ids import to_number
from mailhub.queue.journeys import Journeys
from mailhub.queue.standing import standing
from mailhub.queue.timeline import text
from mailhub.queue.wanted import Wanted

if TYPE_CHECKING:
    from mailhub.lab.lab import Lab

HOSTS: Final = frozenset({"localhost", "127.0.0.1"})
GLANCE: Final = 0.02
"""Seconds between two looks while somebody waits."""
WAIT_LIMIT: Final = 300.0
"""Seconds that somebody may wait in one request."""
MOVE_LIMIT: Final = 366 * 86400.0
"""Seconds that the clock is moved at once."""
BODY_LIMIT: Final = 65_536
HELP: Final = {
    "GET /clock": "the moment",
    "POST /clock": 'move it: {"advance": "5h"}; answered when all has happened until then',
    "GET /inboxes": "addresses that have got mail",
    "PUT /inboxes/ADDRESS": "make an inbox, to be read over IMAP or POP3",
    "GET /inboxes/ADDRESS": "its messages; ?from= ?subject= choose, ?wait=SECONDS waits for one",
    "GET /inboxes/ADDRESS/UID": "a message; with /raw its octets",
    "DELETE /inboxes/ADDRESS": "empty it",
    "GET /journeys": "?to= ?from= ?message_id= ?id= choose; ?state=delivered&wait=SECONDS waits",
    "GET /world": "who lives there",
    "POST /reset": "begin anew: no inboxes, no queue, no journeys, no memory, and it is today",
}

_COMMANDS = Callable[["Root", Request, list[str]], Awaitable[object]]


class Wrong(Exception):
    """A request that cannot be answered: a status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Root(Resource):
    """All of it: there are few resources, and they are told apart here."""

    isLeaf = True
    _log = Logger()

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self._lab = lab

    def render(self, request: Request) -> Any:
        """Answer, now or later."""
        answering = Deferred.fromCoroutine(self._answer(request))
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addErrback(lambda _: None)  # nobody listens any more
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> None:
        age = self._lab.age
        try:
            _check(request)
            found = await self._find(request)
        except Wrong as error:
            request.setResponseCode(error.status)
            found = {"error": str(error)}
        except CancelledError:  # the client has gone
            return
        except Exception:
            if age == self._lab.age:
                self._log.failure("a request failed")
            request.setResponseCode(500)
            found = {"error": "see the lab's log"}
        if age != self._lab.age and (request.path or b"").strip(b"/") != b"reset":
            request.setResponseCode(409)
            found = {"error": "the lab was reset meanwhile"}
        if isinstance(found, bytes):
            kind, octets = b"message/rfc822", found
        else:
            kind = b"application/json"
            octets = json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n"
        request.setHeader(b"content-type", kind)
        request.write(octets)
        request.finish()

    async def _find(self, request: Request) -> object:
        path = (request.path or b"").decode("utf-8", "replace").strip("/")
        name, *rest = (unquote(part) for part in path.split("/"))
        method = request.method.decode("ascii", "replace")
        command = _TABLE.get((method, name))
        if command is None:
            known = any(name == other for _, other in _TABLE)
            raise Wrong(405 if known else 404, "no such thing; GET / tells what there is")
        return await command(self, request, rest)

    # ---- Clock and world -------------------------------------------------------------------

    async def help(self, request: Request, rest: list[str]) -> object:
        """What there is."""
        del request, rest
        return {**HELP, "ports": dict(self._lab.prepared.ports)}

    async def clock(self, request: Request, rest: list[str]) -> object:
        """The moment."""
        del request, rest
        now = self._lab.clock.seconds()
        return {"now": now, "date": format_date(now)}

    async def advance(self, request: Request, rest: list[str]) -> object:
        """Move the clock."""
        given = _body(request).get("advance")
        try:
            seconds = _seconds(given)
        except ValueError:
            raise Wrong(400, 'expected {"advance": "5h"}, a year at most') from None
        await self._lab.move(seconds)
        return await self.clock(request, rest)

    async def reset(self, request: Request, rest: list[str]) -> object:
        """Begin anew."""
        await self._lab.reset()
        return await self.clock(request, rest)

    async def world(self, request: Request, rest: list[str]) -> object:
        """Who lives there."""
        del request, rest
        return [
            {"name": it.name, "domains": list(it.domains), "exchanges": list(it.exchanges)}
            for it in self._lab.atlas.providers
        ]

    # ---- Inboxes ---------------------------------------------------------------------------

    async def inboxes(self, request: Request, rest: list[str]) -> object:
        """All of them; one; a message."""
        inboxes = self._lab.inboxes
        if not rest:
            return inboxes.addresses()
        path, wanted = _address(rest[0]), _arguments(request)
        if len(rest) == 1:
            return await self._until(wanted, lambda: self._messages(path, wanted))
        for mail in await inboxes.messages(path):
            if str(mail.uid) == rest[1]:
                return mail.content if rest[2:] == ["raw"] else shown(mail)
        raise Wrong(404, f"no message {rest[1]}")

    async def _messages(self, path: Path, wanted: Mapping[str, str]) -> list[object]:
        found = [shown(mail) for mail in await self._lab.inboxes.messages(path)]
        return [
            it
            for it in found
            if all(wanted.get(name, "").lower() in it[name].lower() for name in ("from", "subject"))
        ]

    async def make_inbox(self, request: Request, rest: list[str]) -> object:
        """Make an inbox."""
        del request
        if len(rest) != 1:
            raise Wrong(404, "PUT /inboxes/ADDRESS")
        account = self._lab.inboxes.open(_address(rest[0]))
        return {"address": str(account.path), "password": PASSWORD}

    async def empty_inbox(self, request: Request, rest: list[str]) -> object:
        """Empty an inbox."""
        del request
        if len(rest) != 1:
            raise Wrong(404, "DELETE /inboxes/ADDRESS")
        return {"removed": await self._lab.inboxes.empty(_address(rest[0]))}

    # ---- Journeys --------------------------------------------------------------------------

    async def journeys(self, request: Request, rest: list[str]) -> object:
        """What happened to messages that were handed in, the oldest first."""
        del rest
        wanted = _arguments(request)
        return await self._until(wanted, lambda: self._journeys(wanted))

    async def _journeys(self, wanted: Mapping[str, str]) -> list[object]:
        scribe = self._lab.parts.scribe
        await scribe.catch_up()
        found = await scribe.ask(_journeys, wanted)
        return [it for it in found if wanted.get("state", it["state"]) == it["state"]]

    async def _until(
        self, wanted: Mapping[str, str], look: Callable[[], Coroutine[Any, Any, list[object]]]
    ) -> list[object]:
        """What is found; or what is found after a while, if nothing is and the client waits."""
        try:
            patience = float(wanted.get("wait", "0"))
        except ValueError:
            patience = -1.0
        if not patience >= 0:  # a "nan" is not, either
            raise Wrong(400, "wait is a number of seconds")
        patience = min(patience, WAIT_LIMIT)
        reactor = self._lab.machine
        end = reactor.seconds() + patience
        age = self._lab.age
        while not (found := await look()):
            if age != self._lab.age:
                break
            if reactor.seconds() >= end:
                if patience:
                    raise Wrong(404, f"nothing in {patience:g} s")
                break
            pause: Deferred[None] = Deferred()
            waking = reactor.callLater(GLANCE, pause.callback, None)
            try:
                await pause
            finally:
                if waking.active():
                    waking.cancel()
        return found


_TABLE: Final[Mapping[tuple[str, str], _COMMANDS]] = {
    ("GET", ""): Root.help,
    ("GET", "clock"): Root.clock,
    ("POST", "clock"): Root.advance,
    ("GET", "world"): Root.world,
    ("POST", "reset"): Root.reset,
    ("GET", "inboxes"): Root.inboxes,
    ("PUT", "inboxes"): Root.make_inbox,
    ("DELETE", "inboxes"): Root.empty_inbox,
    ("GET", "journeys"): Root.journeys,
}


def _check(request: Request) -> None:
    """Refuse what a page in a browser could have sent."""
    host = (request.getHeader("host") or "").rpartition(":")
    name = host[0] or host[2]
    if name not in HOSTS:
        raise Wrong(403, "this is localhost")
    if request.method == b"POST" and not (request.getHeader("content-type") or "").startswith(
        "application/json"
    ):
        raise Wrong(415, "expected Content-Type: application/json")


def _arguments(request: Request) -> Mapping[str, str]:
    found: Mapping[bytes, list[bytes]] = request.args or {}
    return {
        key.decode("utf-8", "replace"): it[-1].decode("utf-8", "replace")
        for key, it in found.items()
    }


def _body(request: Request) -> Mapping[str, Any]:
    octets = b"" if request.content is None else request.content.read(BODY_LIMIT)
    try:
        found = json.loads(octets)
    except ValueError:
        raise Wrong(400, "this is no JSON") from None
    if not isinstance(found, dict):
        raise Wrong(400, "expected an object")
    return found


def _seconds(given: object) -> float:
    """A duration, as text or as a number.

    Raises:
        ValueError: It is neither.
    """
    seconds = parse_duration(given) if isinstance(given, str) else given
    if isinstance(seconds, int | float) and 0 <= seconds <= MOVE_LIMIT:
        return float(seconds)
    raise ValueError(given)


def _address(given: str) -> Path:
    try:
        found = parse_address(given)
    except Refusal:
        raise Wrong(400, f"{given} is no address") from None
    if not found.domain:
        raise Wrong(400, f"{given} has no domain")
    return found


def _is_queue_id(given: str) -> bool:
    try:
        to_number(given)
    except ValueError:
        return False
    return True


def _journeys(journeys: Journeys, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Those that fit, as a program reads them."""
    if "id" in wanted:
        found = [QueueId(wanted["id"])] if _is_queue_id(wanted["id"]) else []
    else:
        criteria = Wanted(
            wanted.get("from"), wanted.get("to"), wanted.get("message_id"), wanted.get("account")
        )
        found = journeys.find(criteria)[::-1]
    told = []
    for queue_id in found:
        events = [event for part in journeys.load(queue_id) for event in part.events]
        if not events:
            continue
        stands = standing(events)
        told.append(
            {
                "id": queue_id,
                "state": stands.word.lower(),
                "ended": stands.ended,
                "events": [as_json(event) for event in events],
                "text": list(text(events, format_date)),
            }
        )
    return told

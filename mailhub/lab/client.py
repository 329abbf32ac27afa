"""A lab in a process of its own, for a test suite: started, asked, moved in time, stopped.

    with started() as lab:
        application.configure(host=lab.host, port=lab.ports["smtp"])
        application.sign_up("ann@inbox.test")
        message = lab.inbox("ann@inbox.test").wait(subject="Welcome")
        lab.advance("5h")

The standard library only: this runs inside other people's test suites.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

PATIENCE: Final = 5.0
"""Seconds that a test waits for mail."""
START_PATIENCE: Final = 30.0
"""Seconds that a lab may take to listen; it takes one."""
STOP_PATIENCE: Final = 15.0
GLANCE: Final = 0.01
_LINK: Final = re.compile(r"https?://[^\s<>\"']+")


class LabError(Exception):
    """The lab did not start, or would not do what it was asked for; the text says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that somebody got.

    Attributes:
        received: When, seconds since the epoch.
        headers: Its fields, decoded, in order.
        text, html: Its bodies; ``""`` where there is none.
        attachments: Their names and media types.
    """

    id: int
    received: float
    sender: str
    to: str
    subject: str
    headers: Sequence[tuple[str, str]]
    text: str
    html: str
    attachments: Sequence[Mapping[str, str]]

    def header(self, name: str) -> str | None:
        """The first field of a name."""
        return next((it for key, it in self.headers if key.lower() == name.lower()), None)

    @property
    def links(self) -> list[str]:
        """The web addresses in its text, or in its HTML if it has no text."""
        return [link.rstrip(".,)") for link in _LINK.findall(self.text or self.html)]


@dataclass(frozen=True, slots=True)
class Journey:
    """What happened to a message that was handed in.

    Attributes:
        state: ``delivered``, ``delayed``, ``failed``, ``waiting`` and others, as
            `mailhub journey` says it.
        ended: Nothing is left to do.
        events: What happened, in order; docs/operator.md tells of them.
        text: The same for a person.
    """

    id: str
    state: str
    ended: bool
    events: Sequence[Mapping[str, Any]]
    text: Sequence[str]

    def __str__(self) -> str:
        return "\n".join((f"{self.id}: {self.state}", *self.text))


class Inbox:
    """The inbox of one address."""

    def __init__(self, lab: Lab, address: str) -> None:
        self.address = address
        self._lab = lab
        self._path = f"/inboxes/{quote(address, safe='@')}"

    def messages(self, *, sender: str = "", subject: str = "") -> list[Message]:
        """What is in it, the oldest first: all, or what has these texts in its fields."""
        return self._messages({"from": sender, "subject": subject})

    def wait(self, *, sender: str = "", subject: str = "", timeout: float = PATIENCE) -> Message:
        """The first such message, which may still have to come.

        Raises:
            AssertionError: None came in time.
        """
        asked = {"from": sender, "subject": subject, "wait": str(timeout)}
        try:
            return self._messages(asked)[0]
        except HTTPError as error:
            if error.code != 404:
                raise
        there = [message.subject for message in self.messages()]
        raise AssertionError(f"no such message for {self.address} in {timeout} s; there is {there}")

    def raw(self, message: Message) -> bytes:
        """The octets of a message."""
        return self._lab.request("GET", f"{self._path}/{message.id}/raw")

    def clear(self) -> None:
        """Empty it."""
        self._lab.request("DELETE", self._path)

    def _messages(self, asked: Mapping[str, str]) -> list[Message]:
        found = self._lab.ask("GET", f"{self._path}?{urlencode(asked)}")
        return [
            Message(
                it["id"],
                it["received"],
                it["from"],
                it["to"],
                it["subject"],
                [(name, value) for name, value in it["headers"]],
                it["text"],
                it["html"],
                it["attachments"],
            )
            for it in found
        ]


class Lab:
    """A lab that runs.

    Args:
        facts: What it wrote into its ready file.

    Attributes:
        ports: By service: ``smtp``, ``submission``, ``imap``, ``http`` and others.
        ca: The certificate to be trusted.
        login, password: What submission takes; all inboxes have the same password.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.host: str = facts["host"]
        self.ports: Mapping[str, int] = facts["ports"]
        self.url: str = facts["url"]
        self.ca: str = facts["ca"]
        self.login: str = facts["login"]
        self.password: str = facts["password"]
        self._opener = build_opener(ProxyHandler({}))  # loopback is behind no proxy

    @property
    def now(self) -> float:
        """The lab's moment, seconds since the epoch."""
        return float(self.ask("GET", "/clock")["now"])

    def advance(self, duration: str | float) -> float:
        """Let time pass, with all that happens in it: ``"5h"``, or seconds; the moment then."""
        return float(self.ask("POST", "/clock", {"advance": duration})["now"])

    def reset(self) -> None:
        """Begin anew, as on the first day: no inboxes, no queue, no journeys, and it is today.

        Connections to it are closed, and what waits for something in it fails.
        """
        self.ask("POST", "/reset", {})

    def inbox(self, address: str) -> Inbox:
        """The inbox of an address; it can be read over IMAP and POP3 from then on."""
        self.ask("PUT", f"/inboxes/{quote(address, safe='@')}")
        return Inbox(self, address)

    def journeys(self, *, to: str = "", sender: str = "", message_id: str = "") -> list[Journey]:
        """What happened to messages that were handed in, the oldest first."""
        return self._journeys({"to": to, "from": sender, "message_id": message_id})

    def journey(
        self,
        *,
        to: str = "",
        sender: str = "",
        message_id: str = "",
        state: str = "",
        timeout: float = PATIENCE,
    ) -> Journey:
        """The latest such journey; with `state`, one that has come so far, or does in time.

        Raises:
            AssertionError: There is none; the text tells what happened instead.
        """
        asked = {"to": to, "from": sender, "message_id": message_id}
        try:
            return self._journeys({**asked, "state": state, "wait": str(timeout)})[-1]
        except HTTPError as error:
            if error.code != 404:
                raise
        told = "\n".join(map(str, self._journeys(asked))) or "no such message"
        raise AssertionError(f"not {state or 'handed in'} in {timeout} s: {told}")

    def _journeys(self, asked: Mapping[str, str]) -> list[Journey]:
        chosen = {name: value for name, value in asked.items() if value}
        return [Journey(**it) for it in self.ask("GET", f"/journeys?{urlencode(chosen)}")]

    def ask(self, method: str, path: str, given: object = None) -> Any:
        """A request of the HTTP interface, and what it answers.

        Raises:
            HTTPError: It was refused.
        """
        return json.loads(self.request(method, path, given))

    def request(self, method: str, path: str, given: object = None) -> bytes:
        """Likewise, as octets."""
        octets = None if given is None else json.dumps(given).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(self.url + path, octets, headers, method=method)  # noqa: S310  # ours
        with self._opener.open(request) as answer:
            found: bytes = answer.read()
        return found


@contextmanager
def started(world: str = "lab", state: str | None = None) -> Iterator[Lab]:
    """A lab for as long as a block lasts; `state` is a directory in which the next one finds it.

    Raises:
        LabError: It does not start.
    """
    with tempfile.TemporaryDirectory(prefix="mailhub-lab-") as directory:
        ready = os.path.join(directory, "ready.json")
        command = [sys.executable, "-m", "mailhub", "lab", "--ports", "free", "--ready", ready]
        said = os.path.join(directory, "said")
        with open(said, "wb") as output:
            kept = state or os.path.join(directory, "state")
            process = subprocess.Popen(  # noqa: S603  # our own program
                [*command, "--world", world, "--state", kept],
                stdout=output,
                stderr=output,
            )
        try:
            yield Lab(_facts(process, ready, said))
        finally:
            _ended(process)


def _facts(process: subprocess.Popen[bytes], ready: str, said: str) -> Mapping[str, Any]:
    """What the lab tells once it listens."""
    end = time.monotonic() + START_PATIENCE
    while not os.path.exists(ready):
        if process.poll() is not None or time.monotonic() > end:
            with open(said, encoding="utf-8", errors="replace") as file:
                raise LabError(f"the lab does not start: {file.read().strip()}")
        time.sleep(GLANCE)
    with open(ready, encoding="utf-8") as file:
        found: Mapping[str, Any] = json.load(file)
    return found


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

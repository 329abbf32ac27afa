"""The mailbox of what was sent, through Python's imaplib and a hub that is killed."""

from __future__ import annotations

import imaplib
import json
import re
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.test_kill import PASSWORD, READER, Hub

pytestmark = pytest.mark.interop


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub whose next hop is dead, with a port for submission."""
    made = Hub(tmp_path)
    port = made.smtp
    text = made.config.read_text().replace("submission =", "").replace("smtp = ", "smtp =\n# ")
    made.config.write_text(text.replace("[auth]", f"submission = 127.0.0.1:{port}\n[auth]", 1))
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGTERM)


def submit(hub: Hub, subject: str) -> str:
    """Submit a message; its queue id, as the reply tells it."""
    with smtplib.SMTP("127.0.0.1", hub.smtp) as client:
        client.login(READER, PASSWORD)
        client.mail(READER)
        client.rcpt("x@far.example")
        code, reply = client.data(f"Subject: {subject}\r\nFrom: {READER}\r\n\r\nText\r\n")
    assert code == 250
    [queue_id] = re.findall(r"queued as (\w+)", reply.decode())
    return str(queue_id)


def fetched(client: imaplib.IMAP4) -> dict[str, tuple[str, str]]:
    """UID to keywords and subject of what is in the mailbox."""
    client.select("Queue")
    found = {}
    _, data = client.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    for each in data:
        if isinstance(each, tuple):
            [uid] = re.findall(r"UID (\d+)", each[0].decode())
            [flags] = re.findall(r"FLAGS \(([^)]*)\)", each[0].decode())
            found[uid] = flags, each[1].decode().strip()
    return found


def until_delayed(client: imaplib.IMAP4, subject: str) -> str:
    """The UID of a message, once its first attempt has failed."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for uid, (flags, told) in fetched(client).items():
            if (
                told.endswith(subject)
                and told.startswith("Subject: Delayed")
                and "$Delayed" in flags
            ):
                return uid
        time.sleep(0.1)
    raise AssertionError(f"{subject} is not shown as delayed")


def journey(hub: Hub, queue_id: str) -> list[str]:
    told = json.loads(hub.operate("journey", queue_id, "--json"))
    return [event["event"] for event in told[0]["events"]]


def test_killed_and_seen_again(hub: Hub) -> None:
    """After SIGKILL the sender sees what was seen before, under the same UID; and cancels it."""
    queue_id = submit(hub, "first")
    client = hub.reader(READER)
    uid = until_delayed(client, "first")
    assert journey(hub, queue_id)[:2] == ["accepted", "decided"]
    hub.end(signal.SIGKILL)
    hub.start()
    client = hub.reader(READER)
    assert until_delayed(client, "first") == uid
    client.uid("STORE", uid, "+FLAGS", "(\\Deleted)")
    assert client.expunge()[0] == "OK"
    assert fetched(client) == {}
    assert json.loads(hub.operate("queue", "list", "--json")) == []
    second = submit(hub, "second")
    hub.end(signal.SIGKILL)
    hub.start()
    assert until_delayed(hub.reader(READER), "second")
    assert journey(hub, second)[0] == "accepted"


def test_idle(hub: Hub) -> None:
    """Another program than ours is told by IDLE of what is sent, and of what becomes of it."""
    client = hub.reader(READER)
    client.select("Queue")
    client.send(b"i IDLE\r\n")
    assert client.readline().startswith(b"+")
    submit(hub, "third")
    heard = b""
    while b"EXISTS" not in heard:
        heard += client.readline()
    client.send(b"DONE\r\n")
    while not heard.endswith(b"Idle completed\r\n"):
        heard += client.readline()
    client.logout()


def test_back_to_drafts(hub: Hub) -> None:
    """What is moved to Drafts is there as it was written, and is not sent."""
    submit(hub, "fourth")
    client = hub.reader(READER)
    uid = until_delayed(client, "fourth")
    status, _ = client.uid("MOVE", uid, "Drafts")
    assert status == "OK"
    client.select("Drafts")
    _, data = client.fetch("1", "(FLAGS BODY.PEEK[])")
    assert isinstance(data[0], tuple)
    assert b"\\Draft" in data[0][0]
    assert b"Subject: fourth" in data[0][1]
    assert json.loads(hub.operate("queue", "list", "--json")) == []


def test_followed(hub: Hub) -> None:
    """Another process follows a message as it goes."""
    command = [sys.executable, "-m", "mailhub", "--config", str(hub.config)]
    with subprocess.Popen(
        [*command, "journey", "--follow", "--json", "--since", "1h"], stdout=subprocess.PIPE
    ) as following:
        queue_id = submit(hub, "fifth")
        assert following.stdout is not None
        line = json.loads(following.stdout.readline())
        following.terminate()
    assert line["id"] == queue_id

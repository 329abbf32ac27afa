"""How a message is told where a spool would not bring it about."""

from __future__ import annotations

from dataclasses import replace

from mailhub.cli.queued import as_json, attempt_as_json, row, told
from mailhub.mail.address import parse_path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Reply
from mailhub.ports.outgoing import Attempt
from mailhub.queue.ids import to_queue_id
from mailhub.queue.item import Delivered, Held, Pending, cancel, new_item
from mailhub.queue.journey import Attempted

ID = to_queue_id(5)
ITEM = new_item(
    ID,
    0.0,
    Envelope(recipients=tuple(Recipient(parse_path(f"{it}@x.example")) for it in "ab")),
    [None, None],
    5,
)
OK = Reply(250, "1.5", ("ok",))


def test_settled_recipients() -> None:
    """Settled recipients are told with what settled them."""
    item = replace(ITEM, fates=(Delivered(OK, 9.0), ITEM.fates[1]))
    assert "  1. <a@x.example>  delivered  (250 2.1.5 ok)" in list(told(ID, item, [], 10.0))
    assert as_json(item)["recipients"][0] == {
        "address": "a@x.example",
        "local": False,
        "state": "delivered",
        "at": 9.0,
        "reply": "250 2.1.5 ok",
    }
    assert row(item, 10.0)["recipients"] == "b@x.example"
    dropped = cancel(ITEM, [0], 3.0)
    assert as_json(dropped)["recipients"][0]["reply"] is None


def test_waiting() -> None:
    """A moment to come is told as the time until then; one that is held has none."""
    later = replace(ITEM, fates=(Pending(3610.0), Held(Pending(0.0), "x")))
    assert row(later, 10.0)["next"] == "in 1h"
    assert row(later, 10.0)["state"] == "part held"
    held = replace(ITEM, fates=(Held(Pending(0.0), "x"),) * 2)
    assert (row(held, 10.0)["next"], row(held, 10.0)["state"]) == ("", "held")


def test_attempt_without_address() -> None:
    """An attempt that found no address, or lost its connection in doubt, says so."""
    attempt = Attempt(0, 2, "mx.example", "", 25, "", "", False, "content", OK, in_doubt=True)
    *_, where, what = told(ID, ITEM, [Attempted((0, 1), attempt)], 10.0)
    assert where.endswith("  mx.example  for 1, 2")
    assert "content, in the clear, 2.0s: " in what
    assert what.endswith("connection lost before the reply to the content")
    assert attempt_as_json(Attempted((0,), attempt))["in_doubt"] is True

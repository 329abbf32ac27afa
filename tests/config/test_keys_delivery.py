"""Keys of the queue and of the way out."""

from __future__ import annotations

from mailhub.config.keys_delivery import RELAY
from mailhub.config.load import parse
from mailhub.policy.limits import Family
from mailhub.policy.route import TlsDemand
from mailhub.smtp.wire import Timeouts


def test_every_stage_has_a_key() -> None:
    """Each time of the SMTP client can be set."""
    targets = {key.target for key in RELAY.keys}
    assert {f"relay.patience.{name}" for name in Timeouts.__slots__} <= targets


def test_words() -> None:
    """The words of a choice are those of the code that obeys them."""
    for demand in TlsDemand:
        text = f"[hub]\nhostname = hub.example\n[relay]\ntls = {demand.value}\n"
        assert parse(text)[0].relay.tls is demand
    for family in Family:
        text = f"[hub]\nhostname = hub.example\n[relay]\naddress family = {family.value}\n"
        assert parse(text)[0].relay.reach.family is family

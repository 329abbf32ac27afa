"""What customers, and those who cannot become one, see of a sign-up."""

from __future__ import annotations

import pytest
from shop import SENDER, Shop

from mailhub.lab.client import Inbox, Lab


@pytest.fixture
def shop(mailhub_lab: Lab) -> Shop:
    """A shop whose mail goes into the lab."""
    return Shop((mailhub_lab.host, mailhub_lab.ports["smtp"]))


def test_the_link_makes_a_customer(shop: Shop, inbox: Inbox) -> None:
    """The mail arrives, and its link is the right one."""
    shop.sign_up(inbox.address)
    message = inbox.wait(subject="confirm your address")
    assert message.sender == f"The shop <{SENDER}>"
    [link] = message.links
    assert shop.confirm(link.rpartition("/")[2])
    assert shop.customers == {inbox.address}


def test_a_greylisting_provider(shop: Shop, mailhub_lab: Lab) -> None:
    """Where strangers have to wait, the mail arrives all the same: minutes later."""
    inbox = mailhub_lab.inbox("ann@greylist.test")
    shop.sign_up(inbox.address)
    mailhub_lab.journey(to=inbox.address, state="delayed")
    assert inbox.messages() == []
    mailhub_lab.advance("1h")
    inbox.wait(subject="confirm your address")


@pytest.mark.parametrize(("address", "time"), [("ann@unknown.test", "1m"), ("ann@full.test", "6d")])
def test_an_address_that_cannot_be_reached(
    shop: Shop, mailhub_lab: Lab, address: str, time: str
) -> None:
    """What comes back, at once or after days, is understood."""
    ours = mailhub_lab.inbox(SENDER)
    ours.clear()
    shop.sign_up(address)
    mailhub_lab.advance(time)
    ours.wait(subject=f"Not delivered: {address}")
    for message in ours.messages():
        shop.came_back(ours.raw(message))
    assert shop.unreachable == {address}


def test_over_the_web(shop: Shop, inbox: Inbox) -> None:
    """The same as a customer does it."""
    pytest.importorskip("flask")
    from app import create_app  # noqa: PLC0415  # needs Flask

    client = create_app(shop).test_client()
    assert client.post("/signup", data={"address": inbox.address}).status_code == 202
    [link] = inbox.wait(subject="confirm").links
    assert client.get(link.removeprefix(shop.url)).status_code == 200
    assert client.get(link.removeprefix(shop.url)).status_code == 404

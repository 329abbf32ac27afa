"""Fixtures for pytest: `mailhub_lab`, a lab that runs, and `inbox`, an inbox for one test.

Found by pytest wherever mailhub is installed; nothing starts before a test asks for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from mailhub.lab.client import Inbox, Lab, started


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the world be chosen."""
    parser.addini("mailhub_world", "who lives in mailhub_lab: lab, or a world file", default="lab")


@pytest.fixture(scope="session")
def mailhub_lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """A lab that runs while the tests do: addresses, inboxes, journeys, a clock."""
    with started(pytestconfig.getini("mailhub_world")) as lab:
        yield lab


@pytest.fixture
def inbox(mailhub_lab: Lab) -> Inbox:
    """The inbox of an address that no other test has, at a domain that takes all mail."""
    return mailhub_lab.inbox(f"{uuid.uuid4().hex[:12]}@inbox.test")

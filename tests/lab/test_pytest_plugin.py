"""The fixtures, in a test suite of their own."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]
NAME = "mailhub.lab.pytest_plugin"
FOUND = any(it.value == NAME for it in entry_points(group="pytest11"))


def test_fixtures(pytester: pytest.Pytester) -> None:
    """A suite has one lab, and each of its tests an inbox of its own."""
    pytester.makepyfile(
        """
        import smtplib

        def hand_in(lab, to):
            with smtplib.SMTP(lab.host, lab.ports["smtp"]) as smtp:
                smtp.sendmail("a@b.test", [to], "Subject: Hello\\n\\nhttps://shop.test/t/1")

        def test_one(mailhub_lab, inbox):
            hand_in(mailhub_lab, inbox.address)
            assert inbox.wait(subject="Hello").links == ["https://shop.test/t/1"]

        def test_two(mailhub_lab, inbox):
            assert inbox.messages() == []
            hand_in(mailhub_lab, "x@greylist.test")
            mailhub_lab.advance("1h")
            mailhub_lab.journey(to="x@greylist.test", state="delivered")
        """
    )
    loaded = () if FOUND else ("-p", NAME)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *loaded)
    result.assert_outcomes(passed=2)


def test_world(pytester: pytest.Pytester) -> None:
    """The world is chosen in pytest's own configuration."""
    pytester.makeini("[pytest]\nmailhub_world = calm\n")
    pytester.makepyfile(
        """
        def test_one(mailhub_lab):
            found = mailhub_lab.ask("GET", "/world")
            assert all("greylist.test" not in it["domains"] for it in found)
        """
    )
    result = pytester.runpytest_subprocess(*(() if FOUND else ("-p", NAME)))
    result.assert_outcomes(passed=1)

"""Routes from sections, one mistake at a time (the others are in tests/config/bad)."""

from __future__ import annotations

from mailhub.config.route import Draft
from mailhub.policy.route import Smarthost, TlsDemand


def draft(**values: object) -> Draft:
    names = {"password_file": "password file", "implicit": "implicit tls"}
    lines = {names.get(name, name): number for number, name in enumerate(values, start=5)}
    return Draft("x", 4, values, lines)


def hop(**values: object) -> Smarthost:
    made = draft(**values)
    route = made.route()
    assert made.mistakes == []
    assert route is not None
    assert route.hop is not None
    return route.hop


def test_ports() -> None:
    """The port follows from the kind of TLS, and the kind of TLS from port 465."""
    assert hop(host=("a.example", 0)).port == 587
    assert hop(host=("a.example", 0), implicit=True).port == 465
    assert hop(host=("a.example", 465)).implicit
    assert not hop(host=("a.example", 465), implicit=False).implicit
    assert hop(host=("a.example", 2525), implicit=True).port == 2525


def test_tls() -> None:
    """A smarthost is verified unless told otherwise; exceptions are opportunistic."""
    assert hop(host=("a.example", 0)).tls is TlsDemand.VERIFIED
    assert hop(host=("a.example", 0), tls=TlsDemand.NONE).tls is TlsDemand.NONE
    exception = draft(host=None).route()
    assert exception is not None
    assert exception.tls is TlsDemand.OPPORTUNISTIC


def test_no_host() -> None:
    """A section without a host is told with the line of its title."""
    made = draft(recipients=("a.example",))
    assert made.route() is None
    assert [(it.line, it.section, it.key) for it in made.mistakes] == [(4, "route x", "host")]

"""Prints the sample file from the table of keys: ``python -m mailhub.config.sample``.

What is commented out with ``#`` alone is a key at its default; what follows
``# `` is text for a person.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Final

from mailhub.config.key import Key, Section
from mailhub.config.schema import NAMED, SECTIONS
from mailhub.config.settings import Settings

WIDTH: Final = 96

PREFACE: Final = """\
mailhub.ini: all that can be configured. Each key is commented out and shows its default;
to change one, take away its "#". Section titles stay as they are.

Durations have units (90s, 5m, 1h30m, 5d), sizes too (64K, 50M, 2G; K is 1024 octets), lists
have commas, or one item on each of several indented lines.

  mailhub check          tells all mistakes at once (twistd mailhub --check does the same)
  systemctl reload ...   or SIGHUP applies changes without dropping a connection, except those
                         marked (restart); a file with mistakes then changes nothing

Domains, accounts and aliases are not here: mailhub domain, mailhub account, mailhub alias.
"""

EXAMPLES: Final = {
    "route NAME": """\
For example, all mail through a provider, but for one domain:

[route provider]
host = smtp.example.com:465
username = hub@example.com
password file = /etc/mailhub/provider.password

[route direct]
host =
recipients = partner.example
""",
    "provider NAME": """\
For example, fewer connections to Google than is usual, a way round if they block us, and a
neighbour who wants no more than 600 messages an hour:

[provider google]
connections = 5
detour = relay

[route relay]
host = smtp.example.com:465
spare = yes

[provider neighbour]
mx = *.neighbour.example
messages per hour = 600
""",
    "class NAME": """\
For example, alarms before everything else, and newsletters that are given up after a day:

[class alarm]
accounts = monitor@example.com
weight = 100
delays = 1m, 2m, 5m

[class bulk]
lifetime = 1d
delay warning = 0
""",
    "limit NAME": """\
For example, more for the shop, and a hundred messages a day for what the pupils send:

[limit accounts]
recipients per hour = 500

[limit pupils]
accounts = *.school.example
messages per day = 100
action = refuse
""",
    "backup NAME": """\
For example:

[backup neighbour]
domains = neighbour.example
lifetime = 14d
delay warning = 0
""",
    "sending NAME": """\
For example, a shop whose newsletters have return paths of ours, and a domain that writes to
whom it likes:

[sending shop]
senders = shop.example
return paths = bulk
return domain = bounces.shop.example

[sending school]
senders = *.school.example
action = off
""",
    "source NAME": """\
For example, two addresses in turn, but one of them only for Google:

[relay]
sources = one, two

[source one]
ipv4 = 192.0.2.1
helo = one.example.com

[source two]
ipv4 = 192.0.2.2
helo = two.example.com

[provider google]
sources = one
""",
}


def sample(chosen: Mapping[tuple[str, str], str] | None = None) -> str:
    """The sample file; keys in `chosen` (section, name) are set to that text."""
    values = chosen or {}
    lines = [*_comment(PREFACE)]
    for section in SECTIONS:
        all_wait = all(key.restart for key in section.keys)
        note = " Changes wait for a restart." if all_wait else ""
        lines += ["", "", f"[{section.name}]", *_paragraph(section.why + note)]
        for key in section.keys:
            text = values.get((section.name, key.name))
            mark = " (restart)" if key.restart and not all_wait else ""
            lines += ["", *_paragraph(key.why + mark)]
            lines += _setting(key.name, text) if text is not None else _default(key)
    for section in NAMED:
        lines += ["", "", *_named(section)]
    return "\n".join(lines) + "\n"


def _named(section: Section) -> Iterator[str]:
    """Keys described only: there is no section of this kind until it is given a name."""
    yield f"# [{section.name}]"
    yield from _paragraph(section.why)
    yield "#"
    for key in section.keys:
        text = f"{key.name}: {key.why}"
        yield from _wrapped(text, "#   ", "#       ")
    yield "#"
    yield from _comment(EXAMPLES[section.name])


def _default(key: Key) -> Iterator[str]:
    text = key.kind.show(attrgetter(key.target)(Settings()))
    yield from (f"#{line}" for line in _setting(key.name, text))


def _setting(name: str, text: str) -> list[str]:
    return [f"{name} = {text}".rstrip()]


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}".rstrip() for line in text.splitlines())


def _paragraph(text: str) -> list[str]:
    return _wrapped(text, "# ", "# ")


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


if __name__ == "__main__":
    sys.stdout.write(sample())

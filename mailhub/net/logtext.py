"""Log events as the lines that twistd writes, at a third of its price.

A busy hub writes several lines for each message. Twisted forms a time zone for each of them, and
formats field by field; here the second is formed once for all its lines.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from twisted.logger import LogEvent, formatEvent, formatEventAsClassicLogText

from mailhub.net.dnswire import LOG_PREFIX

TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%S%z"
"""As twistd writes it."""
_OF_A_QUERY: Final = re.compile(rf"{LOG_PREFIX} starting on \d+|\(UDP Port \d+ Closed\)")
"""What Twisted tells of each query of ours to a name server."""


class ClassicText:
    """What `twisted.logger.FileLogObserver` asks for the text of each event."""

    def __init__(self) -> None:
        self._second = -1
        self._time = ""

    def __call__(self, event: LogEvent) -> str | None:
        """The event's line; with a failure's traceback, several."""
        if _OF_A_QUERY.fullmatch(event.get("log_text", "")):
            return None
        if "log_failure" in event or "log_system" in event or "log_level" not in event:
            return formatEventAsClassicLogText(event)
        text = event["line"] if event["log_format"] == "{line}" else formatEvent(event)
        if not text:
            return None
        second = int(event["log_time"])
        if second != self._second:
            self._second = second
            self._time = datetime.fromtimestamp(second).astimezone().strftime(TIME_FORMAT)
        system = f"{event['log_namespace']}#{event['log_level'].name}"
        return "{} [{}] {}\n".format(self._time, system, text.replace("\n", "\n\t"))

"""``twistd mailhub``: options, and the hub that they describe.

The plugin names this module; twistd imports it before it forks. Only
`real_world` touches the global reactor.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.internet.selectreactor import SelectReactor
from twisted.logger import FileLogObserver, ILogObserver
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.scripts._twistd_unix import UnixAppLogger

from mailhub.config.load import ConfigError, load
from mailhub.config.settings import Settings
from mailhub.hub import CannotStart, Hub
from mailhub.net.disk import ThreadedDisk
from mailhub.net.logfile import TurnFile
from mailhub.net.logtext import ClassicText
from mailhub.net.loop import quicken
from mailhub.store.durable import boot_id
from mailhub.surroundings import Surroundings

DEFAULT_FILE = "/etc/mailhub/mailhub.ini"


class Options(usage.Options):
    """``twistd mailhub --config FILE``.

    A bad file is a usage error: twistd prints it in full, and nothing is bound
    or forked.
    """

    synopsis = "[options]"
    longdesc = "A whole mail server: ESMTP, submission, relay queue, POP3 and IMAP."
    optParameters = [["config", "c", DEFAULT_FILE, "The configuration file."]]  # noqa: RUF012
    optFlags = [["check", None, "Check the configuration and exit."]]  # noqa: RUF012
    settings: Settings

    def postOptions(self) -> None:
        """Read the file."""
        try:
            self.settings = load(self["config"])
        except ConfigError as error:
            raise usage.UsageError(str(error)) from None
        except OSError as error:
            raise usage.UsageError(f"{self['config']}: {error.strerror}") from None
        if self["check"]:
            sys.stdout.write(f"{self['config']}: no mistakes\n")
            sys.exit(0)


class Logged(MultiService):
    """The hub in an application whose log it forms itself, unless twistd was told how to log.

    Args:
        options: twistd's own.
        reactor: In whose turns lines are gathered.
    """

    def __init__(self, hub: Hub, options: Mapping[str, Any], reactor: Any) -> None:
        super().__init__()
        hub.setServiceParent(self)
        self._options = options
        self._reactor = reactor

    def setServiceParent(self, parent: Any) -> None:
        """Join the application, with an observer that twistd then takes for its own."""
        if isinstance(parent, Componentized) and not self._options.get("logger"):
            parent.setComponent(ILogObserver, self.observer(self._options, self._reactor))
        super().setServiceParent(parent)

    @staticmethod
    def observer(options: Mapping[str, Any], reactor: Any) -> Any:
        """The observer that twistd would make; one that writes lines does it our way."""
        observer = UnixAppLogger(options)._getLogObserver()  # noqa: SLF001
        if isinstance(observer, FileLogObserver):
            observer.formatEvent = ClassicText()
            file: Any = TurnFile(observer._outFile, reactor)  # noqa: SLF001
            observer._outFile = file  # noqa: SLF001
        return observer


def makeService(options: Options) -> MultiService:
    """The hub, as twistd asks for it."""
    sys.excepthook = _one_line
    world = real_world()
    hub = _hub(os.path.abspath(options["config"]), options.settings, world)
    return hub if options.parent is None else Logged(hub, options.parent, world.reactor)


def hub_from_file(path: str) -> Hub:
    """The hub that a configuration file describes, for a ``.tac`` file.

    Raises:
        ConfigError: With every mistake in the file.
        OSError: It cannot be read.
    """
    return _hub(path, load(path), real_world())


def _hub(path: str, settings: Settings, world: Surroundings) -> Hub:
    quicken(world.reactor)
    hub = Hub(settings, world, lambda: load(path))
    world.reactor.callWhenRunning(reload_on_hangup, hub, world.reactor)
    world.reactor.callWhenRunning(settle)
    if not isinstance(world.reactor, SelectReactor):  # select() knows no number past 1023
        world.reactor.callWhenRunning(open_more)
    return hub


def reload_on_hangup(hub: Hub, reactor: Any) -> None:
    """Let SIGHUP reload the configuration (SIGUSR1 is twistd's: it rotates the log)."""
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(hub.reload))


DESCRIPTORS: Final = 65_536
"""As many as the unit for systemd asks for (`etc/mailhub.service`)."""


def open_more() -> None:
    """Let as many files and sockets be open as the machine allows us, up to `DESCRIPTORS`.

    A shell's soft limit is 1024, for the sake of programs that use select(). Our default
    `connections` would run into it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # not allowed here: then it stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


YOUNG: Final = 20_000
"""Objects made since the last look that are worth one: Python's 700 are those of three messages."""


def settle() -> None:
    """Keep what a start has made, which is for good, out of the garbage collector's sight.

    It would look at all of it in each full round: some 50 ms in which nobody is served. And
    have it look less often at what is young: hardly anything of ours goes round in circles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])


def real_world() -> Surroundings:
    """The machine that we run on."""
    from twisted.internet import reactor as the_reactor  # noqa: PLC0415, TID251  # the one place

    reactor: Any = the_reactor
    make_steady(reactor)
    return Surroundings(
        reactor=reactor,
        now=time.time,
        entropy=secrets.token_bytes,
        chance=random.SystemRandom(),
        boot_id=boot_id() or secrets.token_hex(16),  # without a name each start counts as one
        threads=lambda number, name: ThreadedDisk(reactor, number, name, clock=time.perf_counter),
        both_families=both_families(),
    )


def make_steady(reactor: Any) -> None:
    """Have timers run by a clock that nobody can set.

    Twisted's is the date: set back by a day, nothing that waits would go on for a day, and no
    jump be noticed, as there would be one clock for waiting and for dates.
    """
    if reactor.seconds is time.monotonic:
        return
    behind = time.monotonic() - reactor.seconds()
    reactor.seconds = time.monotonic
    for call in reactor.getDelayedCalls():
        call.seconds, call.time = time.monotonic, call.time + behind


def both_families() -> bool:
    """Whether a socket on ``::`` takes IPv6 and IPv4: tried, for a kernel without IPv6 says yes."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
            return not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return False


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell an operator's mistake in one line, and a bug of ours in full."""
    if isinstance(error, CannotStart):
        sys.stderr.write(f"mailhub: {error}\n")
    else:
        sys.__excepthook__(kind, error, trace)

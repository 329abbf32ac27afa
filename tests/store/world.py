"""A store on a temporary directory, a disk whose jobs a test ends one by one, files that fail."""

from __future__ import annotations

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path as FilePath
from typing import Any, ParamSpec, TypeVar

from mailhub.mail.address import Path
from mailhub.ports.accounts import Account, AccountId, Quota
from mailhub.ports.disk import Disk
from mailhub.ports.filing import Filing
from mailhub.ports.message import Appending, Placed, Summary
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store.account import AccountStore
from mailhub.store.box import Box
from mailhub.store.files import Files
from mailhub.store.filing import MaildirFiler
from mailhub.store.ground import Ground
from mailhub.store.limits import Limits
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.stores import Stores
from tests.rig import InlineDisk, run

P = ParamSpec("P")
T = TypeVar("T")

TEXT = b"Subject: one\r\nFrom: ann@hub.example\r\n\r\nHello.\r\n"
LATE = 1_700_000_000.0


def summary(content: bytes) -> Summary:
    """A stand-in for the renderer of IMAP's structures."""
    return Summary(b"envelope of " + content[:12], b"body", b"structure %d" % len(content))


class Hub:
    """A store, its accounts and its local delivery, which can be started anew."""

    def __init__(
        self,
        root: FilePath,
        *,
        disk: Disk | None = None,
        files: Files | None = None,
        limits: Limits | None = None,
        quota: Quota | None = None,
        mailboxes: tuple[str, ...] = ("Sent", "Trash"),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.root = root
        self.disk = disk or InlineDisk()
        self.files = files or Files()
        self.limits = limits or Limits()
        self.account = Account(
            AccountId(1), Path("ann", "hub.example"), "mail/hub.example/ann", quota or Quota()
        )
        self.maildir = root / "mail/hub.example/ann"
        self.logged: list[str] = []
        self.clock = clock
        self.boot = "first boot"
        self._mailboxes = dict.fromkeys(mailboxes, ())
        self._starts = 0
        self.start()

    def start(self) -> None:
        """Begin as a new process does."""
        self._starts += 1
        self.stores = Stores(
            str(self.root),
            self.disk,
            clock=self.clock,
            host="hub",
            token=f"t{self._starts}",
            boot=self.boot,
            summarise=summary,
            log=self.logged.append,
            limits=self.limits,
            mailboxes=self._mailboxes,
            files=self.files,
        )
        self.filer: MaildirFiler = self.stores.filer()

    def restart(self) -> None:
        """End without a word, and begin again."""
        self.stores.close()
        self.start()

    @property
    def store(self) -> AccountStore:
        """The account's mailboxes."""
        return run(self.stores.of(self.account))

    @property
    def ground(self) -> Ground:
        """What the store stands on."""
        return self.stores.ground

    def open(self, name: str = "INBOX") -> SharedMailbox:
        """An open mailbox."""
        return run(self.store.open(name))

    def box(self, name: str = "INBOX") -> Box:
        """The mailbox on disk, as it would be loaded."""
        return self.open(name).box

    def filing(self, unique: str, content: bytes = TEXT, **more: Any) -> Filing:
        """A message for the account, arriving now."""
        more.setdefault("arrived", self.clock())
        return Filing(self.account, unique, head=b"", content=content, size=len(content), **more)

    def deliver(self, *uniques: str, content: bytes = TEXT, **more: Any) -> list[Filing]:
        """File messages, which must succeed."""
        filings = [self.filing(unique, content, **more) for unique in uniques]
        assert run(self.filer.file(filings)) == [None] * len(filings)
        return filings

    def append(self, *contents: bytes, name: str = "INBOX", **more: Any) -> Placed:
        """Append messages."""
        return run(append(self.store, contents, name, **more))

    def drop(
        self, name: str, content: bytes = b"Subject: foreign\n\nHi.\n", place: str = "new"
    ) -> FilePath:
        """Put a file into the maildir, as another program does."""
        path = self.maildir / place / name
        temporary = self.maildir / "tmp" / name
        temporary.write_bytes(content)
        temporary.rename(path)
        return path

    def follow(self) -> None:
        """Have the names of files say all flags, as happens after a moment."""
        run(self.stores.following.follow())

    def lose_index(self) -> None:
        """Remove the index, between two starts."""
        self.stores.close()
        for path in self.maildir.glob("mailhub-index*"):
            path.unlink()
        self.start()

    def cur(self, folder: str = "") -> list[str]:
        """The names in ``cur``, sorted."""
        return sorted(os.listdir(self.maildir / folder / "cur"))


async def append(
    store: AccountStore, contents: Iterable[bytes], name: str = "INBOX", **more: Any
) -> Placed:
    """Append messages to a mailbox."""
    messages: list[Appending] = []
    try:
        for content in contents:
            upload = await store.upload(len(content))
            messages.append(Appending(upload, **more))
            await upload.write(content)
    except StoreRefused:
        for message in messages:
            await message.upload.abort()
        raise
    return await store.append(name, messages)


async def contents(mailbox: SharedMailbox) -> list[bytes]:
    """All messages of a mailbox, whole."""
    found = []
    for uid in mailbox.uids:
        content = await mailbox.content(uid)
        assert content is not None
        octets = await content.read()
        assert len(octets) == content.size
        found.append(octets)
        content.close()
    return found


# ---- Disks -----------------------------------------------------------------------------------


class Cancelled(Exception):
    """What a cancelled wait raises."""


class _Wait:
    """Something that a coroutine waits for."""

    def __init__(self, job: Callable[[], Any] | None) -> None:
        self.job = job
        self.result: Any = None

    def __await__(self) -> Generator[_Wait, None, Any]:
        yield self
        return self.result


class StepDisk:
    """A disk whose jobs wait until the test does them, one at a time, in any order."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await _Wait(lambda: function(*args, **kwargs))
        return result

    brief = run

    def lock(self) -> AbstractAsyncContextManager[None]:
        return _Lock(self)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """Begin a coroutine, up to its first job."""
        task = Task(coroutine)
        self.tasks.append(task)
        task.resume()
        return task

    def ready(self) -> list[Task]:
        """Coroutines that wait for a job."""
        return [task for task in self.tasks if task.waits is not None and task.waits.job]

    def finish(self, *tasks: Task) -> None:
        """Do all jobs, until these coroutines have ended."""
        while any(not task.ended for task in tasks):
            self.ready()[0].step()

    def released(self, wait: _Wait) -> None:
        """A lock is free for whoever waited."""
        for task in self.tasks:
            if task.waits is wait:
                task.resume()
                return


class Task:
    """A coroutine under way."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self.waits: _Wait | None = None
        self.ended = False
        self.value: Any = None
        self.error: BaseException | None = None

    def resume(self, error: BaseException | None = None) -> None:
        """Let it run to its next wait."""
        self.waits = None
        try:
            self.waits = (
                self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            )
        except StopIteration as stop:
            self.ended, self.value = True, stop.value
        except Exception as raised:
            self.ended, self.error = True, raised

    def step(self) -> None:
        """Do the job it waits for."""
        assert self.waits is not None
        assert self.waits.job is not None
        try:
            self.waits.result = self.waits.job()
        except Exception as error:
            self.resume(error)
        else:
            self.resume()

    def cancel(self) -> None:
        """Stop waiting; a job that has not begun is not done."""
        self.resume(Cancelled())

    @property
    def result(self) -> Any:
        """What it came to."""
        assert self.ended
        if self.error is not None:
            raise self.error
        return self.value


class _Lock(AbstractAsyncContextManager[None]):
    def __init__(self, disk: StepDisk) -> None:
        self._disk = disk
        self._held = False
        self._queue: deque[_Wait] = deque()

    async def __aenter__(self) -> None:
        if not self._held:
            self._held = True
            return
        wait = _Wait(None)
        self._queue.append(wait)
        try:
            await wait
        except BaseException:
            if wait in self._queue:
                self._queue.remove(wait)
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._queue:
            self._disk.released(self._queue.popleft())
        else:
            self._held = False


# ---- Files that fail -------------------------------------------------------------------------


class FailingFiles(Files):
    """Files of which one call fails, the `at`-th that is made."""

    CALLS = frozenset(vars(Files)) - {"__module__", "__doc__", "close", "rmdir"}

    def __init__(self) -> None:
        self.at = -1
        self.calls = 0
        self.made: list[str] = []
        self.number = errno.EIO
        self.only: frozenset[str] = self.CALLS

    def arm(self, at: int, number: int = errno.EIO, only: Iterable[str] = ()) -> None:
        """From now on, let the call number `at` fail."""
        self.at, self.calls, self.number, self.made = at, 0, number, []
        self.only = frozenset(only) or self.CALLS

    def disarm(self) -> None:
        """Let no call fail."""
        self.at = -1

    @property
    def failed(self) -> bool:
        """Whether the call that was to fail was made."""
        return 0 <= self.at < self.calls

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name not in FailingFiles.CALLS or name not in self.only:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            self.made.append(name)
            if self.calls - 1 == self.at:
                raise OSError(self.number, os.strerror(self.number), name)
            return found(*args, **kwargs)

        return call


def each_failure(
    files: FailingFiles, action: Callable[[], None], limit: int = 200, only: Iterable[str] = ()
) -> Iterator[int]:
    """Do `action` again and again, with the first, second, … call failing, until none does."""
    for at in range(limit):
        files.arm(at, only=only)
        action()
        failed = files.failed
        files.disarm()
        yield at
        if not failed:
            return
    raise AssertionError("too many calls")


def faulted(action: Callable[[], object], *faults: StoreFault) -> bool:
    """Whether an action was refused, for one of these reasons."""
    try:
        action()
    except StoreRefused as refused:
        if refused.fault not in (faults or (StoreFault.SERVER_BUG,)):
            raise
        return True
    return False

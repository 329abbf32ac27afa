"""The index made anew from the maildirs."""

from __future__ import annotations

from pathlib import Path

from mailhub.ports.finding import Place, Sought
from mailhub.ports.message import FlagAction
from mailhub.store import rebuild
from mailhub.store.files import Files
from mailhub.store.rows import Row
from mailhub.store.texts import key_of
from tests.rig import run
from tests.store.test_dovecot import dovecots
from tests.store.world import TEXT, Hub, contents, summary


class Progress:
    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def __call__(self, mailbox: str, done: int, total: int) -> None:
        self.told.append((mailbox, done, total))


def rebuilt(hub: Hub, boot: str | None = None) -> tuple[int, Progress]:
    progress = Progress()
    count = rebuild.rebuild(
        str(hub.maildir),
        clock=hub.clock,
        host="hub",
        boot=hub.boot if boot is None else boot,
        summarise=summary,
        log=hub.logged.append,
        progress=progress,
        files=hub.files,
    )
    return count, progress


class TestAlone:
    def test_nothing_is_lost(self, tmp_path: Path) -> None:
        """UIDs, UIDVALIDITY, flags, keywords, MODSEQs; progress is told."""
        hub = Hub(tmp_path)
        hub.append(*[TEXT] * 5, flags=("Junk",))
        mailbox = hub.open()
        run(mailbox.expunge([5, 2]))
        kept = [list(column) for column in mailbox.columns]
        validity, uid_next = mailbox.uid_validity, mailbox.uid_next
        hub.stores.close()
        count, progress = rebuilt(hub)
        assert count == 3
        assert progress.told[:2] == [("INBOX", 0, 3), ("INBOX", 3, 3)]
        hub.start()
        again = hub.open()
        assert [list(column) for column in again.columns] == kept
        assert (again.uid_validity, again.uid_next, again.keywords) == (
            validity,
            uid_next,
            ("Junk",),
        )
        assert hub.append(TEXT).uids[0] >= uid_next

    def test_index_gone(self, tmp_path: Path) -> None:
        """Without an old index MODSEQs are new, and UIDs begin at the ceiling."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        run(mailbox.expunge([2]))
        hub.lose_index()
        rebuilt(hub)
        again = hub.open()
        assert list(again.uids) == [1]
        assert again.uid_next > 2
        assert again.highest_modseq > mailbox.highest_modseq
        assert again.take_recent() == frozenset()

    def test_corrupt(self, tmp_path: Path) -> None:
        """A corrupt index is set aside, and made anew."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        hub.lose_index()
        (hub.maildir / "mailhub-index").write_bytes(b"not a database" * 100)
        assert rebuilt(hub)[0] == 1
        assert (hub.maildir / "mailhub-index.corrupt").exists()

    def test_wrong_rows(self, tmp_path: Path) -> None:
        """What the index had wrong is right again."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        box = hub.box()
        rows = box.rows([1, 2])
        with box.transaction() as transaction:
            transaction.put(box.kept.id, [rows[0]._replace(size=5, date=3, flags=8)])
            transaction.put(box.kept.id, [Row(7, b"ghost,U=7:2,", 0, 1, 1, 1, 1)])
        hub.stores.close()
        rebuilt(hub)
        hub.start()
        again = hub.box()
        found = again.rows([1, 2, 7])
        assert [row._replace(modseq=0) for row in found] == [row._replace(modseq=0) for row in rows]
        assert hub.open().doubtful(rows[0].modseq)  # clients are told all anew

    def test_what_has_no_uid_waits(self, tmp_path: Path) -> None:
        """New mail, and files from elsewhere, get their UIDs when the mailbox is opened."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        run(hub.open().expunge([1]))
        (name,) = hub.cur()
        hub.drop("5.M5.x")
        for strange in ("U=1", "U=9999", "U=0"):
            hub.drop(name.replace("U=2", strange), TEXT, "cur")
        hub.drop("1" + name, TEXT, "cur")
        hub.stores.close()
        assert rebuilt(hub)[0] == 1
        hub.start()
        uids = list(hub.open().uids)
        assert uids[0] == 2
        assert len(uids) == 6

    def test_gone_meanwhile(self, tmp_path: Path) -> None:
        """A file that is renamed while we look is found when the mailbox is opened."""
        hub = Hub(tmp_path)
        hub.append(TEXT)

        class Racing(Files):
            def listdir(self, path: bytes) -> list[bytes]:
                return [name.replace(b":2,", b":2,F") for name in super().listdir(path)]

        hub.stores.close()
        hub.files = Racing()
        assert rebuilt(hub)[0] == 1
        hub.files = Files()
        hub.start()
        assert list(hub.open().uids) == [1]

    def test_torn(self, tmp_path: Path) -> None:
        """A torn file is no message."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        (hub.maildir / "cur" / hub.cur()[0]).write_bytes(b"")
        hub.lose_index()
        assert rebuilt(hub)[0] == 1

    def test_stale(self, tmp_path: Path) -> None:
        """After a crash of the machine the ceiling counts here, too."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        hub.stores.close()
        rebuilt(hub, boot="another")
        hub.boot = "another"
        hub.start()
        mailbox = hub.open()
        assert mailbox.uid_next == mailbox.box.ceiling

    def test_dovecots(self, tmp_path: Path) -> None:
        """A maildir of Dovecot's is adopted on the way."""
        hub = dovecots(tmp_path)
        hub.drop("99.M1.x")
        assert rebuilt(hub)[0] == 1
        assert 7 in hub.open().uids


class TestBesideAHub:
    def test_noticed(self, tmp_path: Path) -> None:
        """An open mailbox goes on as before; only what changed is told."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        cursor = mailbox.cursor
        rebuilt(hub)
        run(mailbox.refresh())
        hub.deliver("a")
        assert list(mailbox.uids) == [1, 2, 3]
        assert run(mailbox.store([1, 2, 3], FlagAction.ADD, ["\\Seen"])).changed == (1, 2, 3)
        assert {uid for _, uid in mailbox.changes(cursor) or []} == {1, 2, 3}
        assert run(contents(mailbox)) == [TEXT] * 3
        hub.restart()
        assert list(hub.open().flags) == [1, 1, 1]


class TestTexts:
    def test_known(self, tmp_path: Path) -> None:
        """What messages say is in the index afterwards, and nothing of what is gone."""
        hub = Hub(tmp_path)
        hub.append(b"\r\nsome words", b"\r\nmore words")
        mailbox = hub.open()
        while run(mailbox.learn()):
            pass
        run(mailbox.expunge([1]))
        rebuilt(hub)
        again = hub.open()
        with again.box.index.transaction(write=False) as transaction:
            span = key_of(again.box.kept.id, 0), key_of(again.box.kept.id, 2**32 - 1)
            assert transaction.texts.missing(*span, 9) == []
            [shard] = transaction.texts.shards()
            words = Sought(Place.BODY, "WORDS")
            assert list(transaction.texts.in_shard(words, shard, *span)) == [2]
            assert list(transaction.texts.in_none(*span)) == []

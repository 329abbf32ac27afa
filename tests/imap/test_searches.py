"""SEARCH, SORT and THREAD as a client sees them: responses, options, what is saved."""

from __future__ import annotations

import pytest

from mailhub.imap.searches import NUMBERS
from mailhub.imap.sequence import HIGHEST
from mailhub.ports.message import FlagAction, Uid
from tests.imap.fakes import FakeStore
from tests.imap.given import BARE, Talk
from tests.rig import run


def letter(number: int, subject: str, *, answers: int = 0, sender: str = "a@x") -> bytes:
    references = f"References: <{answers}@x>\r\n" if answers else ""
    return (
        f"Message-ID: <{number}@x>\r\n{references}Subject: {subject}\r\nFrom: {sender}\r\n"
        f"Date: {number} Jan 2020 00:00:00 +0000\r\n\r\nbody of {number}\r\n"
    ).encode()


def talk(*letters: bytes, indexed: bool = True) -> Talk:
    """A session on an INBOX whose UIDs are ten more than its numbers."""
    mail = FakeStore()
    for _ in range(10):
        mail.inbox.deliver(BARE)
    run(mail.inbox.expunge([Uid(uid) for uid in range(1, 11)]))
    for octets in letters:
        mail.inbox.deliver(octets)
    mail.inbox.indexed = indexed
    return Talk(mail).select()


FOUR = (
    letter(4, "beta"),
    letter(3, "alpha", sender="Zoe <b@x>"),
    letter(2, "Re: beta", answers=4),
    letter(1, "gamma", sender="Ann <c@x>"),
)


class TestSearch:
    @pytest.mark.parametrize(
        ("command", "heard"),
        [
            ("SEARCH RETURN () ALL", '* ESEARCH (TAG "a") ALL 1:4'),
            ("UID SEARCH RETURN (ALL) ALL", '* ESEARCH (TAG "a") UID ALL 11:14'),
            ("SEARCH RETURN (MIN MAX COUNT) ALL", '* ESEARCH (TAG "a") MIN 1 MAX 4 COUNT 4'),
            ("SEARCH RETURN (MIN COUNT) SEEN", '* ESEARCH (TAG "a") COUNT 0'),
            ("SEARCH RETURN (ALL) SEEN", '* ESEARCH (TAG "a")'),
            ("SEARCH RETURN (PARTIAL 2:3) ALL", '* ESEARCH (TAG "a") PARTIAL (2:3 2:3)'),
            ("SEARCH RETURN (PARTIAL -1:-2) ALL", '* ESEARCH (TAG "a") PARTIAL (-1:-2 3:4)'),
            ("SEARCH RETURN (PARTIAL 3:2) ALL", '* ESEARCH (TAG "a") PARTIAL (2:3 2:3)'),
            ("SEARCH RETURN (PARTIAL 9:10) ALL", '* ESEARCH (TAG "a") PARTIAL (9:10 NIL)'),
            ("SEARCH RETURN (PARTIAL -9:-10) ALL", '* ESEARCH (TAG "a") PARTIAL (-9:-10 NIL)'),
            ("SEARCH RETURN (COUNT) CHARSET UTF-8 1:2", '* ESEARCH (TAG "a") COUNT 2'),
            ("SEARCH MODSEQ 1", "* SEARCH 1 2 3 4 (MODSEQ 16)"),
            ("SEARCH MODSEQ 9999", "* SEARCH"),
            ('SEARCH MODSEQ "/flags/\\\\Seen" all 1 2', "* SEARCH 2 (MODSEQ 14)"),
            ("SEARCH RETURN (MIN) MODSEQ 1", '* ESEARCH (TAG "a") MIN 1 MODSEQ 13'),
            ("SEARCH RETURN (MIN MAX) MODSEQ 1", '* ESEARCH (TAG "a") MIN 1 MAX 4 MODSEQ 16'),
            ("SEARCH RETURN (COUNT) MODSEQ 1 1:2", '* ESEARCH (TAG "a") COUNT 2 MODSEQ 14'),
            ("SEARCH OLDER 100", "* SEARCH"),
            ("SEARCH YOUNGER 100", "* SEARCH 1 2 3 4"),
            ("SEARCH SAVEDATESUPPORTED 1", "* SEARCH 1"),
            ("SEARCH SAVEDON 14-Nov-2023", "* SEARCH 1 2 3 4"),
            ("SEARCH SAVEDBEFORE 14-Nov-2023", "* SEARCH"),
            ("SEARCH SAVEDSINCE 14-Nov-2023 BODY 3", "* SEARCH 2"),
            ("SEARCH EMAILID Mnone", "* SEARCH"),
        ],
    )
    def test_responses(self, command: str, heard: str) -> None:
        """RFC 4731 §3.1, RFC 9394 §3.1, RFC 7162 §3.1.5, RFC 5032 §3, RFC 8514 §4.3."""
        answer = talk(*FOUR).say(f"a {command}")
        assert answer[-2:] == [heard, "a OK Search completed"]
        # MODSEQ shows that the client knows CONDSTORE                           (RFC 7162 §3.1)
        assert ("HIGHESTMODSEQ" in answer[0]) == ("MODSEQ" in command)

    def test_objects(self) -> None:
        """EMAILID and THREADID are those that FETCH shows (RFC 8474 §6)."""
        session = talk(*FOUR)
        [one, *_] = run(session.store.inbox.identities([Uid(12)]))
        assert one is not None
        assert session.say(f"a SEARCH EMAILID {one.email.decode()}")[0] == "* SEARCH 2"
        [head, *_] = run(session.store.inbox.identities([Uid(11)]))
        assert head is not None
        assert session.say(f"a SEARCH THREADID {head.thread.decode()}")[0] == "* SEARCH 1 3"
        assert session.say(f"a SEARCH NOT THREADID {head.thread.decode()}")[0] == "* SEARCH 2 4"

    @pytest.mark.parametrize(
        "command",
        [
            "SEARCH RETURN (ALL PARTIAL 1:2) ALL",
            "SEARCH RETURN (PARTIAL 1:-2) ALL",
            "SEARCH RETURN (PARTIAL 0:2) ALL",
            "SEARCH RETURN (PARTIAL 1:9999999999) ALL",
            "SEARCH RETURN (NONSENSE) ALL",
            "SEARCH RETURN ALL",
            "SEARCH OLDER 0",
            "SEARCH EMAILID (x)",
            "SORT (SUBJECT)",
            "SORT (NONSENSE) UTF-8 ALL",
            "SORT () UTF-8 ALL",
            "THREAD NONSENSE UTF-8 ALL",
            "CANCELUPDATE",
        ],
    )
    def test_bad(self, command: str) -> None:
        """What does not parse is BAD."""
        assert talk(*FOUR).say(f"a {command}")[-1].startswith("a BAD")

    def test_charset(self) -> None:
        """SORT and THREAD refuse unknown charsets likewise (RFC 5256 §3)."""
        for command in ("SORT (SUBJECT)", "THREAD REFERENCES"):
            assert "BADCHARSET (US-ASCII" in talk().say(f"a {command} X-NONE ALL")[0]

    def test_many(self) -> None:
        """Results longer than a step and a piece are whole."""
        count = 2 * NUMBERS + 3
        session = talk(*[BARE] * count)
        assert session.say("a SEARCH ALL")[0].split()[2:] == [str(n + 1) for n in range(count)]
        session.say("a STORE 1:* +FLAGS (x)")
        odd = session.raw(b"a UID SEARCH RETURN (ALL COUNT) NOT UID 12\r\n").decode()
        assert odd.startswith(f'* ESEARCH (TAG "a") UID COUNT {count - 1} ALL 11,13:{count + 10}')


class TestIndex:
    def test_asked(self) -> None:
        """With an index no message is read, and what it lacks is learnt first."""
        letters = [letter(n % 28 + 1, f"number {n}") for n in range(30)]
        session = talk(*letters)
        inbox = session.store.inbox
        inbox.left = 3
        assert session.say('a SEARCH BODY "body of 3"')[0] == "* SEARCH 3 31"[:10]
        assert (inbox.digested, inbox.contents) == ([], [])
        assert inbox.learnt >= 3
        assert session.say("a SEARCH NOT SUBJECT number")[0] == "* SEARCH"
        assert session.say('a SEARCH OR 1 SUBJECT "number 7"')[0] == "* SEARCH 1 8"
        assert session.say("a SEARCH SENTON 3-Jan-2020")[0] == "* SEARCH 3"
        assert session.say('a SEARCH HEADER Message-ID ""')[0].count(" ") == 31
        assert session.say('a SEARCH HEADER X-None ""')[0] == "* SEARCH"
        assert session.say("a SEARCH TEXT <3@x>")[0] == "* SEARCH 3"
        assert inbox.digested == []

    def test_short(self) -> None:
        """What trigrams cannot tell is read."""
        session = talk(*[letter(n % 28 + 1, "x") for n in range(30)])
        assert len(session.say("a SEARCH BODY 28")[0].split()) == 3
        assert len(session.store.inbox.digested) == 30
        assert session.say('a SEARCH BODY ""')[0].count(" ") == 31
        assert len(session.store.inbox.digested) == 30

    def test_unsure(self) -> None:
        """Of messages that the index is not sure of, only those are read."""
        session = talk(*[letter(n % 28 + 1, "x") for n in range(30)])
        session.store.inbox.unsure = {13, 14}
        assert session.say('a UID SEARCH BODY "body of 3"')[0] == "* SEARCH 13"
        assert session.store.inbox.digested == [13, 14]
        assert session.say('a UID SEARCH NOT BODY "body of" UID 1:20')[0] == "* SEARCH"

    def test_other_fields(self) -> None:
        """A field that the index does not keep by itself is judged by the header section."""
        letters = [letter(n % 28 + 1, "id 5@x" if n == 7 else "y") for n in range(28)]
        session = talk(*letters)
        assert session.say("a SEARCH HEADER Message-ID 5@x")[0] == "* SEARCH 5 15 25"
        assert session.say("a SEARCH NOT HEADER Message-ID @x")[0] == "* SEARCH"

    def test_few(self) -> None:
        """A few messages are read rather than have the index learn many."""
        session = talk(*[letter(n % 28 + 1, "x") for n in range(30)])
        session.store.inbox.left = 100
        assert session.say('a SEARCH 3:5 BODY "body of 4"')[0] == "* SEARCH 4"
        assert session.store.inbox.digested == [13, 14, 15]

    def test_flags_and_texts(self) -> None:
        """Flags, numbers and answers of the index meet."""
        session = talk(*[letter(n % 28 + 1, f"number {n % 2}") for n in range(30)])
        session.say("a STORE 1:4 +FLAGS.SILENT (\\Seen)")
        assert session.say('a SEARCH SEEN SUBJECT "number 1"')[0] == "* SEARCH 2 4"
        assert session.say('a UID SEARCH 3:6 SUBJECT "number 1"')[0] == "* SEARCH 14 16"
        assert session.say('a SEARCH SEEN SUBJECT "number 1" LARGER 100000')[0] == "* SEARCH"


class TestFuzzy:
    def test_words(self) -> None:
        """Words in any order; RELEVANCY tells how well (RFC 6203 §4)."""
        letters = [letter(n % 28 + 1, s) for n, s in enumerate(["big red house", "red big"] * 10)]
        for indexed in (True, False):
            session = talk(*letters[:6], *[BARE] * 9, indexed=indexed)
            assert session.say('a SEARCH SUBJECT "red big"')[0] == "* SEARCH 2 4 6"
            assert session.say('a SEARCH FUZZY SUBJECT "red big"')[0] == "* SEARCH 1 2 3 4 5 6"
            heard = session.say('a SEARCH RETURN (ALL RELEVANCY) FUZZY SUBJECT "red big" 1:4')
            assert heard[0] == '* ESEARCH (TAG "a") ALL 1:4 RELEVANCY (90 100 90 100)'
            heard = session.say('a UID SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "red big" 1:4')
            assert heard[0] == "* SORT 12 14 11 13"
            assert session.say("a SEARCH FUZZY (UNSEEN 1)")[0] == "* SEARCH 1"
            assert session.say('a SEARCH FUZZY BODY "1 of body"')[0] == "* SEARCH 1"
            assert session.say('a SEARCH FUZZY HEADER Message-ID "x 2"')[0] == "* SEARCH 2"


class TestSaved:
    def test_dollar(self) -> None:
        """``$`` stands for what was saved, in any command (RFC 5182 §2)."""
        session = talk(*FOUR)
        assert session.say("a SEARCH RETURN (SAVE) 2:3") == ["a OK Search completed"]
        assert session.say("a FETCH $ UID")[:2] == ["* 2 FETCH (UID 12)", "* 3 FETCH (UID 13)"]
        assert session.say("a SEARCH $ 3:4")[0] == "* SEARCH 3"
        assert session.say("a UID SEARCH UID $ NOT $")[0] == "* SEARCH"
        session.say("a STORE $ +FLAGS (\\Deleted)")
        session.say("a EXPUNGE")
        assert session.say("a SEARCH $")[0] == "* SEARCH"
        assert session.say("a COPY $ INBOX")[-1] == "a OK No such messages"

    def test_what(self) -> None:
        """MIN and MAX alone save themselves; anything else all (RFC 5182 §2.1)."""
        session = talk(*FOUR)
        for options, saved in {
            "SAVE MIN": "1",
            "SAVE MIN MAX": "1 4",
            "SAVE MIN COUNT": "1 2 3 4",
            "SAVE PARTIAL 2:3": "2 3",
            "SAVE PARTIAL 2:2 MAX": "2 4",
        }.items():
            session.say(f"a UID SEARCH RETURN ({options}) ALL")
            assert session.say("a SEARCH $")[0] == f"* SEARCH {saved}"
        for options, saved in {"SAVE MIN MAX": "2 4", "SAVE PARTIAL 1:2": "1 2"}.items():
            session.say(f"a SORT RETURN ({options}) (SUBJECT) UTF-8 ALL")
            assert session.say("a FETCH $ UID")[:-1] == [
                f"* {number} FETCH (UID 1{number})" for number in saved.split()
            ]
        session.say("a SORT RETURN (SAVE) (SUBJECT) UTF-8 SUBJECT beta")
        assert session.say("a SEARCH $")[0] == "* SEARCH 1 3"

    def test_refined(self) -> None:
        """Amid the search that replaces it ``$`` is what it was (RFC 5182 §2.1)."""
        session = talk(*FOUR)
        for search in ("SEARCH", "UID SEARCH", "SORT", "ESEARCH"):
            session.say("a SEARCH RETURN (SAVE) 2:4")
            sorting = "(SUBJECT) UTF-8 " * (search == "SORT")
            session.say(f"b {search} RETURN (SAVE) {sorting}$ NOT 3")
            assert session.say("c SEARCH $")[0] == "* SEARCH 2 4"
            session.say(f"b {search} RETURN (SAVE COUNT) {sorting}UID $ NOT 2")
            assert session.say("c SEARCH $")[0] == "* SEARCH 4"

    def test_forgotten(self) -> None:
        """BAD leaves it alone; another mailbox does not know it."""
        session = talk(*FOUR)
        session.say("a SEARCH RETURN (SAVE) 2:3")
        session.say("a SEARCH RETURN (SAVE) NONSENSE")
        assert session.say("a SEARCH $")[0] == "* SEARCH 2 3"
        session.say("a SELECT INBOX")
        assert session.say("a SEARCH $")[0] == "* SEARCH"


class TestSort:
    @pytest.mark.parametrize(
        ("command", "heard"),
        [
            ("SORT (SUBJECT) UTF-8 ALL", "* SORT 2 1 3 4"),
            ("UID SORT (SUBJECT) UTF-8 ALL", "* SORT 12 11 13 14"),
            ("SORT (REVERSE SUBJECT DATE) US-ASCII ALL", "* SORT 4 3 1 2"),
            ("SORT (DATE) UTF-8 1:2", "* SORT 2 1"),
            ("SORT (DISPLAYFROM) UTF-8 ALL", "* SORT 1 3 4 2"),
            ("SORT (SUBJECT) UTF-8 SEEN", "* SORT"),
            ("SORT RETURN () (SUBJECT) UTF-8 ALL", '* ESEARCH (TAG "a") ALL 2,1,3:4'),
            (
                "UID SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 ALL",
                '* ESEARCH (TAG "a") UID MIN 12 MAX 14 COUNT 4',
            ),
            (
                "SORT RETURN (PARTIAL 1:2) (SUBJECT) UTF-8 ALL",
                '* ESEARCH (TAG "a") PARTIAL (1:2 2,1)',
            ),
        ],
    )
    def test_responses(self, command: str, heard: str) -> None:
        """RFC 5256 §3, RFC 5957 §3, RFC 5267 §3.1."""
        session = talk(*FOUR)
        assert session.say(f"a {command}") == [heard, "a OK Sort completed"]
        assert session.say(f"a {command}")[0] == heard

    def test_memo(self) -> None:
        """A whole mailbox that has not changed is not sorted again."""
        session = talk(*FOUR)
        inbox = session.store.inbox
        session.say("a SORT (SUBJECT) UTF-8 ALL")
        session.say("a SORT (SUBJECT) UTF-8 ALL")
        assert inbox.ordered == 1
        session.say("a UID SORT (SUBJECT) UTF-8 ALL")
        inbox.deliver(letter(9, "aaa"))
        assert session.say("a SORT (SUBJECT) UTF-8 ALL")[2] == "* SORT 5 2 1 3 4"
        assert inbox.ordered == 3

    def test_modseq(self) -> None:
        """The highest MODSEQ is told with the numbers, where it was asked for (RFC 7162 §3.1.9)."""
        session = talk(*FOUR)
        modseqs = session.store.inbox.modseqs
        heard = session.say(f"a SORT (SUBJECT) UTF-8 MODSEQ {modseqs[1]} NOT 4")
        assert heard[0].startswith("* OK [HIGHESTMODSEQ ")  # the client knows MODSEQs
        assert heard[1:] == [f"* SORT 2 3 (MODSEQ {modseqs[2]})", "a OK Sort completed"]
        assert session.say("a SORT (SUBJECT) UTF-8 MODSEQ 99")[0] == "* SORT"

    def test_ghosts(self) -> None:
        """What another session expunged is not sorted, and numbers stay the client's."""
        session = talk(*FOUR)
        session.say("a SORT (SUBJECT) UTF-8 ALL")
        run(session.store.inbox.expunge([Uid(12)]))
        assert session.say("a SORT (SUBJECT) UTF-8 ALL") == ["* SORT 1 3 4", "a OK Sort completed"]
        assert session.say("a NOOP")[0] == "* 2 EXPUNGE"
        assert session.say("a SORT (SUBJECT) UTF-8 ALL")[0] == "* SORT 1 2 3"


class TestThread:
    @pytest.mark.parametrize(
        ("command", "heard"),
        [
            ("THREAD REFERENCES UTF-8 ALL", "* THREAD (4)(2)(1 3)"),
            ("UID THREAD REFERENCES UTF-8 ALL", "* THREAD (14)(12)(11 13)"),
            ("THREAD ORDEREDSUBJECT UTF-8 ALL", "* THREAD (4)(3 1)(2)"),
            ("THREAD REFS UTF-8 ALL", "* THREAD (4)(2)(1 3)"),
            ("THREAD REFERENCES UTF-8 2:3", "* THREAD (3)(2)"),
            ("THREAD REFERENCES UTF-8 SEEN", "* THREAD"),
        ],
    )
    def test_responses(self, command: str, heard: str) -> None:
        """RFC 5256 §3; the second time as the first."""
        session = talk(*FOUR)
        assert session.say(f"a {command}") == [heard, "a OK Thread completed"]
        assert session.say(f"a {command}")[0] == heard

    def test_memo(self) -> None:
        """A whole mailbox that has not changed is not threaded again."""
        session = talk(*FOUR)
        inbox = session.store.inbox
        session.say("a THREAD REFERENCES UTF-8 ALL")
        asked = inbox.threaded
        session.say("a THREAD REFERENCES UTF-8 ALL")
        assert inbox.threaded == asked
        run(inbox.store([Uid(11)], FlagAction.ADD, ["\\Seen"]))
        session.say("a THREAD REFERENCES UTF-8 ALL")
        assert inbox.threaded == asked
        run(inbox.expunge([Uid(13)]))
        assert session.say("a UID THREAD REFERENCES UTF-8 ALL")[0] == "* THREAD (14)(12)(11)"


class TestFetchPartial:
    @pytest.mark.parametrize(
        ("modifier", "uids"),
        [("1:2", [11, 12]), ("-1:-1", [14]), ("-3:-2", [12, 13]), ("4:9", [14]), ("7:9", [])],
    )
    def test_part(self, modifier: str, uids: list[int]) -> None:
        """UID FETCH of messages at some positions (RFC 9394 §3.2)."""
        answer = talk(*FOUR).say(f"a UID FETCH 1:{HIGHEST} (UID) (PARTIAL {modifier})")
        assert answer[:-1] == [f"* {uid - 10} FETCH (UID {uid})" for uid in uids]

    def test_bad(self) -> None:
        """Only UID FETCH has it."""
        for command in ("FETCH 1:* UID (PARTIAL 1:2)", "UID FETCH 1:* UID (NONSENSE 1)"):
            assert talk(*FOUR).say(f"a {command}")[-1].startswith("a BAD")


def test_rev2() -> None:
    """A client of IMAP4rev2 hears ESEARCH only (RFC 9051 §6.4.4)."""
    session = talk(*FOUR)
    session.say("e ENABLE IMAP4rev2")
    assert session.say("a SEARCH CHARSET UTF-8 1 NOT 1")[-1] == "a OK Search completed"
    assert session.say("a SEARCH 2:3")[0] == '* ESEARCH (TAG "a") ALL 2:3'
    assert session.say("a UID SEARCH SEEN")[0] == '* ESEARCH (TAG "a") UID'


def test_utf8() -> None:
    """Who has enabled UTF8=ACCEPT names no charset (RFC 6855 §3), and says UTF-8."""
    session = talk(*FOUR)
    session.say("e ENABLE UTF8=ACCEPT")
    assert session.say("a SEARCH CHARSET UTF-8 ALL")[0].startswith("a BAD All is UTF-8")
    assert session.say("a SORT (DATE) UTF-8 1")[0] == "* SORT 1"
    assert session.say('a SEARCH SUBJECT "\u00e4"')[-1] == "a OK Search completed"
    assert session.say('a SEARCH SUBJECT "\udcff"') == ["a BAD Not UTF-8"]

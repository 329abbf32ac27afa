"""Roundcube, the webmail of most hosts, as a browser sees it; skipped where it is not installed."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from tests.interop.conftest import Hub, message, program
from tests.interop.peers import free_ports

pytestmark = pytest.mark.interop

ALICE = "alice@hub.example"
PUBLIC = Path("/var/lib/roundcube/public_html")
DEFAULTS = Path("/etc/roundcube")
TABLES = Path("/usr/share/dbconfig-common/data/roundcube/install/sqlite3")


def configuration(hub: Hub, root: Path) -> str:
    """Roundcube's, for a hub."""
    tls = f"['ssl' => ['cafile' => '{hub.ca}', 'verify_peer' => true]]"
    settings = {
        "db_dsnw": f"'sqlite:///{root}/db.sqlite?mode=0600'",
        "imap_host": f"'ssl://{hub.host}:{hub.ports['imaps']}'",
        "imap_conn_options": tls,
        "imap_debug": "true",
        "imap_cache": "'db'",
        "messages_cache": "'db'",
        "log_driver": "'file'",
        "log_dir": f"'{root}'",
        "temp_dir": f"'{root}'",
        "plugins": "[]",
        "default_list_mode": "'threads'",
    }
    return "<?php\n" + "".join(f"$config['{key}'] = {it};\n" for key, it in settings.items())


class Browser:
    """What a browser does with its pages."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/?"
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))
        self._token = ""

    def page(self, **query: str) -> str:
        request = Request(
            self._base + urlencode(query), headers={"X-Roundcube-Request": self._token}
        )
        with self._opener.open(request, timeout=30) as answer:
            return str(answer.read().decode())

    def login(self, user: str, password: str) -> None:
        found = re.search(r'name="_token" value="([^"]+)"', self.page(_task="login"))
        assert found
        self._token = found[1]
        fields = {"_task": "login", "_action": "login", "_user": user, "_pass": password}
        found = re.search(r'"request_token":"([^"]+)"', self._post("login", "", fields))
        assert found, "no login"
        self._token = found[1]

    def act(self, action: str, task: str = "mail", **fields: str) -> str:
        """The script that an action is answered with."""
        answer = json.loads(self._post(task, action, {**fields, "_remote": "1"}))
        script = str(answer.get("exec", ""))
        assert '"error"' not in script, script
        return script

    def _post(self, task: str, action: str, fields: dict[str, str]) -> str:
        query = urlencode({"_task": task, "_action": action})
        data = urlencode({**fields, "_token": self._token}).encode()
        request = Request(self._base + query, data, {"X-Roundcube-Request": self._token})
        with self._opener.open(request, timeout=30) as answer:
            return str(answer.read().decode())


@pytest.fixture
def browser(hub: Hub, tmp_path: Path) -> Iterator[Browser]:
    """One that looks at Roundcube, which looks at the hub; its logs lie in `tmp_path`."""
    php = program("php")
    if not (PUBLIC.is_dir() and TABLES.is_file()):
        pytest.skip("roundcube-core is not installed")
    with closing(sqlite3.connect(tmp_path / "db.sqlite")) as tables:
        tables.executescript(TABLES.read_text(encoding="utf-8"))
    for name in ("defaults.inc.php", "mimetypes.php"):
        (tmp_path / name).symlink_to(DEFAULTS / name)
    (tmp_path / "config.inc.php").write_text(configuration(hub, tmp_path), encoding="utf-8")
    [port] = free_ports(1)
    process = subprocess.Popen(
        [php, "-S", f"127.0.0.1:{port}", "-t", str(PUBLIC)],
        env={"ROUNDCUBE_CONFIG_DIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        made = Browser(port)
        for _ in range(100):
            try:
                made.page()
                break
            except URLError:
                time.sleep(0.05)
        yield made
    finally:
        process.kill()
        process.wait()


def test_roundcube(hub: Hub, browser: Browser, tmp_path: Path) -> None:
    """Log in, list threads, open, search, flag, copy, move, delete, and folders."""
    for name in ("web one", "web two"):
        hub.deliver(message(name))
        hub.wait(ALICE, name)
    browser.login(ALICE, hub.passwords[ALICE])
    box = {"_mbox": "INBOX"}
    listed = browser.act("list", _page="1", **box)
    rows = dict(re.findall(r'add_message_row\((\d+),\{"subject":"(web \w+)"', listed))
    one, two = sorted(rows)[-2:]
    assert (rows[one], rows[two]) == ("web one", "web two")
    assert "web one" in browser.page(_task="mail", _action="show", _uid=one, **box)
    search = {"_remote": "1", "_q": "web two", "_headers": "subject", "_scope": "base", **box}
    script = json.loads(browser.page(_task="mail", _action="search", **search))["exec"]
    assert f"add_message_row({two}," in script
    assert f"add_message_row({one}," not in script
    browser.act("mark", _uid=one, _flag="flagged", **box)
    browser.act("copy", _uid=one, _target_mbox="Archive", **box)
    browser.act("move", _uid=one, _target_mbox="Archive", **box)
    sorted_ = browser.act("list", _mbox="Archive", _page="1", _sort="subject_ASC", _layout="list")
    assert sorted_.count('"subject":"web one"') == 2
    assert '"flagged":1' in sorted_
    browser.act("delete", _uid=two, **box)
    browser.act("purge", _mbox="Trash")
    folder = {"_name": "Web & Größe", "_parent": "", "_mbox": ""}
    browser._post("settings", "save-folder", folder)
    browser.act("folder-delete", "settings", _mbox="Web &- Gr&APYA3w-e")
    said = (tmp_path / "imap.log").read_text(encoding="utf-8")
    assert re.search(r"C: \S+ UID THREAD REFS ", said)
    assert re.findall(r"S: \S+ (?:BAD|NO) .*", said) == []
    assert not (tmp_path / "errors.log").exists()

"""The rules of the design that matter: a rule that is not here is not a rule."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ROOT / "mailhub"

CORE = {"mail", "policy", "trust", "sasl", "smtp", "pop3", "imap", "sieve", "ports"}
"""Decides: no Twisted, no clock, no randomness, no I/O."""
CORE_MODULES = {
    *(
        "queue.flow",
        "queue.ids",
        "queue.item",
        "queue.dsn",
        "queue.journey",
        "queue.change",
        "queue.rows",
    ),
    *("queue.event", "queue.standing", "queue.timeline", "queue.letter", "queue.words"),
    *("queue.telling", "queue.wanted"),
}
KEEP = {"store", "queue", "accounts", "config"}
"""Remembers: blocking, no Twisted."""
EDGE = {"net", "relay", "web"}
"""Talks: Twisted, with everything else handed in."""
WIRING = {"reception", "surroundings", "outbound", "assembly", "hub", "service"}
"""Plugs all of it together, each with the help of those before it; `service` asks the world."""
WORLD = {"sim", "lab", "cli"}

NOUNS = {"mail", "ports"}
NOUN_MODULES = {"policy.cause"}
"""Importing nothing, and for everybody, as ports are."""
MAY_IMPORT = {
    "mail": set[str](),
    "ports": {"mail"},
    "policy": NOUNS,
    "trust": NOUNS,
    "sasl": NOUNS,
    "smtp": NOUNS | {"policy", "sasl"},
    "pop3": NOUNS | {"sasl"},
    "imap": NOUNS | {"sasl"},
    "sieve": NOUNS,
    "queue": NOUNS | {"policy"},
    "accounts": NOUNS | {"policy", "sasl"},
    "store": NOUNS | {"imap"},
    "config": CORE | KEEP,
    "net": CORE | KEEP,
    "relay": CORE | KEEP | {"net"},
    "web": CORE | KEEP | {"net", "relay"},
    "reception": CORE | KEEP | EDGE | WIRING,
    "surroundings": CORE | KEEP | EDGE,
    "outbound": CORE | KEEP | EDGE | {"surroundings"},
    "assembly": CORE | KEEP | EDGE | {"surroundings", "outbound"},
    "hub": CORE | KEEP | EDGE | {"surroundings", "assembly", "reception"},
    "service": CORE | KEEP | EDGE | WIRING,
    "cli": CORE | KEEP | EDGE | WIRING | WORLD,
    "sim": CORE | KEEP | EDGE | WIRING,
    "lab": CORE | KEEP | EDGE | WIRING | {"sim"},
    "__main__": {"cli"},
}
"""For each package those that its modules may import, besides its own."""

WORLDLY = {
    *("asyncio", "threading", "multiprocessing", "concurrent", "socket", "selectors", "ssl"),
    *("os", "io", "pathlib", "shutil", "tempfile", "sqlite3", "subprocess", "signal"),
    *("time", "random", "secrets", "uuid", "getpass", "locale", "logging", "sys"),
}
"""Modules by which the core would touch the world."""
TWISTED = {"twisted", "zope", "OpenSSL"}
HANDED_IN = {"time", "random", "secrets", "uuid"}
"""Modules whose functions the edge is given, so that a simulated world can give others."""

UNTESTED = {
    "ports": "holds interfaces, which their implementations' tests try",
    "__main__": "is one call",
}
"""Modules and packages without a test module, and why."""

LINES_LIMIT = 600
"""Lines of a file; most should be far below, see docs/report.py."""


@dataclass(frozen=True)
class Module:
    """A module of mailhub."""

    path: Path

    @property
    def name(self) -> str:
        """``smtp.session``, without the ``mailhub.``."""
        parts = self.path.relative_to(CODE).with_suffix("").parts
        return ".".join(part for part in parts if part != "__init__")

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_core(self) -> bool:
        return self.package in CORE or self.name in CORE_MODULES

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    def imports(self, *, at_import_time: bool = False) -> Iterator[str]:
        """Names of modules it imports; of ``from a import b`` both a and a.b."""
        for node in _nodes(self.tree, skip_functions=at_import_time):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert node.level == 0, f"{self.name}: relative import"
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _nodes(tree: ast.AST, *, skip_functions: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if skip_functions and (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        ):
            continue
        yield node
        yield from _nodes(node, skip_functions=skip_functions)


MODULES = [Module(path) for path in sorted(CODE.rglob("*.py"))]
NAMES = {module.name for module in MODULES}

every_module = pytest.mark.parametrize(
    "module", [it for it in MODULES if it.name], ids=lambda it: it.name
)


@every_module
def test_imports_point_down(module: Module) -> None:
    """Nothing imports what is above it."""
    allowed = MAY_IMPORT[module.package] | {module.package}
    for name in module.imports():
        if name.startswith("mailhub.") and name.removeprefix("mailhub.") in NAMES:
            package = name.split(".")[1]
            noun = name.removeprefix("mailhub.") in NOUN_MODULES
            assert noun or package in allowed, f"{module.name} imports {name}"


@every_module
def test_core_is_pure(module: Module) -> None:
    """The core knows no clock, no chance, no disk and no network; nobody but the edge Twisted."""
    roots = {name.partition(".")[0] for name in module.imports()}
    if module.is_core:
        assert not roots & (WORLDLY | TWISTED), module.name
        called = {
            node.func.id
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"open", "print", "input", "breakpoint"}, module.name
        assert "datetime.now" not in ast.unparse(module.tree), module.name
    elif module.package in KEEP:
        assert not roots & TWISTED, module.name
    elif module.package in EDGE:
        assert not roots & HANDED_IN, module.name
    elif module.package in WIRING - {"service"}:  # a `random.Random` has a type
        assert not roots & (HANDED_IN - {"random"}), module.name


def test_queue_core_stays_below() -> None:
    """The queue's pure modules import no module of it that touches a disk."""
    for module in MODULES:
        if module.name in CORE_MODULES:
            inner = {name.removeprefix("mailhub.") for name in module.imports()} & NAMES
            assert {name for name in inner if name.startswith("queue.")} <= CORE_MODULES


def test_no_cycles() -> None:
    """No two modules need each other to be imported."""
    graph = {
        module.name: {
            name.removeprefix("mailhub.")
            for name in module.imports(at_import_time=True)
            if name.removeprefix("mailhub.") in NAMES and name != "mailhub"
        }
        - {module.name}
        for module in MODULES
        if module.name
    }
    while graph:
        leaves = {name for name, needs in graph.items() if not needs & set(graph)}
        assert leaves, f"in a cycle: {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in leaves}


def test_global_reactor() -> None:
    """The global reactor is imported in one function, of service.py, and nowhere else."""
    places = [
        f"{module.name}.{function.name if function else ''}"
        for module in MODULES
        for function, node in _imports_with_function(module.tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "twisted.internet"
        and any(alias.name == "reactor" for alias in node.names)
    ]
    text = [m.name for m in MODULES if "twisted.internet.reactor" in ast.unparse(m.tree)]
    assert text == []
    assert len(places) <= 1, places
    assert all(place.startswith("service.") and not place.endswith(".") for place in places)


def _imports_with_function(
    tree: ast.AST, function: ast.FunctionDef | None = None
) -> Iterator[tuple[ast.FunctionDef | None, ast.AST]]:
    for node in ast.iter_child_nodes(tree):
        inside = node if isinstance(node, ast.FunctionDef) else function
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield function, node
        yield from _imports_with_function(node, inside)


def test_plugin_is_light() -> None:
    """The plugin, which every twistd imports, is one statement and imports no mail."""
    directory = ROOT / "twisted" / "plugins"
    tree = ast.parse((directory / "mailhub_plugin.py").read_text())
    docstring, importing, statement = tree.body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(importing, ast.ImportFrom)
    assert importing.module == "twisted.application.service"
    assert isinstance(statement, ast.Assign)
    assert not list((ROOT / "twisted").rglob("__init__.py"))


@every_module
def test_documented(module: Module) -> None:
    """Each module says what it is."""
    assert ast.get_docstring(module.tree), module.name


def test_packages_are_named() -> None:
    """The wheel holds what pyproject.toml names: every package, and none that has gone."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in CODE.rglob("__init__.py")}
    assert set(named["tool"]["setuptools"]["packages"]) == packages | {"twisted.plugins"}


def test_every_module_has_its_test() -> None:
    """tests/smtp/test_reader.py tests smtp/reader.py, and so on."""
    tests = {
        module.name: ROOT / "tests" / Path(*parts[:-1]) / f"test_{parts[-1]}.py"
        for module in MODULES
        if module.path.name != "__init__.py"
        for parts in [module.name.split(".")]
        if parts[0] not in UNTESTED
    }
    assert sorted(it for it in tests if not tests[it].exists()) == []


@every_module
def test_size(module: Module) -> None:
    """No file grows beyond what a person reads in one sitting."""
    assert len(module.path.read_text(encoding="utf-8").splitlines()) <= LINES_LIMIT


# ---- Standards -----------------------------------------------------------------------------

CITED = re.compile(r"\bRFC (\d{3,5})\b")
# One form: RFC 5321 §4.5.3.1.4
MISSPELT = re.compile(
    r"\bRFC[-_]?(?!822\b)(?!5322\b)\d|\brfc \d|\bRFC  |\bRFC \d+,? (?:[sS]ect|sec\.|§ |\d+\.\d)|§§"
)


@pytest.mark.parametrize(
    "path",
    [*(it.path for it in MODULES), *sorted((ROOT / "tests").rglob("*.py"))],
    ids=lambda it: str(it.relative_to(ROOT)),
)
def test_citations_have_one_form(path: Path) -> None:
    """A standard is cited as in the line above, so that a section can be searched for."""
    if path == Path(__file__):
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        assert not MISSPELT.search(line), f"{path.name}:{number}: {line.strip()}"


def _cited(paths: Iterable[Path]) -> set[int]:
    return {int(it) for path in paths for it in CITED.findall(path.read_text(encoding="utf-8"))}


def _listed(title: str) -> set[int]:
    """The numbers in one of README's tables of standards; none stands there twice."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Standards\n")[2]
    table = text.partition(f"\n### {title}\n")[2].partition("\n#")[0]
    cells = re.findall(r"^\| .* \| (\d.*) \|$", table, re.MULTILINE)
    entries = [entry.split(maxsplit=1) for cell in cells for entry in cell.split(" · ")]
    numbers = [int(number) for number, _ in entries]  # each says what it is
    assert len(numbers) == len(set(numbers))
    assert numbers, title
    return set(numbers)


WITHOUT_KEYWORD = {
    *(3463, 4954, 7505),  # SMTP: statuses, AUTH with its mechanisms, null MX
    *(6409, 8314),  # submission
    *(3464, 5965, 6522, 6533),  # notices
    *(5322, 1428, 1847, 2045, 2046, 2047, 2183, 2231, 6532),  # messages
    *(1939, 2449, 2595, 3206, 5034, 6856),  # POP3, whose list is in its session
    *(4422, 4616, 5802, 7677, 5929, 9266, 4013),  # logins
    *(5530,),  # IMAP's response codes
}
"""Implemented standards that no keyword of EHLO or CAPABILITY tells of."""


def test_readme_lists_the_standards() -> None:
    """README lists the standards that the code cites, and no others, each in one table."""
    cited = _cited(module.path for module in MODULES)
    implemented, considered = _listed("Implemented"), _listed("Taken into account")
    assert implemented & considered == set()
    assert sorted(cited - implemented - considered) == [], "cited, but not in README.md"
    assert sorted((implemented | considered) - cited) == [], "in README.md, but nowhere cited"


def test_what_is_offered_is_implemented() -> None:
    """A standard is called implemented if, and only if, the lists of what we offer say so too.

    Those that have a keyword are cited where it is announced; the others are named here.
    """
    offers = ("smtp/hello.py", "imap/capability.py")
    offered = _cited(CODE / name for name in offers)
    assert sorted(offered - _listed("Implemented")) == []
    assert sorted(_listed("Implemented") - offered - WITHOUT_KEYWORD) == []

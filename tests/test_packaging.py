"""The package as others install it: as a wheel and in place, and gone again without a trace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = (
    "pyproject.toml", "README.md", "mailhub", "twisted",
    "MANIFEST.in", "CHANGES.md", "Makefile", "etc", "docs",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    find_spec("pip") is None or find_spec("setuptools") is None or find_spec("wheel") is None,
    reason="needs pip, setuptools and wheel",
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources: building leaves things behind."""
    copy = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__", "dropin.cache", "*.egg-info", ".mypy_cache")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, copy / name, ignore=ignored)
        else:
            shutil.copy(path, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    pip(sys.executable, "wheel", "--no-build-isolation", "--wheel-dir", str(out), str(source))
    [found] = out.glob("*.whl")
    return found


def pip(python: str, command: str, *arguments: str) -> None:
    subprocess.run(
        [python, "-m", "pip", "--quiet", "--disable-pip-version-check", command]
        + (["--no-deps", "--no-index"] if command != "uninstall" else [])
        + list(arguments),
        check=True,
        capture_output=True,
        text=True,
    )


class Place:
    """A virtual environment that sees our packages, but not this checkout."""

    def __init__(self, directory: Path) -> None:
        venv.create(directory, with_pip=False, symlinks=True)
        self.python = str(directory / "bin" / "python")
        [site] = (directory / "lib").glob("python*/site-packages")
        for entry in map(Path, sys.path):
            if entry.name == "site-packages":
                self._borrow(entry, site)
        self.site = site

    @staticmethod
    def _borrow(theirs: Path, site: Path) -> None:
        """Link to all that is installed, but for the checkout; Twisted's plugins are copied."""
        for path in theirs.iterdir():
            name = path.name.lower()
            if "mailhub" in name or path.suffix == ".pth" or (site / path.name).exists():
                continue
            if path.name == "twisted":
                (site / "twisted").mkdir()
                for inner in path.iterdir():
                    if inner.name == "plugins":
                        shutil.copytree(inner, site / "twisted" / "plugins")
                    elif inner.name != "__pycache__":
                        (site / "twisted" / inner.name).symlink_to(inner)
            else:
                (site / path.name).symlink_to(path)

    def twistd_help(self) -> str:
        code = (
            "import sys; from twisted.scripts.twistd import run;"
            "sys.argv = ['twistd', '--help']; run()"
        )
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            [self.python, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=self.site,
            env=environment,
        )
        return done.stdout

    def tree(self) -> set[str]:
        twisted = self.site / "twisted"
        return {
            str(path.relative_to(twisted))
            for path in twisted.rglob("*")
            if "__pycache__" not in path.parts and path.name != "dropin.cache"
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "venv")


def test_wheel_contents(wheel: Path) -> None:
    """The wheel holds every package of ours, the plugin, and nothing of Twisted's."""
    names = zipfile.ZipFile(wheel).namelist()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "mailhub").rglob("*.py")}
    assert modules <= set(names)
    assert {
        "mailhub/py.typed",
        "mailhub/config/providers.ini",
        "mailhub/config/replies.txt",
    } <= set(names)
    assert [name for name in names if name.startswith("twisted/")] == [
        "twisted/plugins/mailhub_plugin.py"
    ]
    assert not [name for name in names if name.startswith(("tests/", "bench/", "docs/"))]


def test_source_distribution(source: Path, tmp_path: Path) -> None:
    """Whoever packages us for others gets all: what is built of, run, read and tested."""
    (source / "tests" / "smtp").mkdir(parents=True)
    (source / "tests" / "smtp" / "test_any.py").touch()
    (source / "tests" / "dialogue.txt").touch()
    code = "from setuptools import build_meta; build_meta.build_sdist(__import__('sys').argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=source, check=True, capture_output=True
    )
    [made] = tmp_path.glob("*.tar.gz")
    with tarfile.open(made) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    packed = [path for name in SOURCES for path in (source / name, *(source / name).rglob("*"))]
    files = {str(path.relative_to(source)) for path in packed if path.is_file()}
    assert {name for name in files if "egg-info" not in name and "build/" not in name} <= names
    assert {"tests/smtp/test_any.py", "tests/dialogue.txt"} <= names


def test_wheel(wheel: Path, place: Place) -> None:
    """An installed wheel makes twistd list mailhub; without it Twisted is as it was."""
    before = place.tree()
    assert "mailhub" not in place.twistd_help()
    pip(place.python, "install", str(wheel))
    assert "mailhub" in place.twistd_help()
    assert place.tree() - before == {"plugins/mailhub_plugin.py"}
    pip(place.python, "uninstall", "--yes", "mailhub")
    assert place.tree() == before
    assert "mailhub" not in place.twistd_help()


def test_editable(source: Path, place: Place) -> None:
    """So does an installation in place."""
    before = place.tree()
    pip(place.python, "install", "--no-build-isolation", "--editable", str(source))
    assert "mailhub" in place.twistd_help()
    pip(place.python, "uninstall", "--yes", "mailhub")
    assert place.tree() == before
    assert "mailhub" not in place.twistd_help()


def test_command(wheel: Path) -> None:
    """The wheel brings the command ``mailhub``."""
    archive = zipfile.ZipFile(wheel)
    [entry] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert "mailhub = mailhub.cli.main:main" in archive.read(entry).decode()

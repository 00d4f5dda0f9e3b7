"""The documentation builds without a warning, and nothing in it points elsewhere than it should."""

import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.browser import AXE, PROGRAM, browser

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def tables() -> ModuleType:
    """The script that makes them."""
    spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_builds_without_a_warning(tmp_path: Path) -> None:
    for package in ("sphinx", "furo", "myst_parser", "sphinx_copybutton"):
        pytest.importorskip(package, reason="needs pip install '.[docs]'")
    # Pages of the source, and a table of contents of every name on every page, take half of the
    # time and tell nothing about ours.
    conf = runpy.run_path(str(DOCS / "conf.py"))
    extensions = [name for name in conf["extensions"] if name != "sphinx.ext.viewcode"]
    quick = ["-D", "toc_object_entries=0", "-D", "extensions=" + ",".join(extensions)]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", *quick, DOCS, tmp_path / "html"],
        capture_output=True, text=True, check=False, cwd=DOCS.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html" / "reference" / "recognizer.html").read_text(encoding="utf-8")
    assert "factored_asr.recognizer.recognizer.Recognizer.transcribe" in page
    check_accessibility(tmp_path)


def check_accessibility(folder: Path) -> None:
    """Let axe-core look at five pages in a browser, if both are there."""
    if not (PROGRAM and AXE.is_file() and importlib.util.find_spec("websockets")):
        return
    with browser(folder / "profile", DOCS.parent / "examples" / "audio" / "silence.wav") as page:
        for name in ("index", "gallery", "glossary", "course/08-search", "how-to/explain"):
            page.open((folder / "html" / f"{name}.html").as_uri())
            assert page.violations() == [], name


def test_every_picture_and_script_that_is_named_is_there() -> None:
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text):
            assert (page.parent / picture).exists(), f"{page.name}: {picture}"
        for script in re.findall(r"(?:examples|tests/bench)/\w+\.py", text):
            assert (DOCS.parent / script).exists(), f"{page.name}: {script}"


def test_tables_are_what_the_commands_wrote(tables: ModuleType) -> None:
    for page, text in tables.pages().items():
        assert page.read_text(encoding="utf-8") == text, f"{page.name}: run python docs/tables.py"

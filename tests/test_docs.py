"""The documentation builds without a warning, and nothing in it points elsewhere than it should."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def test_builds_without_a_warning(tmp_path: Path) -> None:
    for package in ("sphinx", "furo", "myst_parser", "sphinx_copybutton"):
        pytest.importorskip(package, reason="needs pip install '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", DOCS, tmp_path / "html"],
        capture_output=True, text=True, check=False, cwd=DOCS.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html" / "reference" / "recognizer.html").read_text(encoding="utf-8")
    assert "factored_asr.recognizer.Recognizer.transcribe" in page


def test_every_picture_and_script_that_is_named_is_there() -> None:
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text):
            assert (page.parent / picture).exists(), f"{page.name}: {picture}"
        for script in re.findall(r"(?:examples|tests/bench)/\w+\.py", text):
            assert (DOCS.parent / script).exists(), f"{page.name}: {script}"

"""What tests share: where the data lies, where compiled kernels and graphs are kept."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

collect_ignore_glob = ["data/*"]  # what makes the golden files needs more than tests do

ROOT = Path(__file__).parent.parent
AUDIO = ROOT / "examples" / "audio"


def _kernel_folder() -> Path:
    """A folder for compiled kernels, another one after any kernel file has changed.

    The cache does not notice an edit in a second file; a hash of them all does.
    """
    total = hashlib.sha256(sys.version.encode())
    for file in sorted((ROOT / "factored_asr").rglob("_kernels.py")):
        total.update(file.read_bytes())
    user = os.getuid() if hasattr(os, "getuid") else 0
    base = Path(tempfile.gettempdir()) / f"factored_asr_{user}"
    return base / f"kernels_{total.hexdigest()[:16]}"


def _cache_folder() -> str:
    """A cache that lives as long as the session, with compiled kernels that live longer."""
    folder = tempfile.mkdtemp(prefix="factored_asr_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    kernels = _kernel_folder()
    kernels.mkdir(parents=True, exist_ok=True)
    (Path(folder) / "kernels").symlink_to(kernels)
    return folder


# Before anything is imported that compiles kernels.
if not os.environ.get("FACTORED_ASR_CACHE"):
    os.environ["FACTORED_ASR_CACHE"] = _cache_folder()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of public data for tests; the test is skipped where it is absent."""
    folder = Path(os.environ.get("FACTORED_ASR_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data: {folder} is absent (set FACTORED_ASR_DATA)")
    return folder


@pytest.fixture(scope="session")
def graph_cache() -> Path:
    """The cache of compiled graphs: $FACTORED_ASR_CACHE, by default one of this session alone."""
    return Path(os.environ["FACTORED_ASR_CACHE"])


@pytest.fixture(scope="session")
def audio_dir() -> Path:
    """The sounds synthesised for the project."""
    return AUDIO


@pytest.fixture(scope="session")
def spoken() -> dict[str, str]:
    """Text of each sound of `audio_dir`, by file name."""
    lines = (AUDIO / "texts.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {name: text for name, _, text in (line.split("\t") for line in lines)}

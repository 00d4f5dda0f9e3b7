"""Check a release: build it, look into it, and run it from the wheel in an empty environment.

    pip install build twine && python tests/release.py

prints a line for each check and exits with 1 at the first that fails. It writes to a temporary
folder only; installing the wheel needs a package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (
    "factored_asr/__init__.py", "factored_asr/py.typed", "factored_asr/lm/smart_home.yaml",
    "factored_asr/lm/english.lm.zip", "factored_asr/lexicons/books.dict",
    "factored_asr/course/pages/01-one-hmm.md", "factored_asr/dialogue/acts.yaml",
    "factored_asr/explain/page.css",
    "factored_asr/features/speech_mask.npz", "factored_asr/models/en_us_network/head.npz",
    "factored_asr/models/en_us_network/taught.npz",
)
"""Files without which an installed copy does not work."""
FOREIGN = ("tests/", "docs/", "examples/", ".ci/", ".github/")
"""Folders of the repository that are not part of a wheel."""
LARGEST = 40_000_000  # bytes of a wheel


def main() -> None:
    """Run every check in order."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = copied(work / "source")
        run(sys.executable, "-m", "build", "--outdir", work / "dist", source)
        [wheel], [archive] = (list((work / "dist").glob(f"*{end}")) for end in (".whl", ".tar.gz"))
        run(sys.executable, "-m", "twine", "check", "--strict", wheel, archive)
        check_wheel(wheel)
        check_archive(archive)
        run_from(wheel, work)
    print("the release is fine")


def copied(place: Path) -> Path:
    """The tracked files: what is not committed is no part of a release."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in names.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes((ROOT / name).read_bytes())
    return place


def check_wheel(wheel: Path) -> None:
    """Its files, size, version and licence."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        about = Parser().parsestr(archive.read(metadata).decode())
    missing = [name for name in NEEDED if name not in names]
    require(not missing, f"{wheel.name} has all it needs", f"it lacks {missing}")
    foreign = [name for name in names if name.startswith(FOREIGN) or name.endswith(".pyc")]
    require(not foreign, "it holds nothing else", f"it also holds {foreign[:5]}")
    size = wheel.stat().st_size
    require(size < LARGEST, f"it has {size / 1e6:.1f} MB", f"more than {LARGEST / 1e6:.0f} MB")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = about["Version"]
    require(f"## {version}" in changes, f"version {version} is in CHANGELOG.md", "it is not")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    require(f"version: {version}" in citation, "CITATION.cff has this version", "it has another")
    licence = about["License-Expression"] or about["License"]
    require(licence == "Apache-2.0", "its licence is Apache-2.0", f"it is {licence}")


def check_archive(archive: Path) -> None:
    """The source archive has what is needed to build and to test."""
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    wanted = {"README.md", "LICENSE", "NOTICE", "CONTRIBUTING.md", "tests/conftest.py",
              "examples/audio/kitchen_light_on.wav", "lm/smart_home.yaml"}  # fmt: skip
    require(wanted <= names, f"{archive.name} can be built and tested",
            f"it lacks {sorted(wanted - names)}")  # fmt: skip


def run_from(wheel: Path, work: Path) -> None:
    """Install the wheel into an empty environment and recognise a command, far from the source."""
    venv.create(work / "venv", with_pip=True)
    bin_folder = work / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(bin_folder / "python", "-m", "pip", "install", "--quiet", wheel)
    sound = ROOT / "examples" / "audio" / "music_stop.wav"
    grammar = next((work / "venv").rglob("factored_asr/lm/smart_home.yaml"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["FACTORED_ASR_CACHE"] = str(work / "cache")
    done = subprocess.run(
        [bin_folder / "factored-asr", "transcribe", "--quiet", "--grammar", grammar, sound],
        capture_output=True, text=True, cwd=work, env=environment, check=False,
    )  # fmt: skip
    require(done.stdout.strip().endswith("stop the music"), "the installed program recognises",
            f"exit code {done.returncode}: {done.stdout}{done.stderr}")  # fmt: skip


def run(*command: str | Path) -> None:
    """Run a program; its own message says what is wrong."""
    print("$", *(Path(part).name if isinstance(part, Path) else part for part in command))
    done = subprocess.run([str(part) for part in command], check=False)
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}")


def require(holds: bool, what: str, otherwise: str) -> None:
    """Print a check; exit if it does not hold."""
    if not holds:
        raise SystemExit(f"NOT: {what}: {otherwise}")
    print(f"ok: {what}")


if __name__ == "__main__":
    main()

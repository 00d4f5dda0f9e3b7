"""Runs that are killed at any point: what is reported done is there and whole, the rest is done by
the next run, and in the end all is as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import soundfile

from factored_asr.batch.outputs import JOURNAL

ROOT = Path(__file__).parent.parent
GRAMMAR = str(ROOT / "lm" / "smart_home.yaml")
LIMIT = 120.0  # seconds; a run that takes longer hangs


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory, audio_dir: Path) -> Path:
    """The first second of each sound of the project, in two folders."""
    folder = tmp_path_factory.mktemp("sounds")
    for name in ("one", "two"):
        (folder / name).mkdir()
        for file in sorted({*audio_dir.glob("*.wav"), *audio_dir.glob("*.opus")}):
            samples, rate = soundfile.read(file, dtype="int16")
            soundfile.write(folder / name / f"{file.stem}.wav", samples[:rate], rate)
    return folder


def start(sounds: Path, output: Path, *more: str) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "factored_asr", "transcribe", str(sounds), "--model", "en-us",
        "--grammar", GRAMMAR, "--format", "json", "--output-dir", str(output),
        "--jobs", "2", "--quiet", *more,
    ]
    return subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True,
        # In the background of a shell without jobs Ctrl-C is ignored, by whatever is begun there.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The outputs of an undisturbed run."""
    output = tmp_path_factory.mktemp("unbroken")
    run = start(sounds, output)
    assert run.communicate(timeout=LIMIT)[1] == "" and run.returncode == 0
    return outputs(output)


def outputs(folder: Path) -> dict[str, bytes]:
    """All files of a folder but what is hidden, by name."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name[0] != "."]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def journal(folder: Path) -> list[str]:
    """Outputs that the journal has, in order; a line that was cut short is none."""
    file = folder / JOURNAL
    names = []
    for line in file.read_text().split("\n") if file.exists() else []:
        try:
            names.append(json.loads(line).get("output", ""))
        except ValueError:
            continue
    return [name for name in names if name]


def workers(run: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes of a run that do the work."""
    found = []
    for child in psutil.Process(run.pid).children(recursive=True):
        try:
            if any("popen_loky" in word for word in child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def wait_for(condition: Callable[[], bool], run: subprocess.Popen[str]) -> bool:
    """True once something holds, False where the run ends before."""
    limit = time.monotonic() + LIMIT
    while not condition():
        if run.poll() is not None:
            return False
        assert time.monotonic() < limit, "the run hangs"
        time.sleep(0.005)
    return True


def disturb(run: subprocess.Popen[str], output: Path, how: str, chance: random.Random) -> None:
    """At a random point: kill the run or a worker, or ask the run to end."""
    done, steps = len(journal(output)), chance.choice((0, 0, 1, 2, 5))
    if not wait_for(lambda: len(journal(output)) >= done + steps and bool(workers(run)), run):
        return
    time.sleep(chance.uniform(0.0, 0.3))
    there = workers(run)
    if how == "worker" and there:
        chance.choice(there).kill()
    elif how != "worker":
        run.send_signal({"run": signal.SIGKILL, "end": signal.SIGTERM, "break": signal.SIGINT}[how])


def kill_again_and_again(sounds: Path, folder: Path, whole: dict[str, bytes], n_times: int) -> None:
    chance = random.Random(6)
    ways = ["run", "worker", "end", "break"]
    n_done = 0
    for number in range(n_times):
        output = folder / str(n_done)
        how = ways[number % len(ways)]
        run = start(sounds, output, "--resume")
        disturb(run, output, how, chance)
        orphans = workers(run) if run.poll() is None else []
        said = run.communicate(timeout=LIMIT)[1]
        assert run.returncode in {"run": (0, -9), "worker": (0,), "end": (0, 143),
                                  "break": (0, 130)}[how], (how, said)
        assert "Traceback" not in said
        psutil.wait_procs(orphans, timeout=LIMIT)
        assert not any(each.is_running() for each in orphans), "a worker outlives its run"
        check_state(output, whole)
        if run.returncode == 0:
            check_end(output, whole)
            n_done += 1
    run = start(sounds, folder / str(n_done), "--resume")
    run.communicate(timeout=LIMIT)
    check_end(folder / str(n_done), whole)


def check_state(output: Path, whole: dict[str, bytes]) -> None:
    """What is there is whole and right, and what the journal names is there."""
    there = outputs(output)
    assert all(whole[name] == content for name, content in there.items())
    assert set(journal(output)) <= set(there)


def check_end(output: Path, whole: dict[str, bytes]) -> None:
    """All is there, as in an unbroken run, and nothing was done twice."""
    assert outputs(output) == whole
    assert Counter(journal(output)) == dict.fromkeys(whole, 1)
    assert not list(output.rglob("*.part"))


def test_a_killed_run_is_taken_up_again(
    sounds: Path, unbroken: dict[str, bytes], tmp_path: Path
) -> None:
    kill_again_and_again(sounds, tmp_path, unbroken, 4)


@pytest.mark.long
def test_fifty_kills_lose_nothing(
    sounds: Path, unbroken: dict[str, bytes], tmp_path: Path
) -> None:
    kill_again_and_again(sounds, tmp_path, unbroken, 50)


@pytest.fixture
def stopped(sounds: Path, tmp_path: Path) -> Iterator[Callable[[int], tuple[int, str]]]:
    """Ends a run by a signal in its middle; gives its exit code and what it said."""

    def stop(number: int) -> tuple[int, str]:
        run = start(sounds, tmp_path)
        assert wait_for(lambda: len(journal(tmp_path)) >= 3, run)
        os.kill(run.pid, number)
        return run.wait(LIMIT), run.communicate()[1]

    yield stop


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_asked_to_end_says_how_to_go_on(
    stopped: Callable[[int], tuple[int, str]], number: int, code: int
) -> None:
    ended, said = stopped(number)
    assert ended == code
    assert "of 30 sounds are done; the same command with --resume does the rest" in said

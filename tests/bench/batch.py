"""Many sounds in one run: throughput of worker processes, hours in a row, and their memory.

``--race``: one run with two workers against two runs of one process each, started together on half
of the files each; turn by turn, by the ratio of their wall times (bar 0.95). Otherwise: ``--hours``
of recordings of half an hour each, joined from the project's clips with pauses between them, in one
run with ``--jobs`` workers and the grammar of smart_home.yaml: seconds for each second of audio
(bar 0.05), and the memory that each worker shares with no other, sampled as they work (bars: 180 MB
each; in the last hour at most 5 % more than in the first).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import soundfile
from common import REPOSITORY, SAMPLE_RATE, load_note, parser, print_table

CLIPS = sorted((REPOSITORY / "examples" / "audio").glob("*.wav"))
FILE_SECONDS = 1800
SAMPLE_EVERY = 2.0  # seconds between looks at the memory


@dataclass
class Run:
    """One command: how long it took, what it cost, and its workers' own memory over time."""

    wall: float = 0.0
    cpu: float = 0.0
    memory: list[tuple[float, float]] = field(default_factory=list)  # from 0 to 1, MB


def command(sources: list[str], output: Path, jobs: int) -> list[str]:
    return [
        sys.executable, "-m", "factored_asr", "transcribe", *sources, "--model", "en-us",
        "--grammar", str(REPOSITORY / "lm" / "smart_home.yaml"), "--format", "json", "--quiet",
        "--output-dir", str(output), "--jobs", str(jobs),
    ]


def recordings(folder: Path, hours: float) -> Path:
    """Recordings in FLAC of half an hour, at least four: the clips in random order, a quiet room
    between them."""
    generator = np.random.default_rng(6)
    clips = [soundfile.read(clip, dtype="float32") for clip in CLIPS]
    assert all(rate == SAMPLE_RATE for _, rate in clips)
    seconds = min(FILE_SECONDS, hours * 3600 / 4)
    for number in range(round(hours * 3600 / seconds)):
        left = round(seconds * SAMPLE_RATE)
        with soundfile.SoundFile(folder / f"{number:03}.flac", "w", SAMPLE_RATE, 1) as file:
            while left > 0:
                clip = clips[generator.integers(len(clips))][0]
                pause = generator.normal(0, 1e-3, round(generator.uniform(0.7, 3) * SAMPLE_RATE))
                part = np.concatenate([clip, pause.astype(np.float32)])[:left]
                file.write(part)
                left -= len(part)
    return folder


def watched(arguments: list[str], output: Path) -> Run:
    """Run a command to its end, with looks at its workers' memory once they have an output."""
    run, began = Run(), time.perf_counter()
    process = subprocess.Popen(arguments, cwd=REPOSITORY)
    samples: list[tuple[float, float]] = []
    while process.poll() is None:
        time.sleep(SAMPLE_EVERY)
        if list(output.glob("*.json")):
            samples += [(time.perf_counter() - began, each) for each in own_memory(process.pid)]
    assert process.returncode == 0, f"exit code {process.returncode}"
    run.wall = time.perf_counter() - began
    first, last = samples[0][0], samples[-1][0]
    run.memory = [((at - first) / (last - first), memory) for at, memory in samples]
    return run


def own_memory(pid: int) -> Iterator[float]:
    """Megabytes of each worker of a run that no other process shares."""
    try:
        for child in psutil.Process(pid).children():
            if any("popen_loky" in word for word in child.cmdline()):
                yield child.memory_full_info().uss / 2**20
    except psutil.Error:
        return


def timed(commands: list[list[str]]) -> Run:
    """Commands started together: seconds until the last has ended, CPU seconds of all."""
    before, began = os.times(), time.perf_counter()
    processes = [subprocess.Popen(each, cwd=REPOSITORY) for each in commands]
    assert [process.wait() for process in processes] == [0] * len(processes)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user
    return Run(time.perf_counter() - began, cpu - before.children_system)


def race(folder: Path, minutes: float, repeat: int) -> None:
    """Two workers of one run against two runs."""
    files = short_files(folder, minutes)
    halves = [[str(file) for file in files[i::2]] for i in (0, 1)]
    rows, ratios = [], []
    for number in range(repeat):
        one = timed([command([str(folder)], folder / f"one{number}", 2)])
        outputs = [folder / f"two{number}-{i}" for i in (0, 1)]
        two = timed([command(*each, 1) for each in zip(halves, outputs, strict=True)])
        ratios.append(two.wall / one.wall)
        rows.append([f"{one.wall:.1f}", f"{one.cpu:.1f}", f"{two.wall:.1f}", f"{two.cpu:.1f}",
                     f"{ratios[-1]:.3f}", f"{two.cpu / one.cpu:.3f}"])
        shutil.rmtree(folder / f"one{number}")
    print(f"{len(files)} clips, {minutes:g} minutes of audio")
    print_table(rows, ["one run: wall", "cpu", "two runs: wall", "cpu", "throughput", "by cpu"])
    print(f"median throughput of two workers against two runs: {np.median(ratios):.3f} (bar 0.95)")


def short_files(folder: Path, minutes: float) -> list[Path]:
    """Copies of the clips, until there are so many minutes."""
    files: list[Path] = []
    seconds = 0.0
    while seconds < 60 * minutes:
        clip = CLIPS[len(files) % len(CLIPS)]
        files.append(folder / f"{len(files):05}.wav")
        shutil.copy(clip, files[-1])
        seconds += soundfile.info(clip).duration
    return files


def hours_in_a_row(folder: Path, hours: float, jobs: int) -> None:
    """One long run: its speed, and whether its memory grows."""
    sounds = recordings(folder, hours)
    before = os.times()
    run = watched(command([str(sounds)], folder / "out", jobs), folder / "out")
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    part = min(0.5, 1 / hours)  # an hour of the audio, or half of the run
    first = [memory for at, memory in run.memory if at <= part]
    last = [memory for at, memory in run.memory if at > 1 - part]
    audio = hours * 3600
    print_table(
        [[f"{hours:g}", str(jobs), f"{run.wall / audio:.4f}", f"{cpu / audio:.4f}",
          f"{max(memory for _, memory in run.memory):.0f}", f"{np.mean(first):.1f}",
          f"{np.mean(last):.1f} ({np.mean(last) / np.mean(first) - 1:+.1%})"]],
        ["hours", "jobs", "wall / audio", "cpu / audio", "own MB, most", "first hour", "last hour"],
    )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--hours", type=float, default=10.0, help="of audio in a row")
    arguments.add_argument("--jobs", type=int, default=2, help="worker processes")
    arguments.add_argument("--race", type=float, metavar="MINUTES", help="race over so much audio")
    arguments.add_argument("--repeat", type=int, default=3, help="turns of the race")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.race:
            race(Path(name), options.race, options.repeat)
        else:
            hours_in_a_row(Path(name), options.hours, options.jobs)
    print(load_note())


if __name__ == "__main__":
    main()

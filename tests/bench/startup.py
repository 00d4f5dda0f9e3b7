"""The first transcript ever on a machine, and every later command: seconds and memory.

Each run is a `factored-asr transcribe` process of its own on a clip of about 3 s. First: empty
cache folders, so that graph and kernels are compiled (bars: 15 s with a grammar; 35 s and 2 GB in
dictation). Later: median of ``--repeat`` runs, seconds from the start of the process to its first
word (bar in dictation 0.8 s) and peak resident memory (bar 450 MB).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from common import parser, report

COFFEE_CLIP_SECONDS = 3.0


@dataclass(frozen=True)
class Run:
    """One process: seconds to its first output and to its end, CPU seconds, peak MB, its text."""

    first_word: float
    total: float
    cpu: float
    megabytes: float
    text: str


def transcribe(arguments: list[str], cache: Path) -> Run:
    """Run the command with all its caches in one folder."""
    environment = os.environ | {
        "FACTORED_ASR_CACHE": str(cache / "graphs"),
        "XDG_CACHE_HOME": str(cache / "xdg"),
    }
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "factored_asr", "transcribe", "--quiet", *arguments],
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None
    beginning = process.stdout.read(1)
    first_word = time.perf_counter() - began
    text = (beginning + process.stdout.read()).decode().strip()
    _, status, usage = os.wait4(process.pid, 0)
    total = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"factored-asr transcribe {arguments} ended with {process.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    return Run(first_word, total, cpu, usage.ru_maxrss / 1024.0, text)


def clip_of(folder: Path, seconds: float) -> Path:
    """The clip whose length is nearest."""
    import soundfile

    return min(
        sorted(folder.glob("*.flac")),
        key=lambda path: abs(soundfile.info(path).duration - seconds),
    )


def figures(runs: list[Run]) -> list[str]:
    """Medians over the runs, as the table shows them."""
    first_word, total, cpu, megabytes = (
        statistics.median(getattr(run, name) for run in runs)
        for name in ("first_word", "total", "cpu", "megabytes")
    )
    return [f"{first_word:.2f}", f"{total:.2f}", f"{cpu:.2f}", f"{megabytes:.0f}"]


def main() -> None:
    """Both kinds of graph: first run, then the later ones."""
    made = parser(__doc__)
    made.add_argument("--repeat", type=int, default=5, help="later runs of each kind")
    made.add_argument("--kinds", default="grammar,dictation", help="grammar, dictation or both")
    options = made.parse_args()
    coffee = options.data / "coffee_commands"
    command = str(clip_of(coffee / "clean", COFFEE_CLIP_SECONDS))
    sentence = next(iter(sorted((options.data / "native_dictation").glob("*0880.wav"))))
    arguments = {
        "grammar": ["--grammar", str(coffee / "grammar.yaml"), command],
        "dictation": [str(sentence)],
    }
    rows = []
    for kind in options.kinds.split(","):
        with tempfile.TemporaryDirectory() as folder:
            first = transcribe(arguments[kind], Path(folder))
            later = [transcribe(arguments[kind], Path(folder)) for _ in range(options.repeat)]
        print(f"{kind}: {first.text!r}")
        if {run.text for run in later} != {first.text}:
            print(f"{kind}: later runs gave other words: {[run.text for run in later]}")
        rows.append([f"{kind}, first ever", *figures([first])])
        rows.append([f"{kind}, later (median of {len(later)})", *figures(later)])
    report(options, "The command, for the first time and later", rows,
           ["process", "to the first word, s", "in all, s", "CPU, s", "peak MB"])  # fmt: skip


if __name__ == "__main__":
    main()

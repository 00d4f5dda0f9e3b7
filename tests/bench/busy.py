"""Dictation next to other programs: CPU time with busy processes against the same alone.

Run it without thread variables, as users do. Bar: two busy processes on two cores cost at most 1.3
times the CPU time.
"""

from __future__ import annotations

import multiprocessing
import time

from common import SAMPLE_RATE, native_dictation, parser, read_samples, report

from factored_asr import Recognizer


def spin() -> None:
    """Keep a core busy."""
    while True:
        pass


def cpu_seconds(recognizer: Recognizer, recordings: list) -> tuple[float, float]:
    """CPU and wall seconds of decoding all recordings once."""
    cpu, wall = time.process_time(), time.perf_counter()
    for samples in recordings:
        recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Decode in turn alone and with company, print the medians."""
    arguments = parser(__doc__)
    arguments.add_argument("--busy", type=int, default=2, help="busy processes")
    arguments.add_argument("--rounds", type=int, default=3, help="pairs of runs")
    options = arguments.parse_args()
    recordings = [read_samples(each.path) for each in native_dictation(options.data)]
    seconds = sum(map(len, recordings)) / SAMPLE_RATE
    recognizer = Recognizer.load("en-us")
    cpu_seconds(recognizer, recordings)
    alone, company = [], []
    for _ in range(options.rounds):
        alone.append(cpu_seconds(recognizer, recordings))
        busy = [multiprocessing.Process(target=spin, daemon=True) for _ in range(options.busy)]
        for each in busy:
            each.start()
        company.append(cpu_seconds(recognizer, recordings))
        for each in busy:
            each.terminate()
            each.join()
    ratios = sorted(b[0] / a[0] for a, b in zip(alone, company, strict=True))
    rows = []
    for name, runs in (("alone", alone), (f"with {options.busy} busy processes", company)):
        medians = (sorted(part)[len(part) // 2] / seconds for part in zip(*runs, strict=True))
        rows.append([name, *(f"{each:.3f}" for each in medians)])
    report(options, "Dictation next to other programs", rows,
           ["", "CPU × real time", "wall × real time"])  # fmt: skip
    print(f"CPU with company / alone, median of pairs: {ratios[len(ratios) // 2]:.2f}")


if __name__ == "__main__":
    main()

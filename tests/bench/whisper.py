"""Whispered against voiced speech: learn the map of detectors/voicing.py, and measure it.

    python tests/bench/whisper.py [--write whisper] [--limit N]

No whispers are at hand, so pairs are made of real speech, through one channel: the residual of
linear prediction is replaced by noise of the same power frame by frame, and what lies below 400 to
900 Hz is lowered. Learnt on the native speaker and half of the accented speakers, clean and in
rain, fire, the ticking of clocks and computed noise at 6 to 20 dB. Measured on other accented
speakers and on orders, clean and in a kitchen and the sea at 12 dB. The weights are printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from common import SAMPLE_RATE, accented_english, parser, read_samples, report

from factored_asr.acoustic.network.encoder import HOP
from factored_asr.audio.mixing import add_noise
from factored_asr.corpus.whisper import whispered
from factored_asr.detectors.classifier import fit
from factored_asr.detectors.enrolment import pink
from factored_asr.detectors.voicing import LOUD_DB, frame_values, stretch_values

SNRS = (None, 12.0)
PENALTY = 10.0
LEARNT_SNRS = (None, 12.0, 6.0, 20.0)
LEARNT_NOISES, MEASURED_NOISES = ("rain", "fire_crackling", "clock_tick"), ("sea_waves",)
"""Classes of ESC-10."""


def values_of(samples: np.ndarray) -> np.ndarray:
    """Return what is judged of a clip that is one stretch of speech."""
    n_frames = len(samples) // HOP
    frames = frame_values(np.zeros(HOP, np.float32), samples[: n_frames * HOP].reshape(-1, HOP))
    loud = np.flatnonzero(frames[:, -1] > frames[:, -1].max() - LOUD_DB)
    return stretch_values(frames[loud[0] : loud[-1] + 1])


def pairs(paths: list[Path], noises: list[np.ndarray], seed: int,
          snrs: Sequence[float | None] = SNRS) -> Iterator[tuple[int, float | None, np.ndarray]]:
    """Yield (is a whisper, SNR, values) of each clip, voiced and whispered, clean and in noise."""
    rng = np.random.default_rng(seed)
    for number, path in enumerate(paths):
        samples = read_samples(path)[: SAMPLE_RATE * 4]
        for is_whisper, sound in enumerate((samples, whispered(samples, 1000 * seed + number))):
            for turn, snr in enumerate(snrs):
                mixed = sound
                if snr is not None:
                    noise = noises[(number + turn) % len(noises)]
                    mixed = add_noise(sound, _piece(noise, len(sound), rng), snr)
                yield is_whisper, snr, values_of(mixed)


def _piece(noise: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    while True:
        begin = int(rng.integers(0, len(noise) - n_samples))
        piece = noise[begin : begin + n_samples]
        if piece.any():
            return piece


def equal_error_rate(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the rate of errors where misses are as frequent as false alarms."""
    sorted_labels = labels[np.argsort(scores)]
    misses = np.cumsum(sorted_labels) / sorted_labels.sum()
    alarms = 1 - np.cumsum(1 - sorted_labels) / (1 - sorted_labels).sum()
    at = int(np.argmin(np.abs(misses - alarms)))
    return float(misses[at] + alarms[at]) / 2


def main() -> None:
    options = parser(__doc__).parse_args()
    data = options.data
    limit = options.limit or 80
    speakers: dict[str, list[Path]] = {}
    for each in accented_english(data):
        speakers.setdefault(each.speaker, []).append(each.path)
    names = sorted(speakers)
    learnt = [path for name in names[::2] for path in speakers[name][:2]][:limit]
    learnt += sorted((data / "native_english").rglob("*.ogg"))[::40][:limit]
    unseen = [speakers[name][0] for name in names[1::2]][:limit]
    orders = sorted((data / "coffee_commands" / "clean").glob("*.flac"))[::4][:limit]
    kitchen = read_samples(data / "coffee_commands" / "kitchen_noise.flac")
    heard, unheard = (
        [np.concatenate([*map(read_samples, sorted((data / "events" / name).glob("*")))])
         for name in names] for names in (LEARNT_NOISES, MEASURED_NOISES))
    heard += [pink(30 * SAMPLE_RATE, np.random.default_rng(5))]
    rows = list(pairs(learnt, heard, 1, LEARNT_SNRS))
    x, y = np.array([row[2] for row in rows]), np.array([row[0] for row in rows])
    learned = fit(x, y, ("voiced", "whispered"), penalty=PENALTY)
    weights = (learned.weights[:, 1] - learned.weights[:, 0]) / learned.scale
    offset = float(learned.bias[1] - learned.bias[0] - weights @ learned.mean)
    print("WEIGHTS =", tuple(round(float(w), 3) for w in weights))
    print("OFFSET =", round(offset, 3))
    table = []
    for title, paths in (("accented speakers, unseen", unseen), ("orders", orders)):
        measured = list(pairs(paths, [kitchen, *unheard], 2))
        for snr in SNRS:
            here = [row for row in measured if row[1] == snr]
            labels = np.array([row[0] for row in here])
            scores = np.array([row[2] for row in here]) @ weights + offset
            wrong = int(((scores > 0) != labels).sum())
            table.append((title, "clean" if snr is None else f"{snr:g} dB", len(here),
                          f"{100 * equal_error_rate(scores, labels):.1f} %", wrong))
    report(options, "Whispered (made of real speech) against voiced speech", table,
           ("speech", "noise", "clips", "equal error rate", "wrong at probability 0.5"))


if __name__ == "__main__":
    main()

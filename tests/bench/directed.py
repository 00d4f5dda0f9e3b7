"""Directedness: is speech a command to the device? Learn the model of detectors/directed.py.

    python tests/bench/directed.py [--write directed] [--clips 160] [--ship] [--shipped]

The same synthetic voices speak commands of a grammar, near misses and conversation, through one
channel: noise, level and bandwidth are drawn alike for all of them. Near misses are commands that
are told or asked of others, and talk about the same things; conversation is of Switchboard and of
books. The model is learnt with lm/smart_home.yaml, and measured with lm/house.yaml: other voices,
sentences, near misses and noises. Unmatched channels are measured apart: there the two classes
come through different ones. ``--ship`` writes factored_asr/detectors/directed.npz.
"""

from __future__ import annotations

import argparse
import re
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from build_lm import switchboard
from common import REPOSITORY, SAMPLE_RATE, parser, read_samples, report
from denials import VOICES, speak
from whisper import equal_error_rate

from factored_asr import Recognizer
from factored_asr.audio.mixing import add_noise
from factored_asr.detectors import FrameStream
from factored_asr.detectors.classifier import Classifier, fit
from factored_asr.detectors.directed import FAMILIES, NAMES, SHIPPED, DirectednessDetector
from factored_asr.detectors.stretches import Stretch, Stretches
from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.sampling import random_sentences

GRAMMARS = ("smart_home", "house")
"""Of learning and of measuring."""
TOLD: tuple[tuple[str, ...], ...] = (
    ("she said {}", "did you {}", "i forgot to {}", "why did they {}", "we never {}",
     "he asked me to {}", "the kitchen light is really bright", "my brother sold the old lamp",
     "what is the light in the hall like", "i like the music in that film"),
    ("he told her to {}", "do you always {}", "they will {} later", "who wanted to {}",
     "i think i should {}", "you could not {}", "the office blinds look dirty to me",
     "our heating was broken last winter", "was the front door locked when you left",
     "she painted the bedroom last week"),
)  # fmt: skip
"""Near misses, of learning and of measuring; {} is a command."""
PENALTY = 3.0
PAUSE = 21  # frames
SNRS = (None, 20.0, 10.0)
BANDS = ((0.0, 8000.0), (0.0, 4000.0), (300.0, 3400.0))  # Hz
LEVELS = (-20.0, 0.0)  # decibels
NEAR, FAR = (None, BANDS[0], -3.0), (10.0, BANDS[2], -20.0)
"""Channels that do not match: SNR, band, level."""
Channel = tuple[float | None, tuple[float, float], float]


def texts(half: int, data: Path, n: int) -> Iterator[tuple[int, str]]:
    """Yield (is directed, sentence), half of them commands, in turn."""
    grammar = Grammar.read(REPOSITORY / "lm" / f"{GRAMMARS[half]}.yaml")
    commands = [" ".join(each) for each in random_sentences(grammar, n, half)]
    talk = list(conversation(half, data, n))
    for i in range(n):
        if i % 2 == 0:
            yield 1, commands[i]
        elif i % 4 == 1:
            yield 0, TOLD[half][i // 4 % len(TOLD[half])].format(commands[i])
        else:
            yield 0, talk[i]


def conversation(half: int, data: Path, n: int) -> Iterator[str]:
    """Yield sentences of 4 to 12 words, of calls and of books in turn."""
    import lzma

    spoken = list(switchboard(data / "understanding"))[half::2]
    with lzma.open(data / "text" / "books.txt.xz", "rt", encoding="utf-8") as file:
        read = [next(file) for _ in range(20_000)][half::2]
    rng = np.random.default_rng(half)
    sources = [[each for each in map(_plain, lines) if 4 <= len(each.split()) <= 12]
               for lines in (spoken, read)]
    for i in range(n):
        lines = sources[i // 4 % 2] or sources[1]
        yield lines[int(rng.integers(len(lines)))]


def _plain(line: str) -> str:
    return " ".join(re.sub(r"[^a-z' ]", " ", line.lower()).split())


def through(samples: np.ndarray, channel: Channel, noises: list[np.ndarray],
            rng: np.random.Generator) -> np.ndarray:
    """Return a sound with noise, in a band, at a level."""
    snr, (low, high), level = channel
    if snr is not None:
        noise = noises[int(rng.integers(len(noises)))]
        begin = int(rng.integers(0, len(noise)))
        samples = add_noise(samples, np.resize(np.roll(noise, -begin), len(samples)), snr)
    spectrum, hertz = np.fft.rfft(samples), np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    samples = np.fft.irfft(spectrum * ((hertz >= low) & (hertz <= high)), len(samples))
    scale = 10 ** (level / 20) * 0.5 / max(float(np.abs(samples).max()), 1e-6)
    return (scale * samples).astype(np.float32)


def drawn(rng: np.random.Generator) -> Channel:
    """Draw a channel, alike for both classes."""
    return (SNRS[int(rng.integers(len(SNRS)))], BANDS[int(rng.integers(len(BANDS)))],
            float(rng.uniform(*LEVELS)))


def spoken(text: str, half: int, n: int, folder: Path) -> np.ndarray:
    """Return a sentence in one of the voices of a half, with silence around it."""
    program, voice = VOICES[half][n // 2 % len(VOICES[half])]
    path = folder / f"{half}_{zlib.crc32(f'{text}|{voice}'.encode()):08x}.wav"
    if not path.exists():
        speak(text, program, voice, (1.0, 1.2)[n // 16 % 2], "plain", path)
    quiet = np.zeros(SAMPLE_RATE // 2, np.float32)
    return np.concatenate([quiet, read_samples(path), quiet])


def stretch_of(detector: DirectednessDetector, samples: np.ndarray) -> Stretch | None:
    """Return the longest stretch of speech of a sound."""
    stream = FrameStream(detector.recognizer.model)  # type: ignore[arg-type]
    cut, found = Stretches(PAUSE, 8), []
    for block in [*stream.accept(samples), *stream.finish()]:
        found += cut.accept(block)
    found += cut.finish()
    return max(found, key=lambda each: each.end - each.begin, default=None)


def measured(detector: DirectednessDetector, sounds: list[tuple[int, np.ndarray]]
             ) -> tuple[np.ndarray, np.ndarray]:
    """Return the values and the class of each sound with speech."""
    rows, labels = [], []
    for label, sound in sounds:
        stretch = stretch_of(detector, sound)
        if stretch is not None:
            rows.append(detector.values(stretch))
            labels.append(label)
    return np.array(rows), np.array(labels)


def columns(families: tuple[str, ...]) -> np.ndarray:
    """Return which values are of some families."""
    return np.concatenate([np.full(len(names), family in families)
                           for family, names in FAMILIES.items()])


def odds(made: Classifier, x: np.ndarray) -> np.ndarray:
    """Return the log-odds of being directed."""
    return (x - made.mean) / made.scale @ (made.weights[:, 1] - made.weights[:, 0])


@cache
def detector_of(half: int) -> DirectednessDetector:
    """Return a detector with the grammar of a half; what its model says is not used."""
    grammar = REPOSITORY / "lm" / f"{GRAMMARS[half]}.yaml"
    empty = Classifier(NAMES, *(np.zeros(0, np.float32),) * 4)
    return DirectednessDetector(Recognizer.load("en-us-network", grammar=grammar), empty)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--clips", type=int, default=160, help="sentences of each half")
    options.add_argument("--shipped", action="store_true", help="measure the shipped model alone")
    options.add_argument("--ship", action="store_true", help="also write the shipped model")
    given = options.parse_args()
    wholes = {"all": tuple(FAMILIES), "acoustic alone": ("acoustic",),
              "without acoustic": ("semantic", "decoder")}
    if given.shipped:
        models = {"all": Classifier.read(SHIPPED)}
    else:
        learnt = values(given, 0, "matched")
        models = {name: fit(learnt[0][:, columns(used)], learnt[1], NAMES, penalty=PENALTY,
                            description="synthetic voices, tests/bench/directed.py")
                  for name, used in wholes.items()}
    if given.ship:
        models["all"].write(SHIPPED)
    rows = []
    for channel in ("matched", "directed near, other far", "directed far, other near"):
        x, labels = values(given, 1, channel)
        print(channel, len(x), flush=True)
        rates = {name: equal_error_rate(odds(made, x[:, columns(wholes[name])]), labels)
                 for name, made in models.items()}
        rows.append((channel, len(x), *(f"{100 * rate:.1f} %" for rate in rates.values())))
        print(*rows[-1], flush=True)
    report(given, "Equal error rate of directedness; other voices, sentences and grammar", rows,
           ("channel", "sounds", *models))


def values(given: argparse.Namespace, half: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return values and classes of the sounds of a half, through channels of a kind."""
    detector, rng = detector_of(half), np.random.default_rng(half)
    noises = noises_of(given.data, half)
    sounds = []
    n_clips = given.clips if kind == "matched" else given.clips // 2
    for n, (label, text) in enumerate(texts(half, given.data, n_clips)):
        channel = drawn(rng)
        if kind != "matched":
            channel = NEAR if (label == 1) == kind.startswith("directed near") else FAR
        said = spoken(text, half, n, given.work / "directed")
        sounds.append((label, through(said, channel, noises, rng)))
    return measured(detector, sounds)


def noises_of(data: Path, half: int) -> list[np.ndarray]:
    """Noises of each half: of rain and clocks, or of the sea and a kitchen."""
    names = (("rain", "clock_tick"), ("sea_waves", "fire_crackling"))[half]
    found = [np.concatenate([*map(read_samples, sorted((data / "events" / name).glob("*"))[:12])])
             for name in names]
    if half:
        found.append(read_samples(data / "coffee_commands" / "kitchen_noise.flac"))
    return found


if __name__ == "__main__":
    main()

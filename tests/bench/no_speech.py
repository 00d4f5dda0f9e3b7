"""What becomes of an hour of noise and an hour of music: nothing should.

    python tests/bench/no_speech.py [--model en-us-network] [--every 4] [--systems commands]

The noise is that of thresholds.py: sudden events, the kitchen, hum, hiss, clatter, and babble,
which is six people's speech at once. The music is computed: chord progressions with a melody, by
six instruments of harmonics with their own envelopes, two of them with drums, one with the formants
of a sung vowel. All is cut into pieces of 8 s, a few shorter. A piece is wrong if it has any word.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from common import SAMPLE_RATE, accented_english, parser, read_samples, report
from other_speech import at_loudness
from thresholds import CUT, noises

if TYPE_CHECKING:
    from factored_asr import Recognizer

MINUTES = 10  # of each instrument
CHORDS = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (9, 12, 16))  # in semitones: I, IV, V, VI
SCALE = np.array([0, 2, 4, 5, 7, 9, 11, 12])
BEAT = 0.5  # seconds
INSTRUMENTS = {
    # name: (decay of the harmonics, decay of the note a second, attack in seconds, vibrato, drums)
    "piano": (1.2, 3.0, 0.005, 0.0, False),
    "organ": (0.8, 0.0, 0.02, 0.0, False),
    "strings": (1.0, 0.3, 0.12, 0.006, False),
    "guitar and drums": (1.4, 4.0, 0.003, 0.0, True),
    "band": (0.9, 1.0, 0.01, 0.003, True),
    "sung vowel": (0.6, 0.2, 0.08, 0.01, False),
}
FORMANTS = ((700.0, 110.0), (1220.0, 120.0), (2600.0, 160.0))  # of "ah": hertz and width


def music() -> Iterator[tuple[str, np.ndarray]]:
    """An hour of music in pieces."""
    for seed, (name, how) in enumerate(INSTRUMENTS.items()):
        rng = np.random.default_rng(seed)
        for _ in range(MINUTES * 60 * SAMPLE_RATE // CUT):
            yield f"music, {name}", phrase(rng, name == "sung vowel", *how)


def phrase(
    rng: np.random.Generator, sung: bool, harmonics: float, decay: float, attack: float,
    vibrato: float, drums: bool,
) -> np.ndarray:
    """8 s of a chord progression in a random key with a melody, float32."""
    total = np.zeros(CUT + SAMPLE_RATE)
    key = rng.uniform(100, 220)
    for beat in range(int(CUT / SAMPLE_RATE / BEAT)):
        at = int(beat * BEAT * SAMPLE_RATE)
        notes = [(int(SCALE[rng.integers(8)]) + 12, BEAT)] if rng.random() < 0.8 else []
        if beat % 4 == 0:
            notes += [(step, 4 * BEAT) for step in CHORDS[rng.integers(4)]]
        for step, seconds in notes:
            played = note(key * 2 ** (step / 12), seconds, sung, harmonics, decay, attack, vibrato)
            total[at : at + len(played)] += played[: len(total) - at]
        if drums:
            times = np.arange(int(0.2 * SAMPLE_RATE)) / SAMPLE_RATE
            noise = rng.normal(size=len(times)) * np.exp(-times * (60 if beat % 2 else 25))
            kick = np.sin(2 * np.pi * 60 * times) * np.exp(-times * 20) * (beat % 2 == 0) * 3
            total[at : at + len(times)] += 1.5 * noise + kick
    return at_loudness(total[:CUT])


def note(
    hertz: float, seconds: float, sung: bool, harmonics: float, decay: float, attack: float,
    vibrato: float,
) -> np.ndarray:
    """One note: a sum of harmonics under an envelope."""
    times = np.arange(int((seconds + 0.2) * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * hertz * (times + vibrato / 33 * np.sin(2 * np.pi * 5.5 * times))
    sound = np.zeros(len(times))
    for k in range(1, int(min(30, 7000 / hertz)) + 1):
        weight = k**-harmonics
        if sung:
            weight *= 0.02 + sum(1 / (1 + ((k * hertz - f) / width) ** 2) for f, width in FORMANTS)
        sound += weight * np.sin(k * phase)
    envelope = np.minimum(times / attack, 1) * np.exp(-decay * times)
    return sound * envelope * np.minimum((times[-1] - times) / 0.05, 1)


def sounds(data: Path, every: int) -> Iterator[tuple[str, np.ndarray]]:
    """Every n-th piece of noise and of music."""
    kitchen = read_samples(data / "coffee_commands" / "kitchen_noise.flac")
    speech = [each.path for each in accented_english(data)]
    for pieces in (noises(data, kitchen, speech), music()):
        for i, (name, samples) in enumerate(pieces):
            if i % every == 0:
                yield "events" if name.startswith("event") else name, samples


def main() -> None:
    """Play everything, list the words, print the table."""
    made = parser(__doc__)
    made.add_argument("--model", default="en-us-network", help="the acoustic model")
    made.add_argument("--every", type=int, default=1, help="every Nth piece")
    made.add_argument("--systems", default="commands,dictation", help="one or both")
    options = made.parse_args()
    from factored_asr import Recognizer

    systems: dict[str, Recognizer] = {}
    for name in options.systems.split(","):
        grammar = options.data / "coffee_commands" / "grammar.yaml" if name == "commands" else None
        systems[name] = Recognizer.load(options.model, grammar=grammar)
    found: dict[str, list[float]] = {}
    for kind, samples in sounds(options.data, options.every):
        counts = found.setdefault(kind, [0.0] * (2 + len(systems)))
        counts[0] += 1
        counts[1] += len(samples) / SAMPLE_RATE / 60
        for i, (name, recognizer) in enumerate(systems.items()):
            said = recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
            counts[2 + i] += bool(said.words)
            if said.words:
                print(f"{kind}, {name}: {said.text}", flush=True)
    rows = [[kind, int(n), f"{minutes:.1f}", *(int(each) for each in wrong)]
            for kind, (n, minutes, *wrong) in found.items()]
    report(options, "Noise and music: pieces with any word", rows,
           ["sound", "pieces", "minutes", *systems])  # fmt: skip


if __name__ == "__main__":
    main()

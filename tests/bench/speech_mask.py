"""The mask of speech that the package ships: trained on other speech in other noise, no kitchen.

    pip install 'factored-asr[train]'   # for torch
    python tests/bench/speech_mask.py --write-to factored_asr/features/speech_mask.npz

Speech: the accented speakers that accented.py trains on, one in three of `wake_words`, and
sentences synthesised as in other_speech.py. Noise: the classes of `events`, babble of two and of
six of the speakers, and household noise that is computed: dishes, knocks, water, squeaks, fans. No
order, no kitchen, no speaker who is measured. Ratios lie between 0 and 27 dB by the loudest blocks.
It takes some twenty minutes of one core. The shipped mask was trained by code of our own with the
same network, loss, optimiser and steps (commit cc4c53f, factored_asr/training/mask.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import SAMPLE_RATE, parser, read_samples
from mask_training import MaskOptions, train_mask
from other_speech import accented_readers, at_loudness, babble, synthesised

from factored_asr.audio.mixing import peak_energy
from factored_asr.audio.reading import read_audio
from factored_asr.corpus.augment import cut_from

RATIOS = (0.0, 27.0)  # dB
COMPUTED = 0.6  # share of the sounds in household noise
SECOND = 0.35  # share with two noises at once, the other up to SPREAD dB louder or softer
SPREAD = 12.0
PAUSES = (0.1, 1.0)  # seconds before and after what was recorded without any
BURST = 0.6  # seconds


def sounds(
    speech: list[tuple[np.ndarray, bool]], events: list[np.ndarray], seed: int = 2
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Speech and noise without end, as they are to be added."""
    rng = np.random.default_rng(seed)
    household = [household_noise(number, 30) for number in range(100, 220)]
    while True:
        for number in rng.permutation(len(speech)):
            samples, padded = speech[number]
            samples = samples if padded else between_pauses(samples, rng)
            noise = drawn(events, household, len(samples), rng)
            if rng.random() < SECOND:
                other = drawn(events, household, len(samples), rng)
                louder = np.std(noise) / max(np.std(other), 1e-9)
                noise = noise + other * louder * 10 ** (rng.uniform(-SPREAD, SPREAD) / 20)
            if not np.any(noise):
                continue
            ratio = peak_energy(samples) / peak_energy(noise) / 10 ** (rng.uniform(*RATIOS) / 10)
            noise = np.sqrt(ratio) * noise
            gain = 1 / (2 * np.abs(samples + noise).max())
            yield (gain * samples).astype(np.float32), (gain * noise).astype(np.float32)


def drawn(
    events: list[np.ndarray], household: list[np.ndarray], n_samples: int, rng: np.random.Generator
) -> np.ndarray:
    """A piece of one of the noises."""
    kind = household if rng.random() < COMPUTED else events
    return cut_from(kind[rng.integers(len(kind))], n_samples, rng)


def between_pauses(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech with some of its own room before and after it."""
    blocks = samples[: len(samples) // 400 * 400].reshape(-1, 400)
    room = np.sqrt(np.percentile((blocks**2).mean(axis=1), 10) + 1e-12)
    pause = rng.normal(0, room, int(rng.uniform(*PAUSES) * SAMPLE_RATE))
    return np.concatenate([pause, samples, pause[::-1]])


# ---------------------------------------------------------------------------------- computed noise
def household_noise(seed: int, seconds: int) -> np.ndarray:
    """Bursts that come thick and fast, or now and then, over a coloured floor; at times water."""
    rng, length = np.random.default_rng(seed), round(BURST * SAMPLE_RATE)
    n_samples = seconds * SAMPLE_RATE
    floor = coloured(n_samples + length, lambda hz: hz ** -rng.uniform(0, 0.9), rng)
    sound = floor * rng.choice([0.01, 0.03, 0.1, 3.0])  # the last drowns the rest: fans, rooms
    if rng.random() < 0.5:
        water = band(n_samples + length, (500, 6000), (0.3, 1.2), rng)
        knots = np.linspace(0, len(water), 2 * seconds)
        flow = np.interp(np.arange(len(water)), knots, rng.uniform(0, 1, 2 * seconds)) ** 2
        sound += water * flow * rng.lognormal(-2, 0.7)
    at, pauses = 0.0, [0.05, 0.1, 0.2, 0.5, 1.0]
    pause = rng.choice(pauses)
    while at < n_samples:
        kind = rng.choice([dish, knock, squeak], p=[0.6, 0.25, 0.15])
        sound[int(at) : int(at) + length] += rng.lognormal(0, 1) * kind(length, rng)
        if rng.random() < 0.05:
            pause = rng.choice(pauses)
        at += SAMPLE_RATE * rng.exponential(pause)
    return at_loudness(sound[:n_samples])


def dish(length: int, rng: np.random.Generator) -> np.ndarray:
    """Damped tones at once, and the knock that starts them."""
    times, n_tones = np.arange(length) / SAMPLE_RATE, rng.integers(2, 14)
    pitches = np.minimum(between(300, 4000, rng) * rng.uniform(1, 6, n_tones), 7900)
    decays = between(0.004, 0.2, rng, n_tones)
    tones = np.sin(2 * np.pi * np.outer(pitches, times) + rng.uniform(0, 6, (n_tones, 1)))
    burst = rng.lognormal(0, 0.8, n_tones) @ (tones * np.exp(-times / decays[:, None]))
    n_knock = rng.integers(50, 500)
    fading = np.exp(-np.arange(n_knock) / (n_knock / 5))
    burst[:n_knock] += rng.lognormal(0, 0.7) * rng.normal(0, 1, n_knock) * fading
    return np.asarray(burst)


def knock(length: int, rng: np.random.Generator) -> np.ndarray:
    """A burst of noise in a band: a thud, a rustle."""
    times = np.arange(length) / SAMPLE_RATE
    swell = np.minimum(times / between(0.0005, 0.03, rng), 1)
    noise = band(length, (100, 5000), (0.2, 1.0), rng)
    return np.asarray(2 * noise * swell * np.exp(-times / between(0.01, 0.2, rng)))


def squeak(length: int, rng: np.random.Generator) -> np.ndarray:
    """A gliding tone with some harmonics."""
    times = np.arange(length) / SAMPLE_RATE
    pitch = between(400, 3500, rng) * (1 + rng.uniform(-0.5, 0.5) * times / BURST)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, rng.integers(2, 5)))
    return np.asarray(tone * np.sin(np.pi * np.clip(times / rng.uniform(0.05, 0.5), 0, 1)))


def band(
    n_samples: int, centres: tuple[float, float], widths: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Noise around a centre, Hz, so many e-folds wide."""
    centre, width = between(*centres, rng), rng.uniform(*widths)
    return coloured(n_samples, lambda hz: np.exp(-0.5 * (np.log(hz / centre) / width) ** 2), rng)


def coloured(
    n_samples: int, shape: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Noise with this spectrum, a function of Hz, of deviation 1."""
    spectrum = np.fft.rfft(rng.normal(size=n_samples))
    spectrum *= shape(np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE) + 20)
    noise = np.fft.irfft(spectrum, n_samples)
    return np.asarray(noise / noise.std())


def between(low: float, high: float, rng: np.random.Generator, n: int | None = None) -> np.ndarray:
    """Drawn evenly on a scale of logarithms."""
    return np.asarray(np.exp(rng.uniform(np.log(low), np.log(high), n)))


# -------------------------------------------------------------------------------------- the mask
def main() -> None:
    """Train the mask and write it."""
    made = parser(__doc__)
    made.add_argument("--frames", type=int, default=MaskOptions.frames, help="to train on")
    made.add_argument("--hidden", type=int, default=MaskOptions.hidden, help="units of a layer")
    made.add_argument("--without", default="", help="classes of events to leave out, with commas")
    made.add_argument("--write-to", type=Path, default=Path("speech_mask.npz"), help="the file")
    options = made.parse_args()
    paths = [each.path for each in accented_readers(options.data)]
    paths += sorted((options.data / "wake_words").rglob("*.flac"))[::3]
    speech = [(read_samples(path), False) for path in paths]
    speech += [(read_samples(each.path), True)
               for each in synthesised(options.data, options.work, 200)]  # fmt: skip
    events = [babble(paths, 2, 90), babble(paths, 6, 90)]
    for folder in sorted((options.data / "events").glob("*/")):
        if folder.name not in options.without.split(","):
            files = sorted(folder.iterdir())
            clips = [read_audio(path, sample_rate=SAMPLE_RATE)[0] for path in files]
            events.append(np.concatenate([at_loudness(np.trim_zeros(c)) for c in clips if c.any()]))
    begin = time.perf_counter()

    def show(done: int, loss: float) -> None:
        print(f"{done:9d} frames, {time.perf_counter() - begin:5.0f} s: {loss:.4f}", flush=True)

    chosen = replace(MaskOptions(), frames=options.frames, hidden=options.hidden)
    train_mask(sounds(speech, events), chosen, progress=show).save(options.write_to)
    print(options.write_to)


if __name__ == "__main__":
    main()

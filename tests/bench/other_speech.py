"""en-us trained on other speech in other noise: no speaker that is measured, no kitchen.

    python tests/bench/other_speech.py [--spoken 400] [--read 300]

Speech: sentences drawn from the coffee grammar, spoken by flite's voices, each a little faster or
slower and higher or deeper (a text is no recording); and read sentences of the accented speakers
that accented.py trains on. Noise: the classes of `events`, babble of two and of six of these
speakers, and clatter that is computed: dishes are bursts of damped tones. Each utterance counts in
two copies, at 14 to 26 and at 3 to 14 dB. Means and variances move; the weights of the mixtures
stay, for they know how people speak, which synthesised voices do not.

The folder of the model is printed, for `--model` of noise.py, thresholds.py and the program.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from accented import HELD_OUT, TUNING
from common import SAMPLE_RATE, accented_english, parser, read_samples

from factored_asr.acoustic.gmm.adaptation import MapOptions
from factored_asr.audio.reading import read_audio
from factored_asr.corpus.augment import NoiseMix
from factored_asr.corpus.corpus import Corpus, check
from factored_asr.corpus.utterance import Utterance
from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.sampling import random_sentences
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.training.adapt import AdaptOptions, adapt_bundle

VOICES = ("slt", "rms", "awb", "kal16")
LOUD = 0.05  # root mean square of a noise
ADAPT = AdaptOptions(method="map", map_passes=1, map=MapOptions(10.0, 30.0, weights=np.inf))
MIX = NoiseMix(snrs=((14.0, 26.0), (3.0, 14.0)), clean=False)


def model_folder(data: Path, work: Path, spoken: int = 400, read: int = 300) -> Path:
    """The adapted model's folder; made where it is not there yet."""
    folder = work / f"other_speech_{spoken}_{read}"
    if folder.exists():
        return folder
    bundle = Bundle.find("en-us")
    lexicon = Recipe(bundle).read_lexicon()
    readers = list(accented_readers(data))
    utterances = [*list(synthesised(data, work, spoken)), *readers[: read or None]]
    corpus, _ = check(Corpus(tuple(utterances), "other speech"), lexicon)
    noises = list(noises_of(data, [each.path for each in readers]))
    return adapt_bundle(bundle, corpus, folder, ADAPT, noises=noises, mix=MIX)


# -------------------------------------------------------------------------------------- the speech
def accented_readers(data: Path) -> Iterator[Utterance]:
    """What the speakers say that accented.py neither tunes nor reports on, in random order."""
    others = [
        each for each in accented_english(data) if each.speaker not in HELD_OUT + TUNING
    ]
    for i in np.random.default_rng(3).permutation(len(others)):
        each = others[i]
        yield Utterance(each.name, each.speaker, tuple(each.text.split()), each.path)


def synthesised(data: Path, work: Path, n: int) -> Iterator[Utterance]:
    """Sentences of the coffee grammar in flite's voices; none where it is not installed."""
    if shutil.which("flite") is None:
        print("no synthesised orders: flite is not installed")
        return
    folder = work / "synthesised"
    folder.mkdir(parents=True, exist_ok=True)
    grammar = Grammar.read(data / "coffee_commands" / "grammar.yaml")
    rng = np.random.default_rng(5)
    for i, words in enumerate(random_sentences(grammar, n)):
        path, voice = folder / f"order_{i:04d}.wav", VOICES[i % len(VOICES)]
        stretch, pitch = rng.uniform(0.8, 1.1), rng.uniform(0.9, 1.12)
        pauses = rng.uniform(0.4, 1.5, 2)
        if not path.exists():
            speak(" ".join(words), voice, stretch, pitch, pauses, path)
        yield Utterance(f"order-{i}", f"{voice}-{i}", words, path)


def speak(
    text: str, voice: str, stretch: float, pitch: float, pauses: np.ndarray, path: Path
) -> None:
    """Synthesise a sentence with a little hiss and silence around it.

    Parameters
    ----------
    stretch
        Of durations: above 1 is slower.
    pitch
        Of the whole spectrum, as of a shorter throat.
    pauses
        (2,) seconds before and after.
    """
    import soundfile
    import soxr

    raw = path.with_suffix(".raw.wav")
    how = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch * pitch:.3f}"]
    subprocess.run([*how, "-t", text, "-o", str(raw)], check=True)
    samples, rate = soundfile.read(raw, dtype="float32")
    raw.unlink()
    samples = soxr.resample(samples, rate * pitch, SAMPLE_RATE)
    before, after = (np.zeros(round(seconds * SAMPLE_RATE)) for seconds in pauses)
    samples = np.concatenate([before, 0.5 * samples / np.abs(samples).max(), after])
    hiss = np.random.default_rng(len(samples)).normal(0, 3e-4, len(samples))
    soundfile.write(path, (samples + hiss).astype(np.float32), SAMPLE_RATE)


# --------------------------------------------------------------------------------------- the noise
def noises_of(data: Path, speech: list[Path]) -> Iterator[np.ndarray]:
    """Noises, one after the other; of equal loudness, float32 at SAMPLE_RATE."""
    for folder in sorted(path for path in (data / "events").iterdir() if path.is_dir()):
        clips = (read_audio(path, sample_rate=SAMPLE_RATE)[0] for path in sorted(folder.iterdir()))
        yield np.concatenate([at_loudness(np.trim_zeros(clip)) for clip in clips if np.any(clip)])
    for speakers in (2, 6):
        yield babble(speech, speakers, 90)
    for seed in range(4):
        yield clatter(seed, 90)


def at_loudness(samples: np.ndarray) -> np.ndarray:
    """The samples at a root mean square of LOUD, float32."""
    return (samples * (LOUD / np.sqrt(np.mean(samples.astype(np.float64) ** 2)))).astype(np.float32)


def babble(speech: list[Path], speakers: int, seconds: int) -> np.ndarray:
    """Several voices at once."""
    n_samples, rng = seconds * SAMPLE_RATE, np.random.default_rng(speakers)
    voices = np.zeros(n_samples)
    for _ in range(speakers):
        at = 0
        while at < n_samples:
            said = at_loudness(read_samples(speech[rng.integers(len(speech))]))[: n_samples - at]
            voices[at : at + len(said)] += said
            at += len(said)
    return at_loudness(voices)


def clatter(seed: int, seconds: int) -> np.ndarray:
    """Dishes: bursts of damped tones that come thick and fast, or now and then, over a hiss."""
    rng, n_samples = np.random.default_rng(seed), seconds * SAMPLE_RATE
    length = round(0.4 * SAMPLE_RATE)
    times = np.arange(length) / SAMPLE_RATE
    sound = rng.normal(0, 0.03, n_samples + length)
    at = 0.0
    while at < n_samples:
        n_tones = rng.integers(3, 10)
        pitches, decays = rng.uniform(500, 7500, n_tones), rng.uniform(0.008, 0.12, n_tones)
        tones = np.sin(2 * np.pi * np.outer(pitches, times) + rng.uniform(0, 6, (n_tones, 1)))
        burst = rng.lognormal(0, 0.7, n_tones) @ (tones * np.exp(-times / decays[:, None]))
        burst[:200] += rng.normal(0, 1, 200) * np.exp(-np.arange(200) / 40)  # the knock itself
        sound[int(at) : int(at) + length] += rng.lognormal(0, 1) * burst
        at += SAMPLE_RATE * rng.exponential(rng.choice([0.05, 0.15, 0.4, 1.0]))
    return at_loudness(sound[:n_samples])


def main() -> None:
    """Make the model."""
    made = parser(__doc__)
    made.add_argument("--spoken", type=int, default=400, help="synthesised orders")
    made.add_argument("--read", type=int, default=300, help="read sentences")
    options = made.parse_args()
    print(model_folder(options.data, options.work, options.spoken, options.read))


if __name__ == "__main__":
    main()

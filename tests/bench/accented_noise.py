"""accented_english in kitchen noise: word errors of the held-out speakers without and with tools.

    python tests/bench/accented_noise.py [--every 3] [--snr 12] [--draws 3]
    python tests/bench/accented_noise.py --tune --every 4 --draws 1   # what choices were made on

Dictionary and trigram are those of accented.py, from the texts of all other speakers. Every file is
heard in several pieces of the noise. What has heard noise has heard it with other speech
(other_speech.py): the other speakers of this corpus among synthesised orders, or all of them alone,
clean and in two copies each. A speaker's map (fMLLR) is learnt from what is heard, in that
noise, of the files that are measured. Bar: at 12 dB at least 20 % fewer errors than as it is.

``--tune`` hears the tuning speakers of accented.py in computed clatter and in babble, by a trigram
that has not seen their texts, at several scales.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from accented import HELD_OUT, TUNING, our_settings, prepare
from coffee import mix
from common import (
    SAMPLE_RATE,
    Utterance,
    accented_english,
    paired_bootstrap,
    parser,
    read_samples,
    report,
    word_errors,
)
from other_speech import accented_readers, babble, clatter, model_folder, noises_of

from factored_asr import Recognizer
from factored_asr.corpus.augment import NoiseMix
from factored_asr.corpus.corpus import Corpus, check
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.models.settings import FRONT_ENDS, DecodeOptions
from factored_asr.training.adapt import AdaptOptions, adapt_bundle

ADAPT = AdaptOptions(method="map", map_passes=2)
MIX = NoiseMix(snrs=((10.0, 20.0), (5.0, 12.0)))
SCALES = (0.06, 0.08)
"""Acoustic scales that --tune tries; the latter, that of accented.py, was the better one."""
AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Sound:
    """A sentence in noise."""

    said: Utterance
    samples: np.ndarray


@dataclass(frozen=True)
class System:
    """A recogniser, and whether it learns each speaker's map first."""

    recognizer: Recognizer
    by_speaker: bool = False

    def texts(self, sounds: Sequence[Sound]) -> list[str]:
        """What is heard in each sound."""
        heard: dict[int, str] = {}
        for speaker in dict.fromkeys(sound.said.speaker for sound in sounds):
            own = [i for i, sound in enumerate(sounds) if sound.said.speaker == speaker]
            listener = self.recognizer
            if self.by_speaker:
                listener = listener.adapted(
                    [listener.features(sounds[i].samples, sample_rate=SAMPLE_RATE) for i in own]
                )
            for i in own:
                said = listener.transcribe(sounds[i].samples, sample_rate=SAMPLE_RATE)
                heard[i] = said.text
        return [heard[i] for i in range(len(sounds))]


def accents_in_noise(data: Path, work: Path, front_end: str = "") -> Path:
    """Folder of en-us adapted to all other speakers, clean and in noise; made if need be.

    Parameters
    ----------
    front_end
        A name of `FRONT_ENDS` through which it hears them.
    """
    folder = work / "_".join(["accents_in_noise", *([front_end] if front_end else [])])
    if not folder.exists():
        bundle, readers = Bundle.find("en-us"), list(accented_readers(data))
        choices = {**bundle.front_end, **FRONT_ENDS.get(front_end, {})}
        bundle, lexicon = replace(bundle, front_end=choices), Recipe(bundle).read_lexicon()
        corpus, _ = check(Corpus(tuple(readers), "accents in noise"), lexicon)
        noises = list(noises_of(data, [each.path for each in readers]))
        adapt_bundle(bundle, corpus, folder, ADAPT, noises=noises, mix=MIX)
    return folder


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--every", type=int, default=1, help="every Nth file")
    made.add_argument("--snr", type=float, default=12.0, help="decibels")
    made.add_argument("--draws", type=int, default=3, help="pieces of noise a file")
    made.add_argument("--systems", default="", help="which rows besides the first, / between")
    made.add_argument("--tune", action="store_true", help="tuning speakers in other noise")
    return made.parse_args()


def sounds_of(options: argparse.Namespace, everything: list[Utterance]) -> list[Sound]:
    """The measured files, each in several pieces of noise."""
    speakers, kitchen = HELD_OUT, options.data / "coffee_commands" / "kitchen_noise.flac"
    if options.tune:
        speakers = TUNING
        others = [each.path for each in everything if each.speaker not in HELD_OUT + TUNING]
        noises = [clatter(99, 60), babble(others, 3, 60)]
    else:
        noises = [read_samples(kitchen)]
    chosen = [each for each in everything if each.speaker in speakers][:: options.every]
    return [
        Sound(each, mix(read_samples(each.path), noises[(i + draw) % len(noises)], options.snr,
                        f"{each.name}-{draw}"))
        for i, each in enumerate(chosen[: options.limit or None]) for draw in range(options.draws)
    ]  # fmt: skip


def systems_of(options: argparse.Namespace, everything: list[Utterance]) -> dict[str, System]:
    """By name; the first is what the others are held against."""
    excluded, name = (HELD_OUT + TUNING, "tuning") if options.tune else (HELD_OUT, "held_out")
    arpa, dictionary, _ = prepare(everything, excluded, options.work, name)
    accents = Bundle.find(accents_in_noise(options.data, options.work)).acoustic_model()

    def loaded(settings: DecodeOptions) -> Recognizer:
        return Recognizer.load("en-us", lm=arpa, lexicon=dictionary, options=settings)

    settings = our_settings()
    plain = loaded(settings)
    found = {AS_IT_IS: System(plain)}
    if options.tune:
        for scale in SCALES:
            listener = loaded(replace(settings, acoustic_scale=scale)).with_model(accents)
            found[f"accents in noise, {scale:g}"] = System(listener)
            found[f"accents in noise, {scale:g}, speaker's map"] = System(listener, True)
        return found
    moved = loaded(settings.against_noise(["vts"]))
    masked = loaded(settings.against_noise(["mask"]))
    behind = Bundle.find(accents_in_noise(options.data, options.work, "mask")).acoustic_model()
    other = Bundle.find(model_folder(options.data, options.work)).acoustic_model()
    return found | {
        "vts": System(moved), "speaker's map": System(plain, True),
        "other speech": System(plain.with_model(other)),
        "other speech, vts": System(moved.with_model(other)),
        "accents in noise": System(plain.with_model(accents)),
        "accents in noise, vts": System(moved.with_model(accents)),
        "accents in noise, speaker's map": System(plain.with_model(accents), True),
        "mask": System(masked), "accents in noise, mask": System(masked.with_model(behind)),
        "accents in noise, mask, speaker's map": System(masked.with_model(behind), True),
    }


def main() -> None:
    """Decode every file in every piece of noise by each system, and count."""
    options = arguments()
    everything = accented_english(options.data)
    sounds = sounds_of(options, everything)
    references = [sound.said.text for sound in sounds]
    n_words = sum(len(text.split()) for text in references)
    seconds = sum(len(sound.samples) for sound in sounds) / SAMPLE_RATE
    rows: list[list[str]] = []
    first: np.ndarray | None = None
    wanted = [AS_IT_IS, *options.systems.split("/")]
    for name, system in systems_of(options, everything).items():
        if options.systems and name not in wanted:
            continue
        began = time.process_time()
        count = word_errors(references, system.texts(sounds))
        spent = time.process_time() - began
        first = count if first is None else first
        found = paired_bootstrap(count, first)
        share = f"{int(np.sum(count))}/{n_words} = {100 * np.sum(count) / n_words:.1f} %"
        against = f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f})"
        rows.append([name, share, against, f"{spent / seconds:.3f}"])
        print("  ".join(rows[-1]), flush=True)
    print(f"{len(references)} sounds at {options.snr:g} dB")
    report(options, "Accented speakers in noise", rows,
           ["system", "word errors", "of the first's errors", "CPU x real time"])  # fmt: skip


if __name__ == "__main__":
    main()

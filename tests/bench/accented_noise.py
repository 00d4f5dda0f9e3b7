"""accented_english in kitchen noise: word errors of the held-out speakers without and with tools.

    python tests/bench/accented_noise.py [--every 3] [--snr 12] [--draws 3]

Dictionary and trigram are those of accented.py, from the texts of all other speakers. Every file is
heard in several pieces of the noise. The last model has heard other speech in other noise
(other_speech.py), that of other speakers of this corpus among it. Bar: at 12 dB at least 20 % fewer
errors than as it is.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from accented import HELD_OUT, our_settings, prepare
from coffee import mix
from common import (
    SAMPLE_RATE,
    accented_english,
    paired_bootstrap,
    parser,
    read_samples,
    report,
    word_errors,
)
from other_speech import model_folder

from factored_asr import Recognizer


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--every", type=int, default=1, help="every Nth file")
    made.add_argument("--snr", type=float, default=12.0, help="decibels")
    made.add_argument("--draws", type=int, default=3, help="pieces of noise a file")
    return made.parse_args()


def main() -> None:
    """Decode every file in every piece of noise by each system, and count."""
    options = arguments()
    everything = accented_english(options.data)
    chosen = [each for each in everything if each.speaker in HELD_OUT][:: options.every]
    arpa, dictionary, _ = prepare(everything, HELD_OUT, options.work, "held_out")
    noise = read_samples(options.data / "coffee_commands" / "kitchen_noise.flac")
    settings = our_settings()
    plain = Recognizer.load("en-us", lm=arpa, lexicon=dictionary, options=settings)
    moved = Recognizer.load(
        "en-us", lm=arpa, lexicon=dictionary, options=settings.against_noise(["vts"])
    )
    heard = Recognizer.load(model_folder(options.data, options.work)).model
    systems = {
        "as it is": plain, "vts": moved, "other speech": plain.with_model(heard),
        "other speech, vts": moved.with_model(heard),
    }  # fmt: skip
    texts: dict[str, list[str]] = {name: [] for name in systems}
    spent, references, seconds = dict.fromkeys(systems, 0.0), list[str](), 0.0
    for each in chosen[: options.limit or None]:
        for draw in range(options.draws):
            samples = mix(read_samples(each.path), noise, options.snr, f"{each.name}-{draw}")
            references.append(each.text)
            seconds += len(samples) / SAMPLE_RATE
            for name, system in systems.items():
                began = time.process_time()
                texts[name].append(system.transcribe(samples, sample_rate=SAMPLE_RATE).text)
                spent[name] += time.process_time() - began
    errors = {name: word_errors(references, said) for name, said in texts.items()}
    n_words, rows = sum(len(text.split()) for text in references), []
    for name, count in errors.items():
        found = paired_bootstrap(count, errors["as it is"])
        share = f"{int(np.sum(count))}/{n_words} = {100 * np.sum(count) / n_words:.1f} %"
        against = f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f})"
        rows.append([name, share, against, f"{spent[name] / seconds:.3f}"])
    print(f"{len(references)} sounds at {options.snr:g} dB")
    report(options, "Accented speakers in kitchen noise", rows,
           ["system", "word errors", "of the first's errors", "CPU x real time"])  # fmt: skip


if __name__ == "__main__":
    main()

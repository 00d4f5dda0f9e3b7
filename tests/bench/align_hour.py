"""Alignment of an hour of speech: real-time factor and peak memory.

The native_dictation recordings are laid end to end, again and again, until they fill the time
asked for; their texts likewise. Bars for an hour: at most 0.05 seconds of one core for each second
of audio, at most 1 GB of memory at the peak (resident, of the whole process).
"""

from __future__ import annotations

import resource
import time
from itertools import cycle

import numpy as np
from common import SAMPLE_RATE, native_dictation, parser, read_samples, report


def main() -> None:
    """Lay sounds end to end, align, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--minutes", type=float, default=60.0, help="length of the sound")
    options = arguments.parse_args()
    import soundfile

    from factored_asr.models.bundle import Bundle
    from factored_asr.models.recipe import Recipe
    from factored_asr.recognizer.alignment import Aligner

    utterances = native_dictation(options.data)
    sound, texts, n_samples = options.work / "hour.wav", list[str](), 0
    options.work.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(sound, "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for utterance in cycle(utterances):
            samples = read_samples(utterance.path)
            file.write(samples)
            texts.append(utterance.text)
            n_samples += len(samples)
            if n_samples >= 60 * options.minutes * SAMPLE_RATE:
                break
    recipe = Recipe(Bundle.find("en-us"))
    aligner = Aligner(recipe.bundle.acoustic_model(), recipe.read_lexicon())
    aligner.align(np.zeros(SAMPLE_RATE, np.float32), "a", sample_rate=SAMPLE_RATE)  # compiles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    wall, cpu = time.perf_counter(), time.process_time()
    aligned = aligner.align(sound, " ".join(texts))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sound.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    seconds = n_samples / SAMPLE_RATE
    fits = sum(each.fits for each in aligned.words)
    report(
        options, "Aligning a long sound with its text",
        [[f"{seconds / 60:.1f}", len(aligned.words), fits, f"{cpu / seconds:.4f}",
          f"{wall / seconds:.4f}", f"{before:.2f}", f"{peak:.2f}"]],
        ["minutes", "words", "that fit", "CPU x real time", "wall x real time", "GB before",
         "GB at the peak"],
    )  # fmt: skip


if __name__ == "__main__":
    main()

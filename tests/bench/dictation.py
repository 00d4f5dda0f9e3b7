"""native_dictation with the default models: word errors, shown, and the real-time factor.

Bars: word error rate at most 20 %, at most 0.08 seconds of one core for each second of audio,
samples to words. The peer: pocketsphinx with the same acoustic model and the same trigram LM.
"mr", as the language model writes it, counts as the transcript's "mister" for both.
"""

from __future__ import annotations

import time

from common import (
    SAMPLE_RATE,
    Peer,
    native_dictation,
    parser,
    read_samples,
    report,
    run_interleaved,
    show_errors,
    word_errors,
)

SPELT = {"mr": "mister"}


def main() -> None:
    """Decode, count, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--repeat", type=int, default=3, help="times to decode each clip")
    arguments.add_argument("--systems", default="ours,peer", help="ours, peer or both")
    options = arguments.parse_args()
    utterances = native_dictation(options.data)[: options.limit or None]
    recordings = [read_samples(utterance.path) for utterance in utterances]
    references = [utterance.text for utterance in utterances]
    systems = {}
    if "ours" in options.systems:
        from factored_asr import Recognizer

        began = time.perf_counter()
        recognizer = Recognizer.load("en-us")
        print(f"Recognizer.load: {time.perf_counter() - began:.2f} s")
        systems["factored_asr"] = lambda samples: recognizer.transcribe(
            samples, sample_rate=SAMPLE_RATE
        ).text
    if "peer" in options.systems:
        systems["pocketsphinx"] = Peer()
    outcomes = run_interleaved(systems, recordings * options.repeat)
    rows = []
    for name, outcome in outcomes.items():
        texts = outcome.texts[: len(references)]
        if texts * options.repeat != outcome.texts:
            print(f"{name}: the same clip gave different words when decoded again")
        texts = [" ".join(SPELT.get(word, word) for word in text.split()) for text in texts]
        errors = word_errors(references, texts)
        n_words = sum(len(text.split()) for text in references)
        rows.append(
            [
                name,
                f"{errors.sum()}/{n_words} = {100 * errors.sum() / n_words:.1f} %",
                f"{outcome.real_time_factor:.3f}",
                f"{outcome.wall_seconds / outcome.audio_seconds:.3f}",
            ]
        )
        print(f"== {name}")
        show_errors(references, texts)
    report(options, "Dictation: five read sentences", rows,
           ["system", "word errors", "CPU × real time", "wall × real time"])  # fmt: skip


if __name__ == "__main__":
    main()

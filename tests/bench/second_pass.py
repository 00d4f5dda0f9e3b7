"""The second pass on accented_english: word errors, and whether confidences mean probabilities.

Word errors, on the held-out speakers of accented.py with its language model: a first pass with the
model pruned to a tenth of its n-grams, then the whole model over the lattice; beside it the whole
model in the graph. Pruned "to a tenth" is taken in two ways, as unigrams cannot be pruned: of all
n-grams, which leaves hardly more than unigrams, and of those above unigrams. Bars: at least 8 %
fewer errors than the first pass alone, and at most 2 % more than with the whole model in the graph.

Confidences (``--confidence``): the language model leaves out the tuning and the held-out speakers;
the calibration is fitted on the tuning speakers and judged on the held-out ones. Bar: normalised
cross-entropy above 0.2. With ``--models default`` en-us is taken as it comes, with its own
language model; what is printed then belongs into its settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from accented import HELD_OUT, TUNING, our_settings, prepare
from common import (
    SAMPLE_RATE,
    Utterance,
    accented_english,
    load_note,
    parser,
    print_table,
    read_samples,
    word_errors,
)

if TYPE_CHECKING:
    from factored_asr import Recognizer, Transcript
    from factored_asr.bundle import DecodeOptions

Scored = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Posterior of each word, (n, 1) log of its length in tenths of a second, whether it is right."""


def recognise(recognizer: Recognizer, utterances: Sequence[Utterance]) -> list[Transcript]:
    """All utterances, one by one."""
    return [
        recognizer.transcribe(read_samples(each.path), sample_rate=SAMPLE_RATE)
        for each in utterances
    ]


def compare(utterances: Sequence[Utterance], arpa: Path, dictionary: Path) -> None:
    """First pass alone, with the second, and the whole model in the graph."""
    from factored_asr import Recognizer
    from factored_asr.decoder import SecondPassOptions
    from factored_asr.language import read_arpa

    counts, references = read_arpa(arpa).counts, [each.text for each in utterances]
    n_words, tenths = sum(len(text.split()) for text in references), {
        "a tenth of all": max(sum(counts) // 10, counts[0]),
        "a tenth above unigrams": counts[0] + sum(counts[1:]) // 10,
    }

    def errors(options: DecodeOptions, second: Sequence[Path], minimise_risk: bool) -> int:
        recognizer = Recognizer.load(
            "en-us", lm=arpa, lexicon=dictionary, options=options, rescore_lms=second,
            second_pass=SecondPassOptions(minimise_risk=minimise_risk),
        )
        texts = [said.text for said in recognise(recognizer, utterances)]
        return int(word_errors(references, texts).sum())

    settings = our_settings()
    settings = replace(settings, beam=replace(settings.beam, lattice_beam=0.0))
    whole, rows = errors(settings, (), False), []
    for name, limit in tenths.items():
        pruned = replace(settings, max_ngrams=limit)
        alone = errors(pruned, (), False)
        rows.append([f"{name}: {limit} n-grams, first pass", alone, "", _change(alone, whole)])
        for what, risk in (("second pass", False), ("second pass, least risk", True)):
            found = errors(pruned, (arpa,), risk)
            rows.append([f"  {what}", found, _change(found, alone), _change(found, whole)])
    rows.append([f"whole model in the graph: {sum(counts)} n-grams", whole, "", ""])
    print_table(rows, [f"errors in {n_words} words", "", "against first", "against whole"])


def _change(errors: int, others: int) -> str:
    return f"{100 * (errors / others - 1):+.1f} %"


def scored_words(references: Sequence[str], found: Sequence[Transcript]) -> Scored:
    """All words that were recognised; those are right that the alignment calls so."""
    import jiwer

    confidences, lengths, right = [], [], []
    for reference, said in zip(references, found, strict=True):
        if not said.words or said.words[0].confidence is None:
            continue
        hits = np.zeros(len(said.words), bool)
        for chunk in jiwer.process_words(reference, said.text).alignments[0]:
            if chunk.type == "equal":
                hits[chunk.hyp_start_idx : chunk.hyp_end_idx] = True
        confidences += [word.confidence for word in said.words]
        lengths += [word.duration for word in said.words]
        right += hits.tolist()
    features = np.log(np.array(lengths) / 0.1).reshape(-1, 1)
    return np.array(confidences), features, np.array(right)


def calibrate(
    recognizer: Recognizer, calibration: Sequence[Utterance], test: Sequence[Utterance], work: Path
) -> None:
    """Fit on some speakers, judge on others; the plot goes to the work folder."""
    from factored_asr.decoder import fit_calibration, normalised_cross_entropy
    from factored_asr.plots import plot_reliability, save

    (scores, lengths, right), (test_scores, test_lengths, test_right) = (
        scored_words([each.text for each in part], recognise(recognizer, part))
        for part in (calibration, test)
    )
    fitted = fit_calibration(scores, right, lengths)
    probabilities = fitted.probability(test_scores, test_lengths)
    rows = [
        [name, len(correct), f"{100 * correct.mean():.1f} %", f"{100 * given.mean():.1f} %",
         f"{normalised_cross_entropy(given, correct):.3f}"]
        for name, given, correct in (
            ("calibration speakers, calibrated", fitted.probability(scores, lengths), right),
            ("test speakers, posteriors as they are", test_scores, test_right),
            ("test speakers, calibrated", probabilities, test_right),
        )
    ]
    print_table(rows, ["words", "", "right", "mean confidence", "NCE"])
    print(fitted)
    picture = work / "reliability.png"
    save(plot_reliability(zip(probabilities, test_right, strict=True)), picture)
    print(f"reliability of the test speakers' words: {picture}")


def main() -> None:
    """Prepare the files, decode, count, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--confidence", action="store_true", help="calibration, not errors")
    arguments.add_argument("--models", choices=("task", "default"), default="task")
    arguments.add_argument("--tune", action="store_true", help="errors of the tuning speakers")
    arguments.add_argument("--every", type=int, default=1, help="every Nth utterance")
    options = arguments.parse_args()
    everything = accented_english(options.data)
    tuning, held_out = (
        [each for each in everything if each.speaker in speakers][:: options.every]
        for speakers in (TUNING, HELD_OUT)
    )
    apart = options.tune or options.confidence
    name, excluded = ("tuning", HELD_OUT + TUNING) if apart else ("held_out", HELD_OUT)
    arpa, dictionary, _ = prepare(everything, sorted(excluded), options.work, name)
    if not options.confidence:
        compare(tuning if options.tune else held_out, arpa, dictionary)
    else:
        from factored_asr import Recognizer
        from factored_asr.bundle import DICTATION
        from factored_asr.decoder import Calibration, ConfidenceOptions, SecondPassOptions

        task = options.models == "task"
        settings = replace(
            our_settings() if task else DICTATION,
            second_pass=SecondPassOptions(confidences=True),
            confidence=ConfidenceOptions(calibration=Calibration()),
        )
        recognizer = Recognizer.load(
            "en-us", lm=arpa if task else None, lexicon=dictionary if task else None,
            options=settings,
        )
        calibrate(recognizer, tuning, held_out, options.work)
    print(load_note())


if __name__ == "__main__":
    main()

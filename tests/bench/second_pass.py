"""The second pass on accented_english: word errors, and whether confidences mean probabilities.

Word errors, on the held-out speakers of accented.py with its language model and settings: a first
pass with the model pruned to a tenth of its n-grams, then the whole model over the lattice; and
the whole model in the graph. Pruned "to a tenth" is taken in two ways, as unigrams cannot be
pruned: of all n-grams, which leaves the unigrams, and of those above unigrams. Bars: at least 8 %
fewer errors than the first pass alone, and at most 2 % more than with the whole model in the graph.

Confidences (``--confidence``): the language model leaves out the tuning and the held-out speakers;
the calibration is fitted on the tuning speakers and judged on the held-out ones. Bar: normalised
cross-entropy above 0.2. With ``--lms default`` en-us comes with its own language model; what is
printed then, with the acoustic model as it is, belongs into its settings. ``--model en-us-network
--lms default`` does the same for the network, with its own settings and second pass; it is fitted
on the native speech that dictation_lm.py tunes on, too.

Of the accents, en-us gets four words of five wrong. ``--model FOLDER`` takes another acoustic model
of its phones, such as en-us adapted to the speakers who are neither tuning nor held out, which
``--adapt FOLDER`` makes in a minute or two and then takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    paired_bootstrap,
    parser,
    print_table,
    read_samples,
    word_errors,
)
from dictation_lm import parts, spelt

if TYPE_CHECKING:
    from factored_asr import Recognizer, Transcript
    from factored_asr.lattice import ConfidenceOptions
    from factored_asr.lattice.second_pass import Outcome
    from factored_asr.models.settings import DecodeOptions

OF_MIXTURES, OF_NETWORK = slice(0, 3), slice(2, 5)
"""Columns of `word_features` that calibrations take: the first two harm the network's."""
Scored = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Posterior of each word, (n, k) what else tells of it, whether it is right."""

# A first pass with little more than unigrams leaves the right words far behind.
LATTICE_BEAM, SECOND_BEAM = 6.0, 5.0


def recognise(recognizer: Recognizer, utterances: Sequence[Utterance]) -> list[Transcript]:
    """All utterances, one by one."""
    return [
        recognizer.transcribe(read_samples(each.path), sample_rate=SAMPLE_RATE)
        for each in utterances
    ]


def adapt_model(data: Path, folder: Path) -> Path:
    """The folder with en-us moved by MAP towards all but the tuning and held-out speakers."""
    from factored_asr.corpus.corpus import Corpus, check
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.recipe import Recipe
    from factored_asr.training.adapt import AdaptOptions, adapt_bundle

    bundle = Bundle.find("en-us")
    lexicon = Recipe(bundle).read_lexicon()
    corpus = Corpus.read(data / "accented_english").without(HELD_OUT + TUNING)
    corpus, _ = check(corpus, lexicon)
    adapt_bundle(bundle, corpus, folder, AdaptOptions(method="map"), lexicon=lexicon)
    print(f"en-us adapted to {len(corpus)} utterances of {len(corpus.speakers)} speakers: {folder}")
    return folder


def compare(
    utterances: Sequence[Utterance], model: str, arpa: Path, dictionary: Path,
    settings: DecodeOptions,
) -> None:
    """First pass alone, with the second, and the whole model in the graph."""
    from factored_asr import Recognizer
    from factored_asr.language import NGramScorer, prune_to, read_lm
    from factored_asr.lattice import RescoreOptions, SecondPassOptions, second_pass

    wide = SecondPassOptions(rescore=RescoreOptions(beam=SECOND_BEAM))
    whole_lm, references = read_lm(arpa), [each.text for each in utterances]
    counts = whole_lm.counts
    tenths = {
        "a tenth of all": max(sum(counts) // 10, counts[0]),
        "a tenth above unigrams": counts[0] + sum(counts[1:]) // 10,
    }

    def said(lattice_beam: float, max_ngrams: int) -> list[Transcript]:
        beam = replace(settings.beam, lattice_beam=lattice_beam)
        options = replace(settings, beam=beam, max_ngrams=max_ngrams)
        made = Recognizer.load(model, lm=arpa, lexicon=dictionary, options=options)
        return recognise(made, utterances)

    def errors(texts: Iterable[str]) -> np.ndarray:
        return word_errors(references, list(texts))

    whole, rows = errors(each.text for each in said(0.0, 0)), []
    for name, limit in tenths.items():
        found = said(LATTICE_BEAM, limit)
        alone = errors(each.text for each in found)
        rows.append([f"{name}: {limit} n-grams, first pass", *_against(alone, None, whole)])
        scorers = NGramScorer(whole_lm), NGramScorer(prune_to(whole_lm, limit))
        texts = (
            _text(second_pass(each.lattice, wide, settings.confidence,
                              scorer=scorers[0], first=scorers[1]))
            for each in found
        )  # fmt: skip
        rows.append(["  second pass", *_against(errors(texts), alone, whole)])
    rows.append([f"whole model in the graph: {sum(counts)} n-grams", *_against(whole, None, None)])
    n_words = sum(len(text.split()) for text in references)
    print_table(rows, [f"errors in {n_words} words", "", "against first", "against whole"])


def _text(outcome: Outcome) -> str:
    return " ".join(segment.word for segment in outcome.segments)


def _against(errors: np.ndarray, *others: np.ndarray | None) -> list[str]:
    """Errors, and how many more than others', with the bootstrap's 95 % interval."""
    cells = [str(int(errors.sum()))]
    for other in others:
        if other is None:
            cells.append("")
            continue
        found = paired_bootstrap(errors, other)
        ratio, low, high = (100 * (x - 1) for x in (found.ratio, found.low, found.high))
        cells.append(f"{ratio:+.1f} % ({low:+.1f} to {high:+.1f})")
    return cells


def scored_words(
    references: Sequence[str], found: Sequence[Transcript], options: ConfidenceOptions
) -> Scored:
    """All words that were recognised; those are right that the alignment calls so."""
    import jiwer

    from factored_asr.lattice import prune, word_features
    from factored_asr.lattice.path import PhoneSegment, WordSegment

    confidences, features, right = [], [np.empty((0, 5))], []
    for reference, said in zip(references, found, strict=True):
        if not said.words or said.words[0].confidence is None:
            continue
        hits = np.zeros(len(said.words), bool)
        for chunk in jiwer.process_words(spelt(reference), spelt(said.text)).alignments[0]:
            if chunk.type == "equal":
                hits[chunk.hyp_start_idx : chunk.hyp_end_idx] = True
        frames = 1 / said.lattice.frame_seconds
        segments = [
            WordSegment(word.text, said.lattice.words.index(word.text), round(word.start * frames),
                        round(word.end * frames),
                        tuple(PhoneSegment(phone, 0, 0) for phone in word.phones))
            for word in said.words
        ]
        features.append(word_features(prune(said.lattice, options.beam), segments))
        confidences += [word.confidence for word in said.words]
        right += hits.tolist()
    return np.array(confidences), np.concatenate(features), np.array(right)


def calibrate(
    recognizer: Recognizer, calibration: Sequence[Utterance], test: Sequence[Utterance],
    picture: Path, columns: slice,
) -> None:
    """Fit on some speakers, judge on others. `columns` of `word_features` are taken."""
    from factored_asr.lattice import fit_calibration, normalised_cross_entropy
    from factored_asr.plots import plot_reliability, save

    (scores, features, right), (test_scores, test_features, test_right) = (
        scored_words(
            [each.text for each in part], recognise(recognizer, part), recognizer.options.confidence
        )
        for part in (calibration, test)
    )
    features, test_features = features[:, columns], test_features[:, columns]
    plain, fitted = fit_calibration(scores, right), fit_calibration(scores, right, features)
    probabilities = fitted.probability(test_scores, test_features)
    rows = [
        [name, len(correct), f"{100 * correct.mean():.1f} %", f"{100 * given.mean():.1f} %",
         f"{normalised_cross_entropy(given, correct):.3f}"]
        for name, given, correct in (
            ("calibration speakers, calibrated", fitted.probability(scores, features), right),
            ("test speakers, posteriors as they are", test_scores, test_right),
            ("test speakers, posteriors calibrated", plain.probability(test_scores), test_right),
            ("test speakers, calibrated with features", probabilities, test_right),
        )
    ]
    print_table(rows, ["words", "", "right", "mean confidence", "NCE"])
    print(fitted)
    picture.parent.mkdir(parents=True, exist_ok=True)
    save(plot_reliability(zip(probabilities, test_right, strict=True)), picture)
    print(f"reliability of the test speakers' words: {picture}")


def main() -> None:
    """Prepare the files, decode, count, print."""
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.settings import DICTATION

    arguments = parser(__doc__)
    arguments.add_argument("--confidence", action="store_true", help="calibration, not errors")
    arguments.add_argument("--model", default="en-us", help="the acoustic model")
    arguments.add_argument("--adapt", type=Path, metavar="FOLDER", help="make a model and take it")
    arguments.add_argument("--lms", choices=("task", "default"), default="task")
    arguments.add_argument("--tune", action="store_true", help="errors of the tuning speakers")
    arguments.add_argument("--every", type=int, default=1, help="every Nth utterance")
    options = arguments.parse_args()
    model = str(adapt_model(options.data, options.adapt)) if options.adapt else options.model
    everything = accented_english(options.data)
    tuning, held_out = (
        [each for each in everything if each.speaker in speakers][:: options.every]
        for speakers in (TUNING, HELD_OUT)
    )
    apart = options.tune or options.confidence
    name, excluded = ("tuning", HELD_OUT + TUNING) if apart else ("held_out", HELD_OUT)
    if options.confidence and options.lms == "default":
        settings = replace(Bundle.find(model).dictation, align_words=False)
        recognizer = scoring_recognizer(model, settings, None, None)
        network = model == "en-us-network"
        if network:
            sets = parts(options.data)
            tuning = [*tuning, *sets["prompts, tuned on"], *sets["native_dictation"]]
        calibrate(recognizer, tuning, held_out, options.work / "reliability.png",
                  OF_NETWORK if network else OF_MIXTURES)
        print(load_note())
        return
    arpa, dictionary, _ = prepare(everything, sorted(excluded), options.work, name)
    settings = DICTATION if options.lms == "default" else our_settings()
    if options.confidence:
        recognizer = scoring_recognizer(model, settings, arpa, dictionary)
        calibrate(recognizer, tuning, held_out, options.work / "reliability.png", OF_MIXTURES)
    else:
        spoken = tuning if options.tune else held_out
        compare(spoken, model, arpa, dictionary, settings)
    print(load_note())


def scoring_recognizer(
    model: str, settings: DecodeOptions, arpa: Path | None, dictionary: Path | None
) -> Recognizer:
    """A recogniser whose confidences are the posteriors as they are."""
    from factored_asr import Recognizer
    from factored_asr.lattice import Calibration

    options = replace(
        settings, second_pass=replace(settings.second_pass, confidences=True),
        confidence=replace(settings.confidence, calibration=Calibration()),
    )
    return Recognizer.load(model, lm=arpa, lexicon=dictionary, options=options)


if __name__ == "__main__":
    main()

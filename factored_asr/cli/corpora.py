"""The command evaluate, and the options of a corpus."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.cli import shared

if TYPE_CHECKING:
    from factored_asr.corpus.corpus import Corpus
    from factored_asr.lexicon import Lexicon
    from factored_asr.training.data import MeanOver


def evaluate(options: argparse.Namespace) -> int:
    """Decode a transcribed corpus and count the errors: in total, by speaker, with alignments.

    Rules make texts comparable (--normalise, in this order: case, fillers, punctuation, numbers,
    digits), references and hypotheses alike; the result shows which were used.
    """
    from factored_asr.cli.scores import tell_skipped
    from factored_asr.evaluation import evaluate as decode_and_score
    from factored_asr.evaluation.normalise import Rules
    from factored_asr.recognizer.speaker import SpeakerOptions

    rules = Rules.named(options.normalise, options.replace)
    lexicon = shared.recipe_of(options).read_lexicon() if options.phones else None
    corpus, n_left_out = corpus_of(options, lexicon)
    recognizer = shared.recognizer_of(options)
    if recognizer.recipe is not None:
        options.model = recognizer.recipe.bundle.name
    adapt = SpeakerOptions() if options.adapt else None
    with ExitStack() as stack:
        result = decode_and_score(
            recognizer, corpus, adapt=adapt, jobs=options.jobs,
            mean_over=options.mean_over or mean_of(options.model), lexicon=lexicon,
            unit=options.interval_over, seed=options.seed, rules=rules,
            tick=shared.progress_bar(stack, "decoding", options.quiet),
            about={"model": options.model, "corpus": options.corpus, "adapt": options.adapt,
                   "settings": recognizer.options.to_dict()},
        )
    print(result.to_json() if options.format == "json" else result.describe(not options.brief))
    tell_skipped(rules, (each.text for each in corpus))
    if marked := [word for each in corpus for word in rules.punctuated(each.text)]:
        shared.say(f"{len(marked)} words of the references have punctuation, as {marked[0]!r} has, "
                   "which counts as an error: --normalise punctuation removes it")
    return 1 if n_left_out else 0


def corpus_of(options: argparse.Namespace, lexicon: Lexicon | None = None) -> tuple[Corpus, int]:
    """Return the corpus without unusable utterances, which are reported, and their number."""
    from factored_asr.corpus.corpus import Corpus, check
    from factored_asr.training.data import seconds_of

    known = None if lexicon is None else lexicon.knows
    corpus = Corpus.read(options.corpus, options.layout, options.speaker_by, known)
    if lexicon is not None:
        corpus = corpus.spoken(lexicon)
    if options.speakers:
        corpus = corpus.select(names(options.speakers))
    if options.exclude_speakers:
        corpus = corpus.without(names(options.exclude_speakers))
    good, problems = check(corpus, lexicon, seconds=seconds_of())
    for problem in problems:
        shared.say(problem.message)
    if problems:
        shared.say(f"{len(problems)} of {len(corpus)} utterances are left out")
    return good, len(problems)


def mean_of(model: str) -> MeanOver:
    """Return whose cepstral mean was subtracted in training."""
    from factored_asr.models.bundle import Bundle

    folder = Bundle.find(model).folder
    return folder.about.options.get("mean_over", "utterance") if folder else "utterance"


def names(text: str) -> list[str]:
    """Return names separated by commas, or the lines of a file."""
    from factored_asr.storage.reading import read_text

    if "," not in text and Path(text).is_file():
        return read_text(text).split()
    return [name.strip() for name in text.split(",") if name.strip()]


def corpus_options() -> argparse.ArgumentParser:
    """Return the options of a corpus."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("corpus")
    group.add_argument("--corpus", required=True, metavar="DIR", help="a folder of Kaldi, Sphinx, "
                       "LibriSpeech, LJSpeech, Common Voice or the Montreal Forced Aligner; or a "
                       "table *.tsv or *.csv (path, text, speaker, start, end), or its folder")
    group.add_argument("--layout", default="auto", metavar="NAME",
                       help="tsv, kaldi, sphinx, librispeech, ljspeech, commonvoice, mfa, names "
                       "(default: by what is there)")
    group.add_argument("--speaker-by", choices=("folder", "file"),
                       help="the speaker, if the corpus does not name one")
    group.add_argument("--speakers", metavar="LIST",
                       help="only these: names with commas, or a file with one a line")
    group.add_argument("--exclude-speakers", metavar="LIST", help="all but these")
    group.add_argument("--jobs", type=int, default=1, metavar="N",
                       help="utterances decoded at once (default: 1)")
    return parser


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    parser = shared.add_command(
        commands, "evaluate", evaluate, "word error rate on a corpus", shared.source_options(),
        corpus_options(), shared.search_options(), shared.report_options(),
    )
    shared.add_normalise(parser)
    parser.add_argument("--adapt", choices=("speaker",),
                        help="decode twice: adapt to each speaker after the first time")
    parser.add_argument("--mean-over", choices=("utterance", "speaker"),
                        help="whose cepstral mean is subtracted (default: as in training)")
    parser.add_argument("--phones", action="store_true",
                        help="count errors of phones, too; every word needs a pronunciation")

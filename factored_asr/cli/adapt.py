"""The command adapt."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.cli.corpora import corpus_of, corpus_options
from factored_asr.cli.shared import add_command, factor_options, recognizer_of, say
from factored_asr.errors import OptionError

if TYPE_CHECKING:
    from factored_asr.corpus.corpus import Corpus
    from factored_asr.lexicon import Lexicon


EXAMPLES = """\
examples:
  factored-asr adapt --corpus my_speech/ --output my_model
      to transcribed speech; then: factored-asr transcribe --model my_model letter.wav
  factored-asr adapt --corpus commands/ --untranscribed --grammar lm/smart_home.yaml --output mine
      to speech without texts
"""


def adapt(options: argparse.Namespace) -> int:
    """Adapt a model to a small corpus, and write it as a new model.

    MLLR moves classes of Gaussians together and needs a minute of speech. MAP moves each Gaussian
    by its own data and improves with more. The corpus may be of one speaker, one accent, one room;
    with --noise each utterance is also used in noise. With --untranscribed the corpus is sounds
    without texts: the old model recognises them, best with a grammar, and those with a high
    confidence are used. The new model keeps dictionary, language model and settings of the old one.

    Of a network the heads are trained further, with torch and distorted copies of the corpus.
    """
    from factored_asr.audio.reading import read_audio
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.recipe import Recipe
    from factored_asr.training.adapt import adapt_bundle
    from factored_asr.training.ctc.adapt import adapt_network
    from factored_asr.training.run import describe

    options.model = options.model or "en-us"  # hears untranscribed speech, too
    bundle = Bundle.find(options.model)
    given, words = (path and Path(path) for path in (options.lexicon, options.words))
    lexicon = Recipe(bundle, lexicon=given, words=words).read_lexicon()
    corpus, n_left_out = (_recognised if options.untranscribed else corpus_of)(options, lexicon)

    def tell(done: Any) -> None:
        if not options.quiet:
            say(str(done) if network else describe(done))

    rate = bundle.acoustic_model().sample_rate if options.noises else 0
    noises = [read_audio(path, sample_rate=rate)[0] for path in options.noises]
    network = bundle.folder is not None and bundle.folder.acoustic.get("kind") == "network"
    if network:
        _refuse_options_of_mixtures(options)
        folder = adapt_network(bundle, corpus, options.output, lexicon=lexicon, noises=noises,
                               jobs=options.jobs, report=tell)
    else:
        folder = adapt_bundle(bundle, corpus, options.output, _settings(options), lexicon=lexicon,
                              noises=noises, jobs=options.jobs, report=tell)
    print(f"{folder}\tadapted to {len(corpus)} utterances of {len(corpus.speakers)} speakers")
    return 1 if n_left_out else 0


def _recognised(options: argparse.Namespace, lexicon: Lexicon) -> tuple[Corpus, int]:
    """Return the sounds recognised with confidence as a corpus, and the number of the others."""
    from factored_asr.audio.reading import Part
    from factored_asr.batch.inputs import find_inputs
    from factored_asr.training.self_training import self_transcribed

    left_out = []

    def tell(path: Path, why: str) -> None:
        left_out.append(path)
        if not options.quiet:
            say(f"{path} is left out: {why}")

    options.confidence = True
    sounds = find_inputs([options.corpus])
    if stretches := [each.label for each in sounds if each.part != Part()]:
        raise OptionError(f"{stretches[0]} is a part of a file: --untranscribed takes whole ones")
    paths = [each.name for each in sounds]
    kept = self_transcribed(recognizer_of(options), paths, options.least_confidence, tell)
    return kept, len(left_out)


def _refuse_options_of_mixtures(options: argparse.Namespace) -> None:
    for name in ("method", "tau", "classes"):
        if getattr(options, name) is not None:
            raise OptionError(f"--{name} is for Gaussian mixtures, not for the network")


def _settings(options: argparse.Namespace) -> Any:
    from factored_asr.training.adapt import AdaptOptions

    settings = AdaptOptions(method=options.method or AdaptOptions().method)
    if options.tau is not None:
        settings = replace(settings, map=replace(settings.map, means=options.tau))
    if options.classes is not None:
        settings = replace(settings, mllr=replace(settings.mllr, classes=options.classes))
    return settings


def add(commands: Any) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "adapt", adapt, "adapt a model to a small corpus",
                         factor_options(), corpus_options(), examples=EXAMPLES)
    parser.add_argument("--output", required=True, metavar="MODEL", help="the new model's folder")
    parser.add_argument("--untranscribed", action="store_true",
                        help="the corpus is a folder, pattern or list of sounds without words")
    parser.add_argument("--grammar", metavar="PATH", help="grammar of the sounds: a file or folder")
    parser.add_argument("--least-confidence", type=float, default=0.9, metavar="P",
                        help="leave out sounds with a word that is less probable than this "
                             "(default: 0.9)")
    parser.add_argument("--noise", dest="noises", action="append", default=[], metavar="FILE",
                        help="a sound that the corpus is mixed into besides, at 4 to 25 dB; "
                             "given several times, each copy has one of them or two")
    parser.add_argument("--method", choices=("map", "mllr", "mllr+map"),
                        help="default: mllr+map")
    parser.add_argument("--tau", type=float, metavar="FRAMES",
                        help="MAP: frames that an old mean counts for; higher: smaller changes")
    parser.add_argument("--classes", type=int, metavar="N", help="MLLR: most classes of Gaussians")

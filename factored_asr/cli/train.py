"""The command train."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from factored_asr.cli.corpora import corpus_of, corpus_options, names
from factored_asr.cli.shared import add_command, say
from factored_asr.cli.train_head import add_head_options, train_head

if TYPE_CHECKING:
    from factored_asr.training.make import Listener


def train(options: argparse.Namespace) -> int:
    """Train a model on transcribed speech; other commands take it by --model.

    Each stage builds on the one before: mono (phones without context), tri (triphones with tied
    states), lda_mllt (learnt features), sat (speaker-adaptive, decoded with --adapt speaker), mmi
    (discriminative). After them, tdnn trains a network that scores the same states, and chain one
    with states of 30 ms by lattice-free MMI, both with torch. The same command continues an
    interrupted training.

    The stage ctc stands alone: it trains the head of a network, whose encoder stays as it is, with
    torch. With --teacher it also learns from the sounds of --untranscribed.
    """
    from factored_asr.lexicon import Lexicon
    from factored_asr.training.make import MakeOptions, hold_out, make_model

    lexicon = Lexicon.read(options.lexicon, fillers=options.fillers)
    if "ctc" in names(options.stages):
        return train_head(options, lexicon)
    if options.strip_stress:
        lexicon = lexicon.strip_stress()
    corpus, n_left_out = corpus_of(options, lexicon)
    held_out = None
    if options.lm:
        asked = names(options.tune_speakers) if options.tune_speakers else None
        corpus, held_out = hold_out(corpus, asked)
    made = MakeOptions(
        tuple(names(options.stages)), mean_over=options.mean_over, fold_in=options.fold_in,
        seed=options.seed, jobs=options.jobs, origin=options.origin or "",
        licences={"corpus": options.licence} if options.licence else {},
    )
    with ExitStack() as stack:
        done = make_model(
            corpus, lexicon, options.output, held_out=held_out, lm=options.lm, g2p=options.g2p,
            options=made, checkpoints=options.checkpoints, listener=_listener(stack, options.quiet),
        )
    if done.tuning:
        print(f"tuned on {len(held_out.speakers) if held_out else 0} held-out speakers: "
              f"{done.tuning.best}" + ("; then trained on them, too" if options.fold_in else ""))
    print(f"{done.folder}\t{done.result.log[-1].n_pdfs} pdfs, "
          f"{done.result.log[-1].n_gaussians} Gaussians")
    return 1 if n_left_out else 0


def _listener(stack: ExitStack, quiet: bool) -> Listener:
    """Print each pass and each setting to standard error; with bars on a terminal."""
    from factored_asr.training.make import Listener
    from factored_asr.training.run import describe, progress

    if quiet:
        return Listener()
    bars = stack.enter_context(progress()) if sys.stderr.isatty() else None
    return Listener(bars or (lambda done: say(describe(done))), lambda line: say(str(line)))


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    parser = add_command(commands, "train", train, "train a model on transcribed speech",
                         corpus_options())
    parser.add_argument("--lexicon", required=True, metavar="DICT",
                        help="a pronunciation for every word of the corpus")
    parser.add_argument("--fillers", metavar="DICT", help="words for noises: a noisedict of Sphinx")
    parser.add_argument("--strip-stress", action="store_true",
                        help="remove the digits of CMUdict's phones (AH0 to AH)")
    parser.add_argument("--output", required=True, metavar="MODEL", help="the model's folder")
    parser.add_argument("--stages", default="mono", metavar="LIST",
                        help="mono,tri,lda_mllt,sat,mmi,tdnn or a beginning of it (tdnn may "
                        "follow sat, and chain take its place), or ctc (default: mono)")
    parser.add_argument("--lm", metavar="ARPA",
                        help="language model; its weight is tuned on held-out speakers")
    parser.add_argument("--g2p", metavar="MODEL", help="model of pronunciations for --guess; see "
                        "lexicon g2p train")
    parser.add_argument("--tune-speakers", metavar="LIST", help="held-out speakers to tune on; "
                        "trained on afterwards (default with --lm: every 8th)")
    parser.add_argument("--no-fold-in", dest="fold_in", action="store_false",
                        help="do not train on the held-out speakers after tuning")
    parser.add_argument("--mean-over", default="utterance", choices=("utterance", "speaker"),
                        help="whose cepstral mean is subtracted (default: utterance)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same model (default: 0)")
    parser.add_argument("--checkpoints", metavar="FOLDER", help="keep checkpoints of training here")
    parser.add_argument("--origin", metavar="TEXT", help="where the corpus is from, for `info`")
    parser.add_argument("--licence", metavar="TEXT", help="of the corpus, for `info`")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_head_options(parser)

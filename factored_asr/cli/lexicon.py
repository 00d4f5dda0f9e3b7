"""Commands on pronunciations: lexicon g2p train, apply."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.cli.shared import add_command, add_group, complain, progress
from factored_asr.errors import MissingError, OptionError

if TYPE_CHECKING:
    from factored_asr.lexicon.g2p import G2P

ABOUT = "pronunciations of words that no dictionary has, guessed from their letters."

EXAMPLES = """\
examples:
  factored-asr lexicon g2p apply bosch grohe
      how an English speaker would say them, by a model learnt from the dictionary of --model
      (the first time that takes some seconds)
  factored-asr lexicon g2p apply --n 3 --probabilities < words.txt > guessed.dict
      three pronunciations of each word with their probabilities, as a lexicon for --words
  factored-asr lexicon g2p train my.dict -o my.g2p
      learn from another dictionary, of any language written in letters
  factored-asr transcribe --guess --grammar my.yaml command.wav
      use guesses where the dictionary lacks a word of the grammar
"""


def train(options: argparse.Namespace) -> int:
    """Learn how words are said from a dictionary, and write the model.

    Words with a digit or a sign that few others have are passed over."""
    from factored_asr.lexicon import Lexicon
    from factored_asr.lexicon.g2p_training import G2POptions, train_g2p

    settings = G2POptions(order=options.order, max_ngrams=options.ngrams)
    lexicon = Lexicon.read(options.dictionary)
    with ExitStack() as stack:
        model = train_g2p(lexicon, settings, progress(stack, options.quiet, "learning"))
    try:
        model.write(options.output)
    except OSError as error:
        raise OptionError(f"{options.output}: cannot be written: {error.strerror}") from error
    print(f"{options.output}\t{len(model.letters)} letters, {len(model.phones)} phones, "
          f"{len(model.pair_letter)} pairs, {len(model.network.arc_pair)} n-grams")
    return 0


def apply(options: argparse.Namespace) -> int:
    """Guess how words are said; write them as a dictionary.

    A word with digits or signs cannot be pronounced: it is named on standard error, and the others
    still come."""
    words = options.words or [word for line in sys.stdin for word in line.split()]
    model = _model(options)
    n_failed = 0
    for word in words:
        try:
            guesses = model.guess(word, options.n)
        except MissingError as error:
            n_failed += 1
            complain(error, 1)
            continue
        for n, (phones, probability) in enumerate(guesses, start=1):
            if options.probabilities:
                print(f"{word} {max(probability, 1e-6):.6f} {' '.join(phones)}")
            else:
                print(f"{word if n == 1 else f'{word}({n})'} {' '.join(phones)}")
    return 1 if n_failed else 0


def _model(options: argparse.Namespace) -> G2P:
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.recipe import Recipe

    guess = Path(options.g2p) if options.g2p else True
    dictionary = Path(options.lexicon) if options.lexicon else None
    with ExitStack() as stack:
        tell = progress(stack, options.quiet, "learning")
        return Recipe(Bundle.find(options.model), lexicon=dictionary, guess=guess).g2p(tell)


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    group = add_group(commands, "lexicon", "guess how words are said", ABOUT, EXAMPLES)
    g2p = add_group(group, "g2p", "from letters to phones", ABOUT, EXAMPLES)

    parser = add_command(g2p, "train", train, "learn from a dictionary", examples=EXAMPLES)
    parser.add_argument("dictionary", metavar="DICT", help="CMUdict or Kaldi's lexicon format")
    parser.add_argument("-o", "--output", required=True, metavar="MODEL", help="write here")
    parser.add_argument("--order", type=int, default=8, help="letters looked at together "
                        "(default: 8); 4 or 5 for dictionaries of a few thousand words")
    parser.add_argument("--ngrams", type=int, default=0, metavar="N",
                        help="keep at most N n-grams: smaller, less accurate (default: all)")
    parser.add_argument("--quiet", action="store_true", help="no progress")

    parser = add_command(g2p, "apply", apply, "guess pronunciations", examples=EXAMPLES)
    parser.add_argument("words", nargs="*", metavar="WORD",
                        help="words (default: those on standard input)")
    parser.add_argument("--g2p", metavar="MODEL", help="a model that `train` has written "
                        "(default: the model's own, else learnt from the dictionary, once)")
    parser.add_argument("--model", default="en-us", help="en-us, or a model folder, for its "
                        "dictionary")
    parser.add_argument("--lexicon", metavar="DICT", help="dictionary in place of the model's own")
    parser.add_argument("--n", type=int, default=1, help="pronunciations of each word at most")
    parser.add_argument("--probabilities", action="store_true",
                        help="write WORD PROBABILITY PHONES, as in Kaldi's lexiconp.txt")
    parser.add_argument("--quiet", action="store_true", help="no progress")

"""Commands on pronunciations: lexicon g2p train, apply."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any

from factored_asr.cli.shared import add_command, add_group, complain, progress, recipe_of, writing
from factored_asr.errors import MissingError
from factored_asr.storage.reading import standard_input_lines

ABOUT = "Guess the pronunciations of words from their letters (grapheme to phoneme)."

EXAMPLES = """\
examples:
  factored-asr lexicon g2p apply bosch grohe
      English pronunciations, by a model trained on the dictionary of --model (the first time
      this takes some seconds)
  factored-asr lexicon g2p apply --n 3 --probabilities < words.txt > guessed.dict
      three pronunciations of each word with their probabilities, as a lexicon for --words
  factored-asr lexicon g2p train my.dict -o my.g2p
      train on another dictionary, of any language written in letters
  factored-asr transcribe --guess --grammar my.yaml command.wav
      guess words of the grammar that the dictionary lacks
"""


def train(options: argparse.Namespace) -> int:
    """Train a model on a dictionary, and write it.

    Words with digits or rare signs are skipped."""
    from factored_asr.lexicon import Lexicon
    from factored_asr.lexicon.g2p_training import G2POptions, train_g2p

    settings = G2POptions(order=options.order, max_ngrams=options.ngrams)
    lexicon = Lexicon.read(options.dictionary)
    with ExitStack() as stack:
        model = train_g2p(lexicon, settings, progress(stack, options.quiet, "learning"))
    with writing(options.output):
        model.write(options.output)
    print(f"{options.output}\t{len(model.letters)} letters, {len(model.phones)} phones, "
          f"{len(model.pair_letter)} pairs, {len(model.network.arc_pair)} n-grams")
    return 0


def apply(options: argparse.Namespace) -> int:
    """Guess pronunciations of words, and write them as a dictionary.

    A word with unknown letters is reported on standard error, and the others are written."""
    words = options.word or [word for line in standard_input_lines() for word in line.split()]
    with ExitStack() as stack:
        model = recipe_of(options).g2p(progress(stack, options.quiet, "learning"))
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


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    group = add_group(commands, "lexicon", "guess pronunciations", ABOUT, EXAMPLES)
    g2p = add_group(group, "g2p", "letters to phones", ABOUT, EXAMPLES)

    parser = add_command(g2p, "train", train, "train on a dictionary", examples=EXAMPLES)
    parser.add_argument("dictionary", metavar="DICT", help="CMUdict or Kaldi's lexicon format")
    parser.add_argument("-o", "--output", required=True, metavar="MODEL", help="write here")
    parser.add_argument("--order", type=int, default=8, help="length of the n-grams "
                        "(default: 8); 4 or 5 for dictionaries of a few thousand words")
    parser.add_argument("--ngrams", type=int, default=0, metavar="N",
                        help="keep at most N n-grams: smaller, less accurate (default: all)")
    parser.add_argument("--quiet", action="store_true", help="no progress")

    parser = add_command(g2p, "apply", apply, "guess pronunciations", examples=EXAMPLES)
    parser.set_defaults(guess=True)
    parser.add_argument("word", nargs="*", metavar="WORD",
                        help="words (default: those on standard input)")
    parser.add_argument("--g2p", metavar="MODEL", help="a model written by `train` "
                        "(default: the model's own, else trained on the dictionary, once)")
    parser.add_argument("--model", default="en-us", help="en-us, or a model folder, for its "
                        "dictionary")
    parser.add_argument("--lexicon", metavar="DICT", help="dictionary in place of the model's own")
    parser.add_argument("--n", "--nbest", type=int, default=1, metavar="N",
                        help="most pronunciations of each word")
    parser.add_argument("--probabilities", action="store_true",
                        help="write WORD PROBABILITY PHONES, as in Kaldi's lexiconp.txt")
    parser.add_argument("--quiet", action="store_true", help="no progress")

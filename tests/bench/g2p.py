"""Word and phone errors of guessed pronunciations on the part of CMUdict kept out of training.

    python tests/bench/g2p.py            # train on nine tenths, measure on one: the figures
    python tests/bench/g2p.py --tune     # train on 85 %, measure on another 5 %: to choose settings

The dictionary is that of the en-us model (CMUdict without stress marks); --dictionary takes
another, and drops its stress marks. A word belongs to the held-out tenth by a hash of its letters,
so that the split is the same everywhere.

A word is right if the best guess is one of the dictionary's pronunciations of it. Phone errors are
the substitutions, deletions and insertions to the nearest of them, over its length. A word that
cannot be pronounced is wrong in all its phones.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import parser, report

from factored_asr.lexicon import Lexicon
from factored_asr.lexicon.g2p import G2P
from factored_asr.lexicon.g2p_training import G2POptions, train_g2p
from factored_asr.models.en_us import pocketsphinx_model_path

HELD_OUT = (0, 1)  # of the 20 buckets of words: a tenth
TUNING = (2,)
N_BEST = 5


@dataclass(frozen=True)
class Judged:
    """What became of one word."""

    right: bool
    among_best: bool
    n_errors: int
    n_phones: int


def bucket(word: str) -> int:
    """0 to 19, by a hash of the word."""
    return int(hashlib.sha256(word.encode()).hexdigest(), 16) % 20


def distance(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Levenshtein distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        above, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


def judge(model: G2P, word: str, references: Iterable[tuple[str, ...]]) -> Judged:
    """Compare the guesses for a word with its pronunciations."""
    known = list(references)
    spelt = not model.unknown_letters(word)
    guesses = [each.phones for each in model.guess(word, N_BEST)] if spelt else [()]
    n_errors, n_phones = min((distance(guesses[0], each), len(each)) for each in known)
    return Judged(
        guesses[0] in known, any(each in known for each in guesses), n_errors, n_phones
    )


def interval(values: np.ndarray) -> str:
    """A share in per cent with the 95 % interval of its normal approximation."""
    mean = values.mean()
    half = 1.96 * np.sqrt(mean * (1 - mean) / len(values))
    return f"{100 * mean:.2f} ± {100 * half:.2f} %"


def main() -> None:
    """Train, guess, count."""
    arguments = parser(__doc__)
    arguments.add_argument("--dictionary", type=Path, help="default: that of the en-us model")
    arguments.add_argument("--tune", action="store_true", help="measure on the tuning part")
    arguments.add_argument("--order", type=int, default=G2POptions.order)
    arguments.add_argument("--width", type=int, default=G2POptions.width)
    arguments.add_argument("--ngrams", type=int, default=G2POptions.max_ngrams)
    options = arguments.parse_args()
    path = options.dictionary or pocketsphinx_model_path() / "cmudict-en-us.dict"
    lexicon = Lexicon.read(path).strip_stress()
    kept = (*HELD_OUT, *TUNING) if options.tune else HELD_OUT
    measured = TUNING if options.tune else HELD_OUT
    train = Lexicon({word: lexicon[word] for word in lexicon if bucket(word) not in kept})
    test = sorted(word for word in lexicon if bucket(word) in measured)
    test = test[: options.limit or None]
    settings = G2POptions(options.order, options.width, max_ngrams=options.ngrams)
    began = time.process_time()
    model = train_g2p(train, settings)
    trained = time.process_time()
    judged = [judge(model, word, (p.phones for p in lexicon[word])) for word in test]
    seconds = time.process_time() - trained
    n_phones = sum(each.n_phones for each in judged)
    report(options, "Guessed pronunciations of words kept out of training", [
        ["words in training", len(train)], ["words measured", len(test)],
        ["word errors", interval(np.array([not each.right for each in judged]))],
        ["phone errors", f"{100 * sum(each.n_errors for each in judged) / n_phones:.2f} %"],
        [f"right word not among {N_BEST}",
         interval(np.array([not each.among_best for each in judged]))],
        ["n-grams", len(model.network.arc_pair)],
        ["training, CPU s (with compiling)", f"{trained - began:.1f}"],
        ["a word, CPU ms", f"{1000 * seconds / len(test):.2f}"],
    ], ["letters to phones", path.name])  # fmt: skip


if __name__ == "__main__":
    main()

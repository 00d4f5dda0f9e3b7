"""Training of grapheme-to-phoneme models from a dictionary.

First the phones of every word are aligned with its letters: expectation maximisation of the pairs'
probabilities over all alignments, then the best one. Source: Jiampojamarn, Kondrak and Sherif,
Applying many-to-many alignments to letter-to-phoneme conversion, 2007; pairs of two letters made no
better model. Then an n-gram model is estimated over the sequences of pairs as over sentences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from factored_asr.errors import FormatError, OptionError
from factored_asr.language import EstimateOptions, NGramModel, estimate, prune_to
from factored_asr.lexicon.g2p import G2P, PairNetwork
from factored_asr.lexicon.lexicon import Lexicon

Progress = Callable[[str], None]


@dataclass(frozen=True)
class G2POptions:
    """Options of the training of a grapheme-to-phoneme model."""

    order: int = 8
    """Pairs in the longest n-grams, from 1."""
    width: int = 2
    """Phones that one letter may stand for at most, 1 to 3; words that need more are left out."""
    passes: int = 15
    """Passes of expectation maximisation over the dictionary."""
    max_ngrams: int = 0
    """N-grams kept by entropy pruning; 0: all. Fewer: smaller, a little less accurate."""
    min_sign_count: int = 10
    """Words with a character other than a letter that fewer words have are left out."""

    def __post_init__(self) -> None:
        for name, least in (("order", 1), ("passes", 1), ("max_ngrams", 0),
                            ("min_sign_count", 1)):
            if getattr(self, name) < least:
                raise OptionError(f"{name} must be {least} or more, got {getattr(self, name)}")
        if not 1 <= self.width <= 3:
            raise OptionError(f"width must be 1 to 3, got {self.width}")


class NumberedWords(NamedTuple):
    """Words and their phones as numbers; word w has ``letter_ids[first[w]:first[w + 1]]``."""

    letters: tuple[str, ...]
    phones: tuple[str, ...]
    letter_ids: np.ndarray
    letter_first: np.ndarray
    phone_ids: np.ndarray
    phone_first: np.ndarray


def train_g2p(
    lexicon: Lexicon, options: G2POptions | None = None, progress: Progress | None = None
) -> G2P:
    """Train a model on all words of a lexicon; FormatError if there are too few to learn from.

    >>> from factored_asr.lexicon import Pronunciation
    >>> words = {"tea": "T IY", "sea": "S IY", "set": "S EH T", "test": "T EH S T"}
    >>> lexicon = Lexicon({w: (Pronunciation(tuple(p.split())),) for w, p in words.items()})
    >>> model = train_g2p(lexicon, G2POptions(order=3))
    >>> model.guess("seat")[0].phones
    ('S', 'IY', 'T')
    """
    options = options or G2POptions()
    report = progress or (lambda stage: None)
    words = numbered_words(lexicon, options.min_sign_count)
    codes = aligned_pairs(words, options.width, options.passes, report)
    texts, bounds = [str(code) for code in codes.tolist()], pairwise(words.letter_first)
    sentences = (texts[a:b] for a, b in bounds if b > a and codes[a] >= 0)
    report(f"estimating {options.order}-grams over {len(codes):,} pairs")
    model = estimate(sentences, EstimateOptions(options.order, unknown=False))
    if options.max_ngrams and sum(model.counts) > options.max_ngrams:
        report(f"pruning {sum(model.counts):,} n-grams to {options.max_ngrams:,}")
        model = prune_to(model, max(options.max_ngrams, model.counts[0]))
    return packed(model, words, options.width)


def numbered_words(lexicon: Lexicon, min_sign_count: int) -> NumberedWords:
    """Return the words to train from, as numbers."""
    counts = Counter(letter for word in lexicon for letter in set(word.lower()))
    letters = tuple(sorted(c for c, n in counts.items() if c.isalpha() or n >= min_sign_count))
    known = set(letters)
    entries = [
        (word.lower(), pronunciation.phones)
        for word, pronunciations in lexicon.items() if known.issuperset(word.lower())
        for pronunciation in pronunciations
    ]
    if not entries:
        law = f"each has a sign that fewer than {min_sign_count} words have"
        raise FormatError(f"no word to learn from: {law}")
    phones = tuple(sorted({phone for _, sequence in entries for phone in sequence}))
    letter_id = {letter: i for i, letter in enumerate(letters)}
    phone_id = {phone: i for i, phone in enumerate(phones)}
    return NumberedWords(
        letters, phones,
        np.array([letter_id[letter] for word, _ in entries for letter in word]),
        np.cumsum([0, *(len(word) for word, _ in entries)]),
        np.array([phone_id[phone] for _, sequence in entries for phone in sequence]),
        np.cumsum([0, *(len(sequence) for _, sequence in entries)]),
    )


def aligned_pairs(words: NumberedWords, width: int, passes: int, progress: Progress) -> np.ndarray:
    """Return a pair's code for each letter, after EM; -1 in words that no pairs cover."""
    from factored_asr.lexicon._kernels import best_pairs, expected_pairs

    text = words[2:]  # letters and phones as numbers
    base = 1 + len(words.phones)
    n_codes = len(words.letters) * base**width
    probs = np.full(n_codes, 1.0 / n_codes)
    for n in range(1, passes + 1):
        counts, log_likelihood, n_covered = expected_pairs(*text, probs, base, width)
        if not n_covered:
            raise FormatError("no word of the dictionary can be cut into letters and phones")
        progress(f"pass {n}: {n_covered:,} pronunciations, log likelihood of each "
                 f"{log_likelihood / n_covered:.4f}")
        probs = counts / counts.sum()
    with np.errstate(divide="ignore"):
        log_probs = np.log(probs)
    return best_pairs(*text, log_probs, base, width)


def packed(model: NGramModel, words: NumberedWords, width: int) -> G2P:
    """Turn an n-gram model over codes into a network over pairs, in the order of the codes."""
    arcs = model.arcs()
    codes = np.unique([int(word) for word in model.words if word[0] != "<"])
    rank = {str(code): i for i, code in enumerate(codes.tolist())}
    pair = np.array([rank.get(word, -1) for word in model.words])[arcs.word]
    order = np.lexsort((pair, arcs.source))
    backoff_state, log_backoff = np.zeros(arcs.n_states, np.int32), np.zeros(arcs.n_states)
    backoff_state[arcs.backoff_source] = arcs.backoff_target
    log_backoff[arcs.backoff_source] = arcs.log_backoff
    network = PairNetwork(
        np.searchsorted(arcs.source[order], np.arange(arcs.n_states + 1)).astype(np.int64),
        pair[order].astype(np.int32), arcs.log_prob[order], arcs.target[order], backoff_state,
        log_backoff.astype(np.float32), arcs.final,
    )
    base = 1 + len(words.phones)
    digits = np.column_stack([codes // base**k % base for k in range(width - 1, -1, -1)])
    return G2P(words.letters, words.phones, (codes // base**width).astype(np.int32),
               (digits - 1).astype(np.int32), arcs.start, network)

"""Grapheme-to-phoneme conversion: pronunciations of words that no dictionary has.

A joint-sequence model (Bisani and Ney, Joint-sequence models for grapheme-to-phoneme conversion,
2008). A word and its pronunciation are one sequence of *pairs*, each of a letter and the none, one
or two phones that it stands for. An n-gram model over pairs gives the probability of a sequence.
A beam search runs over all sequences that have the letters of a word. Those with the same phones
add up; divided by the sum of all they are the probabilities of the pronunciations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.lexicon.lexicon import Lexicon, Pronunciation
from factored_asr.storage.reading import read_arrays


class PairNetwork(NamedTuple):
    """The pair n-gram model of the search: arcs by state, and the back-off of each state.

    See `factored_asr.language.NGramArcs`; pairs are numbered from 0, in the order of their letters.
    """

    first_arc: np.ndarray  # (n_states + 1,) int64
    arc_pair: np.ndarray  # (n_arcs,) int32, rising within a state
    arc_log_prob: np.ndarray  # (n_arcs,) float32, natural log
    arc_target: np.ndarray  # (n_arcs,) int32
    backoff_state: np.ndarray  # (n_states,) int32; state 0 has none
    log_backoff: np.ndarray  # (n_states,) float32
    final: np.ndarray
    """(n_states,) float32: log probability of the word's end; -inf: back off first."""


class GuessWarning(UserWarning):
    """A word that the dictionary lacks has a guessed pronunciation, which is named."""


@dataclass(frozen=True, eq=False)
class G2P:
    """A grapheme-to-phoneme model, made by `train_g2p` or read. Words are lower-cased."""

    letters: tuple[str, ...]  # Letters of its words
    phones: tuple[str, ...]  # Phones of its pronunciations
    pair_letter: np.ndarray  # (n_pairs,) int32 of each pair, rising
    pair_phones: np.ndarray  # (n_pairs, width) int32, -1 where a pair has fewer
    start: int  # State at a word's beginning
    network: PairNetwork

    @classmethod
    def read(cls, path: str | Path) -> G2P:
        """Read a model; FormatError if the file is none, or its arrays are inconsistent."""
        try:
            arrays = read_arrays(path)
            model = cls(
                tuple(arrays["letters"].tolist()), tuple(arrays["phones"].tolist()),
                arrays["pair_letter"], arrays["pair_phones"], int(arrays["start"]),
                PairNetwork(*(arrays[name] for name in PairNetwork._fields)),
            )
        except FormatError as error:
            raise FormatError(f"not a G2P model: {error}") from error
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise FormatError(f"not a G2P model: {error}", path) from error
        model._check(path)
        return model

    def write(self, path: str | Path) -> None:
        """Write the model into one file, a zip of arrays."""
        arrays = {
            "letters": np.array(self.letters), "phones": np.array(self.phones),
            "pair_letter": self.pair_letter, "pair_phones": self.pair_phones,
            "start": np.array(self.start), **self.network._asdict(),
        }
        with open(path, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    def unknown_letters(self, word: str) -> tuple[str, ...]:
        """Return the characters of a word that the model does not know, each once."""
        return tuple(dict.fromkeys(c for c in word.lower() if c not in self._letter_ids))

    def guess(
        self, word: str, n: int = 1, *, beam: float = 12.0, max_tokens: int = 300
    ) -> tuple[Pronunciation, ...]:
        """Return the most probable pronunciations of a word, at most `n`, the best first.

        Their probabilities sum to one over all pronunciations found, not just these. `beam` is the
        greatest distance (natural log) of a partial word to the best one, `max_tokens` how many are
        kept at each letter; higher: slower, more pronunciations. Raises MissingError if the word
        has characters that the model does not know, such as digits; all are named.
        """
        for name, value in (("n", n), ("max_tokens", max_tokens)):
            if value < 1:
                raise OptionError(f"{name} must be 1 or more, got {value}")
        if not beam > 0:
            raise OptionError(f"beam must be above 0, got {beam}")
        if unknown := self.unknown_letters(word):
            law = f"{' '.join(map(repr, unknown))} is no letter that the G2P model knows"
            remedy = "write the word in letters, or give its phones"
            raise MissingError(f"word {word!r} cannot be pronounced: {law}; {remedy}")
        found = self._search(word.lower(), beam, max_tokens) if word else {}
        if not found:
            raise MissingError(f"word {word!r} cannot be pronounced: no pronunciation was found")
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:n]
        return tuple(Pronunciation(*item) for item in ranked)

    def lexicon(self, words: Iterable[str], n: int = 1) -> Lexicon:
        """Return a lexicon of `n` guessed pronunciations each; MissingError as in `guess`."""
        return Lexicon({word: self.guess(word, n) for word in words})

    def _search(self, word: str, beam: float, max_tokens: int) -> dict[tuple[str, ...], float]:
        """Return every pronunciation found, with its share of the total probability."""
        from factored_asr.lexicon._kernels import pronounce

        ids = np.array([self._letter_ids[letter] for letter in word])
        low, high = (np.searchsorted(self.pair_letter, ids, side) for side in ("left", "right"))
        before, pair, hashes, ends, scores = pronounce(
            low, high, self.pair_phones, self.network, self.start, beam, max_tokens
        )
        if not len(ends) or scores.max() == -np.inf:
            return {}
        shares = np.exp(scores - scores.max())
        total: dict[int, float] = {}
        row_of: dict[int, int] = {}
        for row, share in zip(ends.tolist(), shares.tolist(), strict=True):
            key = int(hashes[row])
            total[key] = total.get(key, 0.0) + share
            row_of[key] = row
        found = {}
        for key, value in total.items():
            row, phones = row_of[key], list[int]()
            while row:
                phones = [p for p in self.pair_phones[pair[row]].tolist() if p >= 0] + phones
                row = int(before[row])
            if phones:
                found[tuple(self.phones[p] for p in phones)] = value
        everything = sum(found.values())
        return {phones: value / everything for phones, value in found.items()}

    @cached_property
    def _letter_ids(self) -> dict[str, int]:
        return {letter: i for i, letter in enumerate(self.letters)}

    def _check(self, path: str | Path) -> None:
        """Raise FormatError if the arrays are inconsistent: the search does not check them."""
        at = self.network
        n_pairs, n_states, n_arcs = self.pair_letter.size, at.final.size, at.arc_pair.size
        fits = (
            all(array.ndim == 1 for array in (self.pair_letter, *at))
            and all(array.dtype == kind for array, kind in zip(at, _KINDS, strict=True))
            and self.pair_letter.dtype == self.pair_phones.dtype == np.int32
            and all(isinstance(name, str) for name in (*self.letters, *self.phones))
            and not any(np.isnan(x).any() for x in (at.arc_log_prob, at.log_backoff, at.final))
            and self.pair_phones.ndim == 2
            and len(self.pair_phones) == n_pairs > 0
            and self.pair_phones.max() < len(self.phones)
            and bool((np.diff(self.pair_letter) >= 0).all())
            and at.first_arc.shape == (n_states + 1,)
            and at.first_arc[0] == 0 and at.first_arc[-1] == n_arcs
            and bool((np.diff(at.first_arc) >= 0).all())
            and at.arc_pair.shape == at.arc_log_prob.shape == at.arc_target.shape == (n_arcs,)
            and at.backoff_state.shape == at.log_backoff.shape == at.final.shape == (n_states,)
            and 0 <= self.start < n_states
            and _within(at.arc_pair, n_pairs) and _within(at.arc_target, n_states)
            and _within(at.backoff_state, n_states) and _ends_at_0(at.backoff_state)
        )
        if not fits:
            raise FormatError("a G2P model whose arrays are inconsistent", path)


_KINDS = (np.int64, np.int32, np.float32, np.int32, np.int32, np.float32, np.float32)
"""Types of the arrays of a `PairNetwork`, for which the search is compiled."""


def _within(values: np.ndarray, size: int) -> bool:
    return bool(((values >= 0) & (values < size)).all())


def _ends_at_0(backoff_state: np.ndarray) -> bool:
    """Return whether backing off leads to state 0 from every state, within 100 steps."""
    state = backoff_state
    for _ in range(100):
        if not state.any():
            return True
        state = backoff_state[state]
    return False

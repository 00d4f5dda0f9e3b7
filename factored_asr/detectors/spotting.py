"""The search for one pronunciation in frames, and what a place where it fits looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.detectors._kernels import DEAD, align, spot

LEAST_PHONE, LEAST_OTHER = -10.0, -6.0
"""Lower log probabilities of a keyword's phone, and of another phone in its place, are not told
apart."""


@dataclass(frozen=True)
class Spot:
    """A place where a keyword fits."""

    ratio: float
    """Log-likelihood ratio per phone."""
    begin: int
    """First frame."""
    end: int
    """Last frame."""


class PhoneRow:
    """The phones of a keyword as pdfs of a model.

    Parameters
    ----------
    phones
        At least one, each one of the model's.
    known
        The model's phones.
    longest
        Frames that it may last, at most.
    """

    def __init__(self, phones: Sequence[str], known: Sequence[str], longest: int):
        self.columns = np.array([known.index(phone) + 1 for phone in phones], np.int64)
        """(n_phones,): their pdfs."""
        self.repeats = np.concatenate([[False], self.columns[1:] == self.columns[:-1]])
        """(n_phones,) bool: where a phone is the same as the one before."""
        self.longest = longest

    def values(self, log_probs: np.ndarray, parts: np.ndarray, ratio: float) -> np.ndarray:
        """Return what a verifier judges of the frames of a place, float64.

        The ratio, the least and the mean log probability of its phones, and the log of its frames.
        Then of each phone the best log probability, that of the best other phone in its place, and
        the log of its frames with the blanks after it. Last the components of the encoder's
        vectors, each the mean over a quarter of the frames.

        Parameters
        ----------
        log_probs
            (n_frames, n_pdfs): the frames of the place, at least as many as there are phones.
        parts
            (n_frames, n_parts): their components, of `Background.components`.
        ratio
            Of the place.
        """
        n, columns = len(self.columns), self.columns
        states = np.empty(len(log_probs), np.int64)
        align(np.ascontiguousarray(log_probs), columns, self.repeats, 0, states)
        own, other, frames = np.empty(n), np.empty(n), np.empty(n)
        for i, column in enumerate(columns):
            here = log_probs[states // 2 == i]
            best = here.max(axis=0)
            own[i] = log_probs[states == 2 * i, column].max()
            best[[0, column]] = LEAST_OTHER
            other[i], frames[i] = best.max(), len(here)
        own, other = np.maximum(own, LEAST_PHONE), np.maximum(other, LEAST_OTHER)
        return np.array([ratio, own.min(), own.mean(), np.log(len(log_probs)), *own, *other,
                         *np.log(frames), *_quarters(parts)])


def n_values(n_phones: int, n_parts: int) -> int:
    """Return how many values `PhoneRow.values` has."""
    return 4 + 3 * n_phones + 4 * n_parts


def _quarters(parts: np.ndarray) -> np.ndarray:
    """Means over four parts of some frames, one after the other."""
    n = len(parts)
    cuts = np.linspace(0, n, 5).astype(int)
    return np.concatenate([parts[min(first, n - 1) : max(end, first + 1)].mean(axis=0)
                           for first, end in zip(cuts, cuts[1:], strict=False)])


class Spotter:
    """The search for one pronunciation in one sound."""

    def __init__(self, pronunciation: PhoneRow):
        self._wanted = pronunciation
        n_states = 2 * len(pronunciation.columns) - 1
        self._value, self._begin = np.full(n_states, DEAD), np.zeros(n_states, np.int64)

    def advance(self, log_probs: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ratio per phone of a path that ends in each frame, and where it began.

        Parameters
        ----------
        log_probs
            (n_frames, n_pdfs) float32: the next frames.
        first
            The number of the first of them.
        """
        found, begun = np.empty(len(log_probs)), np.empty(len(log_probs), np.int64)
        wanted = self._wanted
        spot(np.ascontiguousarray(log_probs), wanted.columns, wanted.repeats, 0, wanted.longest,
             self._value, self._begin, first, found, begun)
        return found / len(wanted.columns), begun


def places(pronunciation: PhoneRow, log_probs: np.ndarray, apart: int, least: float
           ) -> list[Spot]:
    """Return the places in a whole sound where a pronunciation fits, the best one first.

    Parameters
    ----------
    pronunciation
        What is searched for.
    log_probs
        (n_frames, n_pdfs) float32.
    apart
        Frames between the ends of two places, at least.
    least
        Ratio of a place, at least.
    """
    ratios, begins = Spotter(pronunciation).advance(log_probs, 0)
    free = np.ones(len(ratios), np.bool_)
    found = []
    for end in np.argsort(-ratios):
        if ratios[end] < least:
            break
        if free[end]:
            found.append(Spot(float(ratios[end]), int(begins[end]), int(end)))
            free[max(0, end - apart) : end + apart + 1] = False
    return found

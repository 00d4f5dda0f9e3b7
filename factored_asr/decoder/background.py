"""A command's search with a rival beside it: is the best sentence of a grammar what was said?

The grammar's graph holds nothing but its sentences, so its best path says only which of them is the
nearest. The background (`graph.build_background`) is searched apart over the same scores; where its
best path costs less, what was said is none of the sentences. Both costs are exact for their
beams at any place of the utterance, however much it begins like a command.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.decoder.search import BeamOptions, Search
from factored_asr.graph import BACKGROUND, Graph
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.path import WordSegment

NO_COMMAND = "what was said fits no sentence of the grammar"
NO_SPEECH = "no speech"
LONGEST_PHONE = 1.0
"""Seconds. In spoken orders the longest lasts 0.6; engines and rain hold one for four."""
SLOWEST = 0.4
"""Seconds a phone of a word of several: nobody drawls so, rain does."""


@dataclass(frozen=True)
class Margin:
    """Costs by which a command must fit better than its rival."""

    word: float
    """For each of its words: the background hears them, too, so a short one wins by little."""
    words: float
    """For all of its words, at most."""
    frame: float = 0.0
    """For each frame of its words."""


AS_IT_IS = Margin(word=2.0, words=6.0)
"""Where the model is as it is. In barks all fits nearly alike; what was said wins by more. As high
as all clean spoken orders bear that are understood without it (tests/bench/thresholds.py)."""
IN_NOISE = Margin(word=3.0, words=7.0, frame=0.05)
"""Where it was moved to the noise: scores then count less (`NoiseOptions.trust`), and what the
background charges for words and frames counts for more beside them. Fitted on every fourth sound
of tests/bench/thresholds.py, from the first, to act on 1 % of other speech at most."""


class RivalSearch(Search):
    """A `Search` whose lattice knows the best path through a second graph, its `rival`.

    Parameters
    ----------
    graph, options
        As for `Search`.
    background
        What else may have been said; None where everything is to count as a command.
    """

    def __init__(
        self, graph: Graph, options: BeamOptions | None = None, background: Graph | None = None
    ):
        alone = replace(options or BeamOptions(), lattice_beam=0.0)
        self._rival = Search(background, alone) if background is not None else None
        super().__init__(graph, options)

    def start(self) -> None:
        """Begin a new utterance; what was searched before is dropped."""
        super().start()
        if self._rival is not None:
            self._rival.start()

    def advance(self, log_likelihoods: np.ndarray) -> None:
        """Search further frames: (n_frames, n_pdfs) float32, see `decode`."""
        super().advance(log_likelihoods)
        if self._rival is not None:
            self._rival.advance(log_likelihoods)

    def finish(self) -> Lattice:
        """End the utterance; see `Search.finish`."""
        lattice = super().finish()
        if self._rival is None:
            return lattice
        return replace(lattice, rival=self._rival.finish().best())


def decode_beside(
    graph: Graph, blocks: Iterable[np.ndarray], options: BeamOptions, background: Graph | None
) -> Lattice:
    """Search a whole utterance, its scores block by block, with the background beside."""
    search = RivalSearch(graph, options, background)
    for scores in blocks:
        search.advance(scores)
    return search.finish()


def pdfs_beside(graph: Graph, background: Graph | None) -> np.ndarray:
    """The pdfs that a search over a graph needs scores of, and what is heard beside it, sorted."""
    return graph.pdfs if background is None else np.union1d(graph.pdfs, background.pdfs)


def misfit(lattice: Lattice) -> str:
    """Why the best path is no command: where it fits worse than its rival; empty where it fits.

    Examples
    --------
    >>> misfit(Lattice(0))
    ''
    """
    rival, seconds = lattice.rival, lattice.frame_seconds or 0.0
    if rival is None or lattice.path is None:
        return ""
    if margin(lattice) < 0 and not rival.has_speech:
        return NO_SPEECH
    if margin(lattice) < 0:
        return NO_COMMAND + _worst_word(lattice.path.segments, rival.segments, seconds)
    for phone in lattice.path.phones:
        lasted = (phone.end - phone.start) * seconds
        if not phone.is_silence and lasted > LONGEST_PHONE:
            return f"{NO_COMMAND}: nobody holds one {phone.phone} for {lasted:.1f} s"
    for word in lattice.path.segments:
        lasted = _frames(word) * seconds
        if len(word.phones) > 1 and lasted > SLOWEST * len(word.phones):
            return f"{NO_COMMAND}: nobody takes {lasted:.1f} s for '{word.word}'"
    return ""


def margin(lattice: Lattice) -> float:
    """By how much the best path fits better than a command must; inf where nothing is beside it.

    Examples
    --------
    >>> margin(Lattice(0))
    inf
    """
    rival, path = lattice.rival, lattice.path
    if rival is None or path is None:
        return math.inf
    return rival.cost - path.cost - least_margin(lattice)


def least_margin(lattice: Lattice) -> float:
    """By how much its best path must cost less than what is heard beside it."""
    path, least = lattice.best(), IN_NOISE if lattice.in_noise else AS_IT_IS
    spoken = sum(phone.end - phone.start for phone in path.phones if not phone.is_silence)
    words = min(least.word * len(path.words), least.words)
    return words + least.frame * spoken


def _worst_word(
    heard: tuple[WordSegment, ...], rival: tuple[WordSegment, ...], seconds: float
) -> str:
    """The longest word that the rival hears otherwise, and as what."""
    worst, instead, longest = None, "", 0
    for word in heard:
        others = [other for other in rival if 2 * _overlap(word, other) > _frames(other)]
        names = [other.word for other in others if other.word != BACKGROUND]
        if names != [word.word] and _frames(word) > longest:
            worst, longest, instead = word, _frames(word), " ".join(names)
    if worst is None or worst.start is None or worst.end is None:
        return ""
    return (
        f": '{worst.word}' at {worst.start * seconds:.2f}-{worst.end * seconds:.2f} s fits worse "
        f"than {repr(instead) if instead else 'unknown speech'}"
    )


def _overlap(one: WordSegment, other: WordSegment) -> int:
    start = max(one.start or 0, other.start or 0)
    return max(0, min(one.end or 0, other.end or 0) - start)


def _frames(word: WordSegment) -> int:
    return (word.end or 0) - (word.start or 0)

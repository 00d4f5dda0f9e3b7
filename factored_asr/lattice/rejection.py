"""Rejection: is the best sentence of a grammar what was spoken?

A grammar's graph holds its sentences only, so its best path says which of them is nearest. The
background model (`graph.build_background`) is searched over the same scores. A command is accepted
if its path costs less than the background's path by a margin, and if no phone or word of it is
longer than people speak. Both costs are exact for their beams.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from factored_asr.errors import OptionError
from factored_asr.graph import BACKGROUND
from factored_asr.lattice.path import Path, WordSegment

NO_COMMAND = "no sentence of the grammar fits"
NO_SPEECH = "no speech"


@dataclass(frozen=True)
class Margin:
    """Cost by which a command must be better than the background model; ≥ 0, higher rejects more.

    It is ``min(word * n_words, words) + frame * n_frames``, where only frames of speech count.
    """

    word: float
    """Cost of each word: the background model allows words too, so a short command wins by little.
    """
    words: float
    """Upper limit of the cost of all words."""
    frame: float = 0.0
    """Cost of each frame of speech, default 0."""

    def __post_init__(self) -> None:
        if not (self.word >= 0 and self.words >= 0 and self.frame >= 0):
            raise OptionError(f"the costs of a margin must be 0 or more, got {self}")

    def needed(self, path: Path) -> float:
        """Return the cost by which this command must be better than the background model."""
        speech = sum(phone.end - phone.start for phone in path.phones if not phone.is_silence)
        return min(self.word * len(path.words), self.words) + self.frame * speech


@dataclass(frozen=True)
class RejectionOptions:
    """When the best sentence of a grammar is rejected."""

    clean: Margin = Margin(word=2.0, words=6.0)
    """Margin of a model as it was trained, default 2 a word, at most 6; higher rejects more. The
    default is the highest margin at which no clean command of tests/bench/thresholds.py is lost."""
    in_noise: Margin = Margin(word=3.0, words=7.0, frame=0.05)
    """Margin of a model adapted to the noise of the sound, default 3 a word, at most 7, and 0.05 a
    frame; higher rejects more. Scores then have a lower scale, so the background model's costs of
    words and frames weigh more. Fitted on every fourth sound of tests/bench/thresholds.py, from
    the first, to accept 1 % of other speech at most."""
    longest_phone: float = 1.0
    """Longest phone in seconds, > 0, default 1.0; lower rejects more. In commands the longest
    lasts 0.6 s; engines and rain give phones of up to 4 s."""
    slowest_word: float = 0.4
    """Longest duration of a word of several phones, in seconds a phone, > 0, default 0.4; lower
    rejects more. People do not speak so slowly; rain is decoded into such words."""

    def __post_init__(self) -> None:
        for name in ("longest_phone", "slowest_word"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} must be above 0 seconds, got {getattr(self, name)}")


DEFAULTS = RejectionOptions()


def margin(
    path: Path, background: Path | None, options: RejectionOptions = DEFAULTS,
    in_noise: bool = False,
) -> float:
    """Return how much better than necessary a command fits; below 0: it is rejected.

    `path` is the best of the grammar, `background` that of the background model; None gives inf.
    `in_noise`: the scores come from a model adapted to the noise of the sound.
    """
    if background is None:
        return math.inf
    needed = options.in_noise if in_noise else options.clean
    return background.cost - path.cost - needed.needed(path)


def rejection(
    path: Path, background: Path | None, options: RejectionOptions = DEFAULTS,
    frame_seconds: float = 0.0, in_noise: bool = False,
) -> str:
    """Return why a command is rejected; empty if it is accepted.

    Parameters are those of `margin`, and the seconds between frames; without a background path
    every command is accepted.

    Examples
    --------
    >>> from factored_asr.lattice.path import NO_PATH
    >>> from dataclasses import replace
    >>> command, background = (replace(NO_PATH, cost=cost) for cost in (5.0, 1.0))
    >>> rejection(command, background)
    'no speech'
    """
    if background is None:
        return ""
    missing = margin(path, background, options, in_noise)
    if missing < 0 and not background.has_speech:
        return NO_SPEECH
    if missing < 0:
        better = "better" if background.cost < path.cost else "nearly as well"
        where = _worst_word(path.segments, background.segments, frame_seconds)
        return f"{NO_COMMAND}: the background model fits {better}{where}"
    return _too_long(path, options, frame_seconds)


def _too_long(path: Path, options: RejectionOptions, frame_seconds: float) -> str:
    """Name the phone or word that is longer than people speak, if there is one."""
    too_long = f"{NO_COMMAND}: {{}} lasts {{:.1f}} s, more than {{:g}} s"
    for phone in path.phones:
        lasts = (phone.end - phone.start) * frame_seconds
        if not phone.is_silence and lasts > options.longest_phone:
            return too_long.format(f"phone {phone.phone}", lasts, options.longest_phone)
    for word in path.segments:
        lasts = _frames(word) * frame_seconds
        if len(word.phones) > 1 and lasts > options.slowest_word * len(word.phones):
            return too_long.format(f"'{word.word}'", lasts, options.slowest_word) + " a phone"
    return ""


def _worst_word(
    words: tuple[WordSegment, ...], background: tuple[WordSegment, ...], frame_seconds: float
) -> str:
    """Name the longest word in whose place the background model has another."""
    worst, competitor, longest = None, "", 0
    for word in words:
        names = [other.word for other in background
                 if 2 * _overlap(word, other) > _frames(other) and other.word != BACKGROUND]
        if names != [word.word] and _frames(word) > longest:
            worst, longest, competitor = word, _frames(word), " ".join(names)
    if worst is None or worst.start is None or worst.end is None:
        return ""
    return (
        f": '{worst.word}' at {worst.start * frame_seconds:.2f}-{worst.end * frame_seconds:.2f} s "
        f"fits worse than {repr(competitor) if competitor else 'unknown speech'}"
    )


def _overlap(one: WordSegment, other: WordSegment) -> int:
    start = max(one.start or 0, other.start or 0)
    return max(0, min(one.end or 0, other.end or 0) - start)


def _frames(word: WordSegment) -> int:
    return (word.end or 0) - (word.start or 0)

"""Rejection: is the best sentence of a grammar what was spoken?

A grammar's graph holds its sentences only, so its best path says which of them is nearest. The
background model (`graph.build_background`) is searched over the same scores. A command is accepted
if

* its path costs less than the background's path by a margin,
* its path costs less than the best reading that denies a command ("don't …"), by a margin, too,
* no speech is left over before, between or after its words,
* no phone or word of it is longer than people speak,
* and enough frames stand out as speech, for models that can tell.

All costs are exact for their beams.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.graph import BACKGROUND
from factored_asr.lattice.path import Path, WordSegment

NO_COMMAND = "no sentence of the grammar fits"
NO_SPEECH = "no speech"
CODES = ("no-speech", "background", "denied", "speech-outside", "too-long", "little-speech")
"""Codes of a `Rejection`. In this order: silence fits best; other speech fits nearly as well; the
command may be denied; speech lies outside its words. A phone or word is longer than people speak;
hardly any frames stand out as speech."""


@dataclass(frozen=True)
class Rejection:
    """Why the nearest command was rejected.

    Examples
    --------
    >>> print(Rejection("no-speech", "no speech"))
    no speech
    """

    code: str
    """One of `CODES`."""
    reason: str
    """The reason for people."""
    nearest: str = ""
    """The words of the nearest command; empty if none was found."""
    margin: float | None = None
    """Cost that was missing, below 0, of `background` and `denied`; else None."""
    times: tuple[tuple[float, float], ...] = ()
    """Start and end of what does not fit, seconds."""

    def __str__(self) -> str:
        return self.reason

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        margin = None if self.margin is None or not math.isfinite(self.margin) else self.margin
        return {"code": self.code, "reason": self.reason, "nearest": self.nearest,
                "margin": None if margin is None else round(margin, 3),
                "times": [[round(start, 3), round(end, 3)] for start, end in self.times]}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Rejection:
        """Read what `to_dict` gave."""
        times = tuple((float(start), float(end)) for start, end in values["times"])
        margin = values["margin"]
        return Rejection(str(values["code"]), str(values["reason"]), str(values["nearest"]),
                         None if margin is None else float(margin), times)


@dataclass(frozen=True)
class Margin:
    """Cost by which a command must be better than the background model; ≥ 0, higher rejects more.

    It is ``min(word * n_words, words) + frame * n_frames``, where only frames of speech count.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from factored_asr.lattice.path import NO_PATH
    >>> Margin(word=2.0, words=6.0).needed(replace(NO_PATH, words=("stop", "it")))
    4.0
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
class DenialMargin:
    """Cost by which a command must be better than the best reading that denies one.

    It is ``cost + speech * n``. Here n counts the frames of speech that are in silences of the
    command before its last word, but not in silences of the denied reading. There "do not" was
    taken for silence.
    """

    cost: float
    """Higher rejects more."""
    speech: float = 0.0
    """Cost of each frame of speech that only the denied reading accounts for, >= 0."""

    def __post_init__(self) -> None:
        if not (self.cost < math.inf and 0 <= self.speech < math.inf):
            raise OptionError(f"the costs of a margin must be finite, got {self}")


@dataclass(frozen=True)
class RejectionOptions:
    """When the best sentence of a grammar is rejected.

    Examples
    --------
    >>> round(RejectionOptions(strictness=2.0).longest(1.0), 2)  # seconds: twice as strict
    0.5
    """

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
    denied: DenialMargin = DenialMargin(cost=4.5, speech=0.15)
    """Margin to a denied reading of a model as it was trained. Fitted on the half of voices and
    commands of tests/bench/denials.py that is for that, and on every fourth coffee order."""
    denied_in_noise: DenialMargin = DenialMargin(cost=1.0, speech=0.03)
    """The same of a model adapted to the noise of the sound."""
    speech_outside: float = 0.4
    """Longest speech outside the words of a command, in seconds between two of its words, or
    within a second before and after them, > 0; lower rejects more. Speech is what the speech
    detector marks; not looked at in noise, which it marks, too."""
    speech_a_phone: float = 0.0
    """Least number of frames that stand out as speech for each phone of a command, >= 0, default 0:
    not looked at; higher rejects more. A network gives each phone that is spoken a frame or more;
    in noise commands are found without. Only for models of peaked scores."""
    strictness: float = 1.0
    """Multiplies all margins and divides all longest durations, >= 0, default 1; higher rejects
    more. 0 accepts whatever fits better than the background model and than a denial."""

    def __post_init__(self) -> None:
        for name in ("longest_phone", "slowest_word", "speech_outside"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} must be above 0 seconds, got {getattr(self, name)}")
        if not 0 <= self.speech_a_phone < math.inf:
            raise OptionError(f"speech_a_phone must be 0 or more, got {self.speech_a_phone}")
        if not 0 <= self.strictness < math.inf:
            raise OptionError(f"strictness must be 0 or more, got {self.strictness}")

    def longest(self, seconds: float) -> float:
        """Return a longest duration at this strictness."""
        return seconds / self.strictness if self.strictness else math.inf


DEFAULTS = RejectionOptions()


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a command is compared with: all of it was found in the same sound."""

    background: Path | None = None
    """The best path of the background model; None accepts everything."""
    denied: Path | None = None
    """The best path that denies a command; None: there is none."""
    speech: np.ndarray | None = None
    """(n_frames,) bool: the frames that the speech detector marks; None: it is not known which."""
    in_noise: bool = False
    """The scores come from a model adapted to the noise of the sound."""


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
    return background.cost - path.cost - options.strictness * needed.needed(path)


def denial_margin(path: Path, evidence: Evidence, options: RejectionOptions = DEFAULTS) -> float:
    """Return how much better than necessary a command fits than a denied one; below 0: rejected."""
    denied = evidence.denied
    if denied is None or not math.isfinite(denied.cost):
        return math.inf
    needed = options.denied_in_noise if evidence.in_noise else options.denied
    missed, speech = 0, evidence.speech
    if speech is not None and path.segments and denied.segments:
        missed = _left_out(path, speech) - _left_out(denied, speech)
    asked = needed.cost + needed.speech * max(missed, 0)
    return denied.cost - path.cost - options.strictness * asked


def rejection(
    path: Path, evidence: Evidence, options: RejectionOptions = DEFAULTS,
    frame_seconds: float = 0.0,
) -> Rejection | None:
    """Return why a command is rejected; None if it is accepted.

    Parameters
    ----------
    path
        The best path of the grammar.
    evidence
        What it is compared with. Where `path` is itself the denied reading, only the background
        model and the frames that stand out as speech count: a denial does nothing.
    options
        All thresholds.
    frame_seconds
        Seconds between frames.

    Examples
    --------
    >>> from factored_asr.lattice.path import NO_PATH
    >>> from dataclasses import replace
    >>> command, background = (replace(NO_PATH, cost=cost) for cost in (5.0, 1.0))
    >>> rejection(command, Evidence(background)).code
    'no-speech'
    """
    background = evidence.background
    if background is None:
        return None
    nearest = " ".join(path.words)
    missing = margin(path, background, options, evidence.in_noise)
    if missing < 0 and not background.has_speech:
        return Rejection("no-speech", NO_SPEECH, nearest, missing)
    if missing < 0:
        better = "better" if background.cost < path.cost else "nearly as well"
        where, times = _worst_word(path.segments, background.segments, frame_seconds)
        reason = f"{NO_COMMAND}: the background model fits {better}{where}"
        return Rejection("background", reason, nearest, missing, times)
    if is_denial(path, evidence):
        return _hardly_spoken(path, evidence, options, nearest)
    return (
        _denied(path, evidence, options, nearest, frame_seconds)
        or _speech_outside(path, evidence, options, nearest, frame_seconds)
        or _too_long(path, options, nearest, frame_seconds)
        or _hardly_spoken(path, evidence, options, nearest)
    )


def is_denial(path: Path, evidence: Evidence) -> bool:
    """Return whether the best path is itself the reading that denies a command."""
    return evidence.denied is not None and evidence.denied.cost <= path.cost


def command_share(path: Path, evidence: Evidence, scale: float) -> float:
    """Return the probability of a command next to the background model and to a denied reading.

    `scale` multiplies costs, as for posteriors of words (`ConfidenceOptions.scale`).

    >>> from dataclasses import replace
    >>> from factored_asr.lattice.path import NO_PATH
    >>> command, background = (replace(NO_PATH, cost=cost) for cost in (5.0, 15.0))
    >>> round(command_share(command, Evidence(background), 0.3), 3)
    0.953
    """
    others = [evidence.background]
    if not is_denial(path, evidence):
        others.append(evidence.denied)
    behind = [other.cost - path.cost for other in others if other is not None]
    return 1.0 / (1.0 + math.fsum(math.exp(min(-scale * cost, 700.0)) for cost in behind))


def _denied(
    path: Path, evidence: Evidence, options: RejectionOptions, nearest: str, frame_seconds: float
) -> Rejection | None:
    """Reject a command that may be denied."""
    missing = denial_margin(path, evidence, options)
    if missing >= 0 or evidence.denied is None:
        return None
    other = " ".join(evidence.denied.words)
    last = max((each.end or 0 for each in evidence.denied.segments[:2]), default=0)
    first = min((each.start or 0 for each in evidence.denied.segments[:1]), default=0)
    times = ((first * frame_seconds, last * frame_seconds),)
    reason = f"it may be denied: '{other}' fits nearly as well as '{nearest}'"
    return Rejection("denied", reason, nearest, missing, times)


def _silences(path: Path, n_frames: int) -> np.ndarray:
    """(n_frames,) bool: where a path has silence."""
    silent = np.zeros(n_frames, np.bool_)
    for phone in path.phones:
        silent[phone.start : phone.end] = phone.is_silence
    return silent


def _left_out(path: Path, speech: np.ndarray) -> int:
    """Count the frames of speech that a path has silence for, before its last word's end."""
    end = path.segments[-1].end or 0
    return int((speech & _silences(path, len(speech)))[:end].sum())


def _speech_outside(
    path: Path, evidence: Evidence, options: RejectionOptions, nearest: str, frame_seconds: float
) -> Rejection | None:
    """Reject a command with too much speech before, between or after its words."""
    words = [word for word in path.segments if word.start is not None]
    if evidence.speech is None or evidence.in_noise or not words or not frame_seconds:
        return None
    speech = evidence.speech
    outside = speech & _silences(path, len(speech))
    second, limit = round(1 / frame_seconds), options.longest(options.speech_outside)
    for start, end in _gaps(words, second, len(speech)):
        if outside[start:end].sum() * frame_seconds > limit:
            found = start + np.flatnonzero(outside[start:end])
            times = (found[0] * frame_seconds, (found[-1] + 1) * frame_seconds)
            reason = (f"{NO_COMMAND}: speech at {times[0]:.2f}-{times[1]:.2f} s is outside the "
                      f"words '{nearest}'")
            return Rejection("speech-outside", reason, nearest, None, (times,))
    return None


def _gaps(words: list[WordSegment], near: int, n_frames: int) -> Iterator[tuple[int, int]]:
    """Yield first frame and end of the gaps: before, between and after the words."""
    first, last = words[0].start or 0, words[-1].end or 0
    yield max(0, first - near), first
    for word, following in zip(words, words[1:], strict=False):
        yield word.end or 0, following.start or 0
    yield last, min(n_frames, last + near)


def _too_long(
    path: Path, options: RejectionOptions, nearest: str, frame_seconds: float
) -> Rejection | None:
    """Name the phone or word that is longer than people speak, if there is one."""
    too_long = f"{NO_COMMAND}: {{}} lasts {{:.1f}} s, more than {{:g}} s"
    longest, slowest = map(options.longest, (options.longest_phone, options.slowest_word))
    for phone in path.phones:
        lasts = (phone.end - phone.start) * frame_seconds
        if not phone.is_silence and lasts > longest:
            times = ((phone.start * frame_seconds, phone.end * frame_seconds),)
            reason = too_long.format(f"phone {phone.phone}", lasts, longest)
            return Rejection("too-long", reason, nearest, None, times)
    for word in path.segments:
        lasts = _frames(word) * frame_seconds
        if len(word.phones) > 1 and lasts > slowest * len(word.phones):
            times = (((word.start or 0) * frame_seconds, (word.end or 0) * frame_seconds),)
            reason = too_long.format(f"'{word.word}'", lasts, slowest) + " a phone"
            return Rejection("too-long", reason, nearest, None, times)
    return None


def _hardly_spoken(
    path: Path, evidence: Evidence, options: RejectionOptions, nearest: str
) -> Rejection | None:
    """Reject a command of more phones than there is speech for."""
    n_phones = sum(len(word.phones) for word in path.segments)
    least = options.strictness * options.speech_a_phone * n_phones
    if evidence.speech is None or (found := int(evidence.speech.sum())) >= least:
        return None
    reason = f"{NO_COMMAND}: {n_phones} phones, but {found} frames that stand out as speech"
    return Rejection("little-speech", reason, nearest)


def _worst_word(
    words: tuple[WordSegment, ...], background: tuple[WordSegment, ...], frame_seconds: float
) -> tuple[str, tuple[tuple[float, float], ...]]:
    """Name the longest word in whose place the background model has another, and its times."""
    worst, competitor, longest = None, "", 0
    for word in words:
        names = [other.word for other in background
                 if 2 * _overlap(word, other) > _frames(other) and other.word != BACKGROUND]
        if names != [word.word] and _frames(word) > longest:
            worst, longest, competitor = word, _frames(word), " ".join(names)
    if worst is None or worst.start is None or worst.end is None:
        return "", ()
    start, end = worst.start * frame_seconds, worst.end * frame_seconds
    found = repr(competitor) if competitor else "unknown speech"
    text = f": '{worst.word}' at {start:.2f}-{end:.2f} s fits worse than {found}"
    return text, ((start, end),)


def _overlap(one: WordSegment, other: WordSegment) -> int:
    start = max(one.start or 0, other.start or 0)
    return max(0, min(one.end or 0, other.end or 0) - start)


def _frames(word: WordSegment) -> int:
    return (word.end or 0) - (word.start or 0)

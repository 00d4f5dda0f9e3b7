"""The meaning of a whole lattice: its word strings are parsed, and their probabilities added.

Every word string has its exact probability, over all its pronunciations, silences and times. The
grammar parses it, if necessary with deletions, whose costs make it less likely. The probability of
a meaning is the sum over its strings. The rest belongs to speech without a meaning (the background
model, strings outside the grammar) and to strings left out, whose sum is known and never counted
for a meaning. A confidence is a lower bound, too low by at most that sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from factored_asr.errors import OptionError
from factored_asr.language.grammar.normalisation import tokens
from factored_asr.lattice import Lattice, Path, WordString, arc_posteriors, word_strings
from factored_asr.understanding.channel import deletions, noise
from factored_asr.understanding.interpretation import Interpretation
from factored_asr.understanding.parse import Understander
from factored_asr.understanding.spotted import Spotter


@dataclass(frozen=True)
class MeaningOptions:
    """How meanings of a lattice are ranked and accepted."""

    scale: float = 1.0
    """Multiplies every cost of the lattice, > 0, default 1; lower gives flatter probabilities."""
    n_strings: int = 100
    """Word strings parsed at most, default 100."""
    least: float = 1e-3
    """Probability of strings that may be left out, 0 to 1, default 0.001."""
    ask_below: float = 0.05
    """Ask if the margin of the best meaning is smaller, -1 to 1, default 0.05."""
    reject_below: float = 0.0
    """Reject the best meaning if its margin is smaller, default 0; at most `ask_below`."""

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf or self.n_strings < 1 or not 0 <= self.least <= 1:
            raise OptionError("scale must be above 0, n_strings at least 1, least 0 to 1")
        if not -1 <= self.reject_below <= self.ask_below <= 1:
            raise OptionError(
                "margins must be -1 to 1 and reject_below not above ask_below, got "
                f"{self.reject_below} and {self.ask_below}"
            )


DEFAULTS = MeaningOptions()


@dataclass(frozen=True)
class Meanings:
    """All possible meanings of an utterance."""

    ranked: tuple[Interpretation, ...]
    """Different meanings, best first, each with its confidence."""
    nothing: float
    """Probability of no meaning: background model, and sentences outside the grammar."""
    left_out: float
    """Probability of strings left out; all three parts sum to 1."""
    options: MeaningOptions = DEFAULTS

    @property
    def margin(self) -> float:
        """Return the best meaning's probability minus that of the next, or of none; -1 to 1."""
        likely = [each.confidence for each in self.ranked[:2]] + [0.0, 0.0]
        return likely[0] - max(likely[1], self.nothing)

    @property
    def best(self) -> Interpretation | None:
        """Return the best meaning with its alternatives; None if its margin is too small."""
        if not self.ranked or self.margin < self.options.reject_below:
            return None
        best, *others = self.ranked
        ask = self.margin < self.options.ask_below
        return replace(best, alternatives=tuple(others), ask=ask)


def interpret(
    lattice: Lattice, understander: Understander | Spotter,
    context: Mapping[str, object] | None = None, options: MeaningOptions = DEFAULTS,
    background: Path | None = None,
) -> Interpretation | None:
    """Return the best meaning of an utterance; None if there is none, or its margin is too small.

    Parameters are those of `meanings`; without a lattice, only the best path is parsed.
    """
    if len(lattice.node_frame):
        return meanings(lattice, understander, context, options, background).best
    segments = [each for each in lattice.best().segments if each.phones]
    words = tuple(each.word for each in segments)
    reading = _read(words, understander, context)
    seconds = lattice.frame_seconds or 0.0
    times = [((each.start or 0) * seconds, (each.end or 0) * seconds) for each in segments]
    return timed(reading, times) if reading and seconds else reading


def meanings(
    lattice: Lattice, understander: Understander | Spotter,
    context: Mapping[str, object] | None = None, options: MeaningOptions = DEFAULTS,
    background: Path | None = None,
) -> Meanings:
    """Return all possible meanings of an utterance, with probabilities.

    Parameters
    ----------
    lattice
        Of a search with a `lattice_beam`.
    understander
        Parses the word strings; an ambiguous string counts for its best reading.
    context
        What is known in addition to the words, as for `Understander.parse`.
    options
        How meanings are ranked and accepted.
    background
        The best path of the background model: speech without a meaning has its share.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> from factored_asr.language.grammar import Grammar
    >>> grammar = Grammar.from_text(
    ...     "#JSGF V1.0; grammar g; public <stop> = stop | halt; public <go> = go;")
    >>> text = "N=2 L=4 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\nJ=0 S=0 E=1 W=go a=-8 l=-1\\n"
    >>> text += "J=1 S=0 E=1 W=stop a=-8 l=-1.5\\nJ=2 S=0 E=1 W=halt a=-8 l=-1.5\\n"
    >>> text += "J=3 S=0 E=1 W=oh a=-8 l=-4\\n"
    >>> found = meanings(read_slf_text(text), Understander(grammar))
    >>> [(each.intent, each.text, round(each.confidence, 2)) for each in found.ranked]
    [('stop', 'stop', 0.54), ('go', 'go', 0.44)]
    """
    strings, left_out = word_strings(lattice, options.n_strings, scale=options.scale,
                                     least=options.least)
    read = [(string, _read(string.words, understander, context)) for string in strings]
    weights = [
        string.probability * math.exp(-options.scale * (reading.costs.channel if reading else 0.0))
        for string, reading in read
    ]
    outside = _outside(lattice, background, strings, options.scale)
    total = math.fsum([*weights, left_out, outside])
    groups: dict[object, list[tuple[float, int]]] = {}
    for i, (_, reading) in enumerate(read):
        if reading is not None:
            groups.setdefault(reading.meaning, []).append((weights[i], i))
    merged = (_merged(lattice, read, group, total) for group in groups.values())
    ranked = sorted(merged, key=lambda each: -each.confidence)
    nothing = math.fsum(w for w, (_, reading) in zip(weights, read, strict=True) if not reading)
    return Meanings(tuple(ranked), (nothing + outside) / total, left_out / total, options)


def timed(reading: Interpretation, times: Sequence[tuple[float, float]]) -> Interpretation:
    """Return a reading with the times of its slots, from those of each word in seconds."""
    spans = tuple(
        replace(slot, seconds=(times[slot.start][0], times[slot.end - 1][1]))
        if slot.start < slot.end <= len(times) else slot
        for slot in reading.spans
    )
    return replace(reading, spans=spans)


_Read = tuple[WordString, Interpretation | None]


def _read(
    text: tuple[str, ...], understander: Understander | Spotter,
    context: Mapping[str, object] | None,
) -> Interpretation | None:
    """Parse a string, if necessary with deletions."""
    reading = understander.parse(text, context) if text else None
    if reading is not None or not text:
        return reading
    words = [token.word for token in tokens(" ".join(text))]
    left_out = [*noise(words), *deletions(words)]
    return understander.parse(text, context, left_out) if left_out else None


def _outside(
    lattice: Lattice, background: Path | None, strings: Sequence[WordString], scale: float
) -> float:
    """Return the weight of the background's best path relative to that of all lattice paths."""
    if background is None or lattice.path is None or not strings:
        return 0.0
    cheapest = min(each.acoustic + each.graph for each in strings)  # path.cost by the arcs
    log_total = arc_posteriors(lattice, scale=scale).log_total
    behind = scale * (background.cost - lattice.path.cost + cheapest)
    return math.exp(min(-behind - log_total, 700.0))


def _merged(
    lattice: Lattice, read: Sequence[_Read], group: Sequence[tuple[float, int]], total: float
) -> Interpretation:
    """Return one meaning: its likeliest wording, with the probabilities of all wordings."""
    string, reading = read[max(group, key=lambda each: each[0])[1]]
    assert reading is not None
    if seconds := lattice.frame_seconds:
        starts, ends = (lattice.node_frame[at] for at in (lattice.arc_source, lattice.arc_target))
        arcs = [a for a in string.arcs if lattice.arc_word[a]]
        reading = timed(reading,
                        [(float(starts[a]) * seconds, float(ends[a]) * seconds) for a in arcs])
    confidence = min(1.0, math.fsum(weight for weight, _ in group) / total)
    trace = [f"grammar: {reading.template}", *reading.trace]
    trace += [f"hypothesis {' '.join(read[i][0].words)!r}: {weight / total:.3f}"
              for weight, i in sorted(group, reverse=True)]
    costs = replace(reading.costs, acoustic=string.acoustic, language=string.graph)
    return replace(reading, confidence=confidence, costs=costs, trace=tuple(trace))

"""What the whole lattice of an utterance means: readings of its word strings, weighed and added.

Every word string of the lattice has its exact probability, over all its pronunciations, silences
and times. It is read by the grammar, where need be through the channel, whose cost makes it less
likely. The probability of a meaning is the sum over all strings that mean it. The rest belongs to
speech without a meaning (the background beside a grammar, strings that the grammar does not have)
and to strings too improbable to be looked at, whose whole share is known and never counted
in favour of a meaning: a confidence is a lower bound, short of the truth by at most that share.
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


@dataclass(frozen=True)
class MeaningOptions:
    """How meanings of a lattice are weighed."""

    scale: float = 1.0
    """Multiplies every cost of the lattice, > 0; lower: flatter probabilities."""
    n_strings: int = 100
    """Word strings that are read, at most."""
    least: float = 1e-3
    """Probability that may be left out, 0 to 1."""
    ask_below: float = 0.05
    """With a smaller margin, -1 to 1, between the best meaning and what comes next: ask."""
    reject_below: float = 0.0
    """With a smaller margin: nothing was meant. Not above `ask_below`."""

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf or self.n_strings < 1 or not 0 <= self.least <= 1:
            raise OptionError("scale must be above 0, n_strings at least 1, least 0 to 1")
        if not -1 <= self.reject_below <= self.ask_below <= 1:
            raise OptionError(
                "margins must be -1 to 1 and reject_below not above ask_below, got "
                f"{self.reject_below} and {self.ask_below}"
            )


@dataclass(frozen=True)
class Meanings:
    """All that an utterance may mean."""

    ranked: tuple[Interpretation, ...]
    """Different meanings, best first, each with its confidence."""
    nothing: float
    """Probability of what has no meaning: background, and sentences the grammar lacks."""
    left_out: float
    """Probability of what was not looked at; all three parts sum to 1."""
    options: MeaningOptions = MeaningOptions()

    @property
    def margin(self) -> float:
        """How much likelier the best meaning is than the next one, or than none; -1 to 1."""
        likely = [each.confidence for each in self.ranked[:2]] + [0.0, 0.0]
        return likely[0] - max(likely[1], self.nothing)

    @property
    def best(self) -> Interpretation | None:
        """What was meant, with its alternatives; None where that is too unsure."""
        if not self.ranked or self.margin < self.options.reject_below:
            return None
        best, *others = self.ranked
        ask = self.margin < self.options.ask_below
        return replace(best, alternatives=tuple(others), ask=ask)


def interpret(
    lattice: Lattice,
    understander: Understander,
    context: Mapping[str, object] | None = None,
    options: MeaningOptions | None = None,
    background: Path | None = None,
) -> Interpretation | None:
    """What an utterance means; see `meanings`. None where nothing was meant, or that is unsure.

    Where the search kept no lattice, what its best path means.
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
    lattice: Lattice,
    understander: Understander,
    context: Mapping[str, object] | None = None,
    options: MeaningOptions | None = None,
    background: Path | None = None,
) -> Meanings:
    """All that an utterance may mean, with probabilities.

    Parameters
    ----------
    lattice
        Of a search with a `lattice_beam`; in it are those paths within the beam of the best.
    understander
        Reads the word strings; one that can be read in several ways counts for the best.
    context
        What is known besides the words, as for `Understander.parse`.
    options
        How they are weighed.
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
    >>> heard = meanings(read_slf_text(text), Understander(grammar))
    >>> [(each.intent, each.text, round(each.confidence, 2)) for each in heard.ranked]
    [('stop', 'stop', 0.54), ('go', 'go', 0.44)]
    """
    options = options or MeaningOptions()
    strings, left_out = word_strings(
        lattice, options.n_strings, scale=options.scale, least=options.least
    )
    read = [(string, _read(string.words, understander, context)) for string in strings]
    weights = [
        string.probability * math.exp(-options.scale * (reading.costs.channel if reading else 0.0))
        for string, reading in read
    ]
    outside = _outside(lattice, background, strings, options.scale)
    total = math.fsum([*weights, left_out, outside])
    sums: dict[object, list[tuple[float, int]]] = {}
    for i, (_, reading) in enumerate(read):
        if reading is not None:
            sums.setdefault(reading.meaning, []).append((weights[i], i))
    ranked = sorted(
        (_merged(lattice, read, group, total) for group in sums.values()),
        key=lambda each: -each.confidence,
    )
    nothing = math.fsum(w for w, (_, reading) in zip(weights, read, strict=True) if not reading)
    return Meanings(tuple(ranked), (nothing + outside) / total, left_out / total, options)


def timed(reading: Interpretation, times: Sequence[tuple[float, float]]) -> Interpretation:
    """The reading with the seconds of its slots, from those of each word of its text."""
    spans = tuple(
        replace(slot, seconds=(times[slot.start][0], times[slot.end - 1][1]))
        if slot.start < slot.end <= len(times) else slot
        for slot in reading.spans
    )
    return replace(reading, spans=spans)


_Read = tuple[WordString, Interpretation | None]


def _read(
    said: tuple[str, ...], understander: Understander, context: Mapping[str, object] | None
) -> Interpretation | None:
    """The reading of a string: as it is, or else with words left out."""
    if not said:
        return None
    reading = understander.parse(said, context)
    if reading is not None:
        return reading
    words = [token.word for token in tokens(" ".join(said))]
    left_out = [*noise(words), *deletions(words)]
    return understander.parse(said, context, left_out) if left_out else None


def _outside(
    lattice: Lattice, background: Path | None, strings: Sequence[WordString], scale: float
) -> float:
    """What the background's best path weighs, where all paths of the lattice together weigh 1."""
    if background is None or lattice.path is None or not strings:
        return 0.0
    cheapest = min(each.acoustic + each.graph for each in strings)  # path.cost, as the arcs count
    log_total = arc_posteriors(lattice, scale=scale).log_total
    behind = scale * (background.cost - lattice.path.cost + cheapest)
    return math.exp(min(-behind - log_total, 700.0))


def _merged(
    lattice: Lattice, read: Sequence[_Read], group: Sequence[tuple[float, int]], total: float
) -> Interpretation:
    """One meaning: its likeliest wording, with the probabilities of all of them."""
    string, reading = read[max(group, key=lambda each: each[0])[1]]
    assert reading is not None
    seconds = lattice.frame_seconds
    if seconds is not None:
        reading = timed(reading, _times(lattice, string, seconds))
    confidence = min(1.0, math.fsum(weight for weight, _ in group) / total)
    said = [f"grammar: {reading.template}", *reading.trace]
    said += [
        f"heard as {' '.join(read[i][0].words)!r}: {weight / total:.3f}"
        for weight, i in sorted(group, reverse=True)
    ]
    costs = replace(reading.costs, acoustic=string.acoustic, language=string.graph)
    return replace(reading, confidence=confidence, costs=costs, trace=tuple(said))


def _times(
    lattice: Lattice, string: WordString, frame_seconds: float
) -> list[tuple[float, float]]:
    """Start and end of each word of a string's cheapest path, in seconds."""
    arcs = [a for a in string.arcs if lattice.arc_word[a]]
    starts, ends = lattice.node_frame[lattice.arc_source], lattice.node_frame[lattice.arc_target]
    return [(float(starts[a]) * frame_seconds, float(ends[a]) * frame_seconds) for a in arcs]

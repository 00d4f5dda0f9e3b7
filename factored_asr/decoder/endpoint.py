"""When has the speaker finished? Kaldi's five rules over silence, final cost and length.

Source: Kaldi, ``online2/online-endpoint.h``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from factored_asr.errors import OptionError


@dataclass(frozen=True)
class EndpointRule:
    """An utterance ends where all of a rule's conditions hold.

    Examples
    --------
    >>> pause = EndpointRule(must_contain_speech=True, min_trailing_silence=0.5)
    >>> pause.holds(trailing_silence=0.6, relative_cost=0.0, length=2.0, has_speech=True)
    True
    >>> pause.holds(trailing_silence=0.6, relative_cost=0.0, length=2.0, has_speech=False)
    False
    """

    must_contain_speech: bool
    """Ask that something else than silence was decoded."""
    min_trailing_silence: float
    """Seconds of silence at the end; higher waits longer."""
    max_relative_cost: float = float("inf")
    """Cost by which ending now may lie behind going on; higher ends sooner."""
    min_length: float = 0.0
    """Seconds of audio; higher waits longer."""

    def __post_init__(self) -> None:
        for name in ("min_trailing_silence", "max_relative_cost", "min_length"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"{name} must be 0 or more, got {getattr(self, name)}")

    def holds(
        self, trailing_silence: float, relative_cost: float, length: float, has_speech: bool
    ) -> bool:
        """Seconds of silence at the end, cost of ending now, seconds in all, speech or none."""
        return (
            (has_speech or not self.must_contain_speech)
            and trailing_silence >= self.min_trailing_silence
            and relative_cost <= self.max_relative_cost
            and length >= self.min_length
        )


@dataclass(frozen=True)
class EndpointOptions:
    """The rules; an utterance ends when any of them holds.

    Examples
    --------
    >>> patient = EndpointOptions(likely_end=EndpointRule(True, 0.9, 2.0))
    >>> patient.likely_end.min_trailing_silence, patient.long_pause.min_trailing_silence
    (0.9, 2.0)
    """

    silence_only: EndpointRule = EndpointRule(False, 5.0)
    """Nothing was said for this long."""
    likely_end: EndpointRule = EndpointRule(True, 0.5, 2.0)
    """A short pause where the sentence very likely ends."""
    possible_end: EndpointRule = EndpointRule(True, 1.0, 8.0)
    """A longer pause where the sentence may end."""
    long_pause: EndpointRule = EndpointRule(True, 2.0)
    """A long pause, wherever it comes."""
    too_long: EndpointRule = EndpointRule(False, 0.0, min_length=20.0)
    """The utterance has gone on for long enough."""


def is_endpoint(
    trailing_silence: float, relative_cost: float, length: float, has_speech: bool | None = None,
    options: EndpointOptions | None = None,
) -> bool:
    """Return whether the utterance has ended.

    Parameters
    ----------
    trailing_silence
        Seconds of silence at the end of the best path so far.
    relative_cost
        How much worse the best token is that may end here (`Search.final_relative_cost`).
    length
        Seconds since the utterance began.
    has_speech
        Something else than silence was decoded; None: the silence is shorter than the whole.

    Examples
    --------
    >>> is_endpoint(trailing_silence=0.6, relative_cost=1.0, length=3.0)
    True
    >>> is_endpoint(trailing_silence=0.6, relative_cost=5.0, length=3.0)
    False
    """
    spoken = trailing_silence < length if has_speech is None else has_speech
    rules: Iterable[EndpointRule] = vars(options or EndpointOptions()).values()
    return any(rule.holds(trailing_silence, relative_cost, length, spoken) for rule in rules)

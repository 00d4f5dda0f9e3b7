"""What a dialogue expects next: weights of possible utterances, within limits.

A recogniser says how likely each reading of a sound is. What was just asked or done makes some of
them likelier: an answer after a question, "no" and "undo" after an action. Each reading's posterior
is multiplied by a factor of `LEAST` to `MOST`, which `Outcome.explain` shows.
"""

from __future__ import annotations

from dataclasses import dataclass

from factored_asr.dialogue.acts import Utterance
from factored_asr.graph import denies

LEAST, MOST = 0.25, 4.0
"""Limits of what is expected: it decides between readings that the sound leaves open."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A possible reading of an utterance."""

    utterance: Utterance
    posterior: float
    """By the recogniser."""
    factor: float = 1.0
    """How much it is expected, `LEAST` to `MOST`; 0 without acts, unless it denies something."""
    why: str = ""
    """Why it is expected, or not."""
    actions: tuple[str, ...] = ()
    """What would be done."""
    asks: bool = False
    """True if a question would be asked."""

    @property
    def weight(self) -> float:
        """Return the posterior times the factor."""
        return self.posterior * self.factor

    @property
    def effect(self) -> tuple[tuple[str, ...], bool]:
        """Return what it leads to; readings of the same effect count together."""
        return self.actions, self.asks


def expected(utterance: Utterance, asked: bool, done: bool, idle: bool) -> tuple[float, str]:
    """Return the factor of an utterance, and why.

    Parameters
    ----------
    asked
        A question is open.
    done
        Something was done before, which it may correct.
    idle
        It commands only what is so already.

    Examples
    --------
    >>> from factored_asr.dialogue.acts import act
    >>> expected(Utterance("yes", (act("confirm"),)), asked=True, done=False, idle=False)
    (4.0, 'answers the question')
    """
    kinds = {each.kind for each in utterance.acts}
    if not kinds:
        return (LEAST, "denies something") if denies(utterance.text) else (0.0, "says nothing")
    moves = kinds & {"command", "deny"}
    if asked and kinds & {"confirm", "correction"} and not moves:
        return MOST, "answers the question"
    if idle:
        return LEAST, "would change nothing"
    if not done and not asked and kinds <= {"confirm", "correction", "undo"}:
        return LEAST, "there is nothing to answer or to take back"
    if done and kinds & {"undo", "correction"}:
        return 2.0, "may take back what was done"
    return 1.0, ""

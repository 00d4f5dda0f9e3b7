"""Exercises: a task, the right answers on some inputs, and the mistakes that people make."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from factored_asr.errors import OptionError

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer, by which a checker recognises it.

    Examples
    --------
    >>> forgotten = Mistake("Divide by the number of words.", lambda log_probs: -sum(log_probs))
    >>> forgotten.answer([-1.0, -2.0])
    3.0
    """

    explanation: str
    """What is wrong, and what to do."""
    answer: Callable[..., Any]
    """The function as it is often written."""


@dataclass(frozen=True)
class Verdict:
    """What a checker found.

    Examples
    --------
    >>> Verdict("forward", True, "forward: all 3 answers are right.").right
    True
    """

    exercise: str
    """Name of the exercise's function."""
    right: bool
    """True if all answers are right."""
    message: str
    """What is wrong, with input, answer and expected value; or what is right."""


@dataclass(frozen=True)
class Exercise:
    """A function to write, with what is needed to check it.

    Examples
    --------
    >>> double = Exercise("double", "Return x + x.", lambda x: 2 * x, ((1,), (3,)),
    ...                   (Mistake("This is the square.", lambda x: x * x),))
    >>> double.check(lambda x: x + x).right
    True
    >>> print(double.check(lambda x: x**2).message)
    double(1) returned 1, but 2 is right. This is the square.
    """

    name: str
    """Name of the function."""
    task: str
    """What it gets and what it returns, with shapes and units."""
    expected: Callable[..., Any]
    """Computes the right answer in another way than a solution would: by definition, or by the
    library."""
    cases: Sequence[tuple[Any, ...]]
    """Arguments of each call."""
    mistakes: Sequence[Mistake]
    """Typical wrong answers."""

    def check(self, answer: Callable[..., Any]) -> Verdict:
        """Call a function on every case, and explain the first wrong answer.

        OptionError: `answer` is no function, or takes another number of arguments.
        """
        n_arguments = len(self.cases[0])
        if not callable(answer):
            raise OptionError(f"{self.name} must be a function, is {type(answer).__name__}")
        try:
            inspect.signature(answer).bind(*self.cases[0])
        except TypeError as error:
            raise OptionError(f"{self.name} must take {n_arguments} arguments: {error}") from None
        for case in self.cases:
            wanted = self.expected(*copy.deepcopy(case))
            try:
                given = answer(*copy.deepcopy(case))
            except Exception as error:  # whatever a learner's code raises is a finding
                return Verdict(self.name, False, f"{self._call(case)} raised "
                               f"{type(error).__name__}: {error}")  # fmt: skip
            if not same(given, wanted):
                message = (f"{self._call(case)} returned {shown(given)}, but {shown(wanted)} is "
                           f"right. {self._explain(answer, given, wanted)}")  # fmt: skip
                return Verdict(self.name, False, message.strip())
        return Verdict(self.name, True, f"{self.name}: all {len(self.cases)} answers are right.")

    def _call(self, case: tuple[Any, ...]) -> str:
        return f"{self.name}({', '.join(map(shown, case))})"

    def _explain(self, answer: Callable[..., Any], given: Any, wanted: Any) -> str:
        """Return the explanation of the mistake that gives the same answers, else of the shape."""
        for mistake in self.mistakes:
            if all(self._agree(answer, mistake.answer, case) for case in self.cases):
                return mistake.explanation
        if np.ndim(wanted) and np.shape(given) != np.shape(wanted):
            return f"The shape must be {np.shape(wanted)}, is {np.shape(given)}."
        return ""

    @staticmethod
    def _agree(one: Callable[..., Any], other: Callable[..., Any], case: tuple[Any, ...]) -> bool:
        try:
            return same(one(*copy.deepcopy(case)), other(*copy.deepcopy(case)))
        except Exception:  # one of them cannot answer: they do not agree
            return False


def same(given: Any, wanted: Any) -> bool:
    """True if two answers agree: numbers to `TOLERANCE`, all else exactly."""
    if isinstance(wanted, dict):
        return isinstance(given, dict) and given.keys() == wanted.keys() and all(
            same(given[key], wanted[key]) for key in wanted
        )
    if isinstance(wanted, set | str | bool | None.__class__):
        return bool(given == wanted) and isinstance(given, type(wanted))
    if isinstance(wanted, list | tuple) and not _is_numeric(wanted):
        return (isinstance(given, list | tuple) and len(given) == len(wanted)
                and all(map(same, given, wanted)))  # fmt: skip
    try:
        numbers, others = np.asarray(given, float), np.asarray(wanted, float)
    except (TypeError, ValueError):
        return False
    return numbers.shape == others.shape and np.allclose(
        numbers, others, rtol=TOLERANCE, atol=TOLERANCE
    )


def _is_numeric(value: Sequence[Any]) -> bool:
    try:
        return bool(np.asarray(value, float).size)
    except (TypeError, ValueError):
        return False


def shown(value: Any) -> str:
    """Return a value on one line, shortened."""
    if isinstance(value, np.ndarray):
        value = np.round(value, 4).tolist()
    elif isinstance(value, float | np.floating):
        value = round(float(value), 6)
    text = " ".join(repr(value).split())
    return text if len(text) <= 160 else f"{text[:150]} …"

"""The twelve lessons: where each page is, its exercises, and how a file of answers is checked."""

from __future__ import annotations

import re
import runpy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factored_asr.course import language, meaning, models, search, sound
from factored_asr.course.exercise import Exercise, Verdict
from factored_asr.errors import FormatError, MissingError, OptionError

FIGURE = re.compile(r"^```python\n(# figure\n.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Lesson:
    """A page of theory with its exercises.

    Examples
    --------
    >>> first = LESSONS[0]
    >>> first.title, [exercise.name for exercise in first.exercises]
    ('One hidden Markov model', ['forward', 'viterbi'])
    >>> [verdict.right for verdict in first.check("docs/course/solutions/lesson_01.py")]
    [True, True]
    """

    number: int
    """From 1."""
    title: str
    """As in the page's heading."""
    name: str
    """Of the page's file, without number and ending."""
    exercises: Sequence[Exercise]
    """In the order of the page."""

    @property
    def path(self) -> Path:
        """Where the page is: in the package once installed, else in docs/course."""
        file = f"{self.number:02}-{self.name}.md"
        inside = Path(__file__).parent / "pages" / file
        return inside if inside.is_file() else Path(__file__).parents[2] / "docs" / "course" / file

    def page(self) -> str:
        """Return the text of the page. MissingError: it is not there."""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise MissingError("the page of this lesson is not there", self.path) from None

    def check(self, file: str | Path) -> list[Verdict]:
        """Run a Python file and check its functions; return a verdict for each exercise.

        MissingError: there is no such file. FormatError: it cannot be run.
        """
        if not Path(file).is_file():
            raise MissingError("there is no such file of answers", file)
        try:
            answers = runpy.run_path(str(file))
        except Exception as error:  # whatever a learner's code raises is a finding
            raise FormatError(f"it cannot be run: {type(error).__name__}: {error}", file) from None
        return [
            each.check(answers[each.name]) if each.name in answers
            else Verdict(each.name, False, f"{each.name} is not in the file. {each.task}")
            for each in self.exercises
        ]  # fmt: skip

    def draw(self, file: str | Path) -> None:
        """Run the code of the page's figure, and write the figure.

        It runs the block that begins with ``# figure`` and defines ``drawing``, a figure of
        matplotlib. FormatError: the page has no such block. MissingError: matplotlib or a file of
        the repository is not there. OptionError: the figure cannot be written.
        """
        found = FIGURE.search(self.page())
        if found is None:
            raise FormatError("the page has no code of a figure", self.path)
        names: dict[str, Any] = {}
        try:
            exec(compile(found[1], str(self.path), "exec"), names)
        except ImportError:
            law = "figures need matplotlib: pip install 'factored-asr[plot]'"
            raise MissingError(law) from None
        except FileNotFoundError as error:
            raise MissingError("the figure reads this file of the repository: draw it in the "
                               "repository's folder", error.filename) from None
        try:
            names["drawing"].savefig(file, dpi=110)
        except (OSError, ValueError) as error:
            raise OptionError(f"{file}: cannot be written: {error}") from None


LESSONS = (
    Lesson(1, "One hidden Markov model", "one-hmm", models.ONE_HMM),
    Lesson(2, "Baum–Welch", "baum-welch", models.BAUM_WELCH),
    Lesson(3, "From sound to features", "features", sound.FEATURES),
    Lesson(4, "Gaussians and mixtures", "gaussians", sound.GAUSSIANS),
    Lesson(5, "Lexicon and triphones", "lexicon", language.LEXICON),
    Lesson(6, "n-grams", "ngrams", language.NGRAMS),
    Lesson(7, "Composition", "composition", search.COMPOSITION),
    Lesson(8, "Search, beams and lattices", "search", search.SEARCH),
    Lesson(9, "From monophones to networks", "training", models.TRAINING),
    Lesson(10, "The prior in noise", "noise", sound.NOISE),
    Lesson(11, "Meaning, negation and correction", "meaning", meaning.MEANING),
    Lesson(12, "Factored or end-to-end", "comparison", meaning.COMPARISON),
)
"""All lessons, in order."""


def lesson(number: int) -> Lesson:
    """Return a lesson by its number. OptionError: there is none of this number.

    Examples
    --------
    >>> lesson(8).title
    'Search, beams and lattices'
    """
    if not 1 <= number <= len(LESSONS):
        raise OptionError(f"lesson must be a number from 1 to {len(LESSONS)}, got {number}")
    return LESSONS[number - 1]

"""Untranscribed speech with the words of a teacher, another recogniser.

A teacher is wrong now and then. An utterance is kept where all of the teacher's words have a
pronunciation and where the student, a head trained already, recognises nearly the phones of these
words. Two systems that differ seldom make the same error (compare V. Manohar and others,
"Semi-supervised training of acoustic models using lattice-free MMI", 2018).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factored_asr.audio.reading import read_audio
from factored_asr.corpus.corpus import Corpus
from factored_asr.corpus.utterance import Utterance
from factored_asr.errors import FactoredASRError, OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training.ctc.variants import (
    greedy_phones,
    phone_errors,
    spoken_phones,
    variants_of,
)

Teacher = Callable[[np.ndarray], str]
"""Samples at the student's rate, (n_samples,) float32, to text."""
Student = Callable[[np.ndarray], np.ndarray]
"""The same samples to log probabilities, (n_frames, n_outputs)."""
LeftOut = Callable[[Path, str], None]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*", re.UNICODE)
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class AgreementOptions:
    """When an utterance of the teacher is kept."""

    phone_errors: float = 0.3
    """Errors of the student's phones against the teacher's words, for each phone; lower: fewer
    utterances, with fewer errors."""
    least_words: int = 2
    """Fewer words are no utterance to learn from: they are what noise is taken for."""
    longest: float = 30.0
    """Seconds; longer sounds must be cut."""

    def __post_init__(self) -> None:
        if self.phone_errors < 0 or self.least_words < 1 or self.longest <= 0:
            raise OptionError(f"{self}: no value may be negative, words and seconds not 0")


def words_of(text: str, lexicon: Lexicon) -> tuple[tuple[str, ...], str]:
    """Return the words of a text as the lexicon writes them, or none and why not.

    Examples
    --------
    >>> from factored_asr.lexicon import Pronunciation
    >>> lexicon = Lexicon({"tea": (Pronunciation(("T", "IY")),)})
    >>> words_of("Tea, tea!", lexicon)
    (('tea', 'tea'), '')
    >>> words_of("Tea for 2", lexicon)
    ((), "its text has digits: 'Tea for 2'")
    """
    if _DIGIT.search(text):
        return (), f"its text has digits: {text!r}"
    words = tuple(word.replace("’", "'").lower() for word in _WORD.findall(text))
    lacking = lexicon.missing(words)
    if lacking:
        return (), f"the lexicon lacks {', '.join(map(repr, lacking[:3]))}"
    return words, ""


def disagreement(
    words: Iterable[str], log_probs: np.ndarray, lexicon: Lexicon, phones: tuple[str, ...]
) -> float:
    """Return the student's phone errors against words, for each of their phones.

    Parameters
    ----------
    log_probs
        (n_frames, n_outputs) of the student, whose outputs are `phones`, the blank first.
    """
    spoken = spoken_phones(variants_of(words, lexicon, phones), log_probs)
    if spoken is None or not len(spoken):
        return float("inf")
    return phone_errors(spoken, greedy_phones(log_probs)) / len(spoken)


def taught(
    sounds: Iterable[str | Path], teacher: Teacher, student: Student, lexicon: Lexicon,
    phones: tuple[str, ...], sample_rate: int, options: AgreementOptions | None = None,
    left_out: LeftOut | None = None,
) -> Corpus:
    """Return the sounds on which teacher and student agree, with the teacher's words.

    Each sound is an utterance and counts as a speaker. One that cannot be read is left out.

    Parameters
    ----------
    left_out
        Called with every sound that is left out, and why; None disables it.
    """
    options, kept = options or AgreementOptions(), list[Utterance]()
    for path in map(Path, sounds):
        try:
            samples, _ = read_audio(path, sample_rate=sample_rate)
            words: tuple[str, ...] = ()
            why = f"lasts longer than {options.longest:g} s"
            if len(samples) <= options.longest * sample_rate:
                words, why = words_of(teacher(samples), lexicon)
            if not why and len(words) < options.least_words:
                why = f"the teacher recognises only {len(words)} words"
            if not why:
                wrong = disagreement(words, student(samples), lexicon, phones)
                if wrong > options.phone_errors:
                    why = f"the student disagrees: {100 * wrong:.0f} % phone errors"
        except FactoredASRError as error:
            words, why = (), str(error)
        if not why:
            kept.append(Utterance(str(path), str(path), words, path))
        elif left_out:
            left_out(path, why)
    return Corpus(tuple(kept), "speech with a teacher's words")

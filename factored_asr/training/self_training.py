"""Speech that nobody has transcribed, to learn from: heard through a grammar, kept where sure.

A grammar knows what may be said, so what it hears is mostly right; what it hears with little
confidence is left out, and the rest is as good as transcribed (G. Zavaliagkos and T. Colthurst,
"Utilizing untranscribed training data to improve performance", 1998; with confidences, F. Wessel
and H. Ney, "Unsupervised training of acoustic models for large vocabulary continuous speech
recognition", 2005).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from factored_asr.corpus.corpus import Corpus
from factored_asr.corpus.utterance import Utterance
from factored_asr.errors import FactoredASRError, OptionError
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.results.transcript import Transcript

AROUND = 0.4
"""Seconds kept before the first word and after the last: silence, too, is worth learning."""

Tell = Callable[[Path, str], None]


def self_transcribed(
    recognizer: Recognizer,
    sounds: Iterable[str | Path],
    least_confidence: float = 0.9,
    left_out: Tell | None = None,
) -> Corpus:
    """Sounds with the words that a recogniser is sure to have heard in them.

    Each sound counts as a speaker of its own, as nobody says who speaks.

    Parameters
    ----------
    recognizer
        It gives confidences. Best with a grammar: with an n-gram model it is seldom sure.
    sounds
        Paths of sounds or cepstra, one utterance each.
    least_confidence
        Of the least sure word, 0 to 1. Higher: fewer sounds, fewer errors among them.
    left_out
        Is told of every sound that is not kept, and why.

    Raises
    ------
    OptionError
        The confidence lies outside [0, 1], the recogniser gives none, or not one sound is kept.

    Examples
    --------
    >>> from factored_asr.lattice import SecondPassOptions
    >>> sure = SecondPassOptions(confidences=True)
    >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml", second_pass=sure)
    >>> heard = self_transcribed(recognizer, ["examples/audio/kitchen_light_on.wav"])
    >>> heard.utterances[0].text
    'turn on the kitchen light'
    """
    if not recognizer.options.second_pass.confidences:
        raise OptionError("the recogniser gives no confidences: see SecondPassOptions")
    if not 0 <= least_confidence <= 1:
        raise OptionError(f"least_confidence is {least_confidence}, must lie in [0, 1]")
    kept = list[Utterance]()
    for path in map(Path, sounds):
        try:
            said = recognizer.transcribe(path)
        except FactoredASRError as error:
            said = Transcript((), 0.0, reason=str(error))
        if not (why := _doubt(said, least_confidence)):
            kept.append(_utterance(path, said))
        elif left_out:
            left_out(path, why)
    if not kept:
        raise OptionError(f"no sound is heard with a confidence of {least_confidence:g} or more")
    return Corpus(tuple(kept), "what was heard")


def _doubt(said: Transcript, least: float) -> str:
    """Why a transcript is not to be believed; empty where it is."""
    if not said.words:
        return said.reason
    worst = min(said.words, key=lambda word: word.confidence or 0.0)
    if (worst.confidence or 0.0) >= least:
        return ""
    return f"'{worst.text}' is heard with a confidence of only {worst.confidence or 0.0:.2f}"


def _utterance(path: Path, said: Transcript) -> Utterance:
    start, end = said.words[0].start - AROUND, said.words[-1].end + AROUND
    words = tuple(word.text for word in said.words)
    return Utterance(str(path), str(path), words, path, max(start, 0.0), min(end, said.duration))

"""Self-training: a corpus of untranscribed speech with the words that a grammar recognises.

A grammar limits what can be recognised, so most hypotheses are right. Those of low confidence are
left out (G. Zavaliagkos and T. Colthurst, "Utilizing untranscribed training data to improve
performance", 1998; with confidences, F. Wessel and H. Ney, "Unsupervised training of acoustic
models for large vocabulary continuous speech recognition", 2005).
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
"""Seconds kept before the first word and after the last, to learn silence, too."""

Tell = Callable[[Path, str], None]


def self_transcribed(
    recognizer: Recognizer, sounds: Iterable[str | Path], least_confidence: float = 0.9,
    left_out: Tell | None = None,
) -> Corpus:
    """Return the sounds that a recogniser transcribes with confidence, with their words.

    The recogniser gives confidences, best with a grammar: those of n-gram models are often low.
    Each sound is an utterance and counts as a speaker. `least_confidence` is the lowest of a word,
    0 to 1; higher: fewer sounds with fewer errors. `left_out` is called with every sound that is
    left out, and why. Raises OptionError if the confidence lies outside [0, 1], the recogniser
    gives none, or no sound is kept.

    Examples
    --------
    >>> from factored_asr.lattice import SecondPassOptions
    >>> sure = SecondPassOptions(confidences=True)
    >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml", second_pass=sure)
    >>> corpus = self_transcribed(recognizer, ["examples/audio/kitchen_light_on.wav"])
    >>> corpus.utterances[0].text
    'turn on the kitchen light'
    """
    if not recognizer.options.second_pass.confidences:
        raise OptionError("the recogniser gives no confidences: see SecondPassOptions")
    if not 0 <= least_confidence <= 1:
        raise OptionError(f"least_confidence is {least_confidence}, must lie in [0, 1]")
    kept = list[Utterance]()
    for path in map(Path, sounds):
        try:
            transcript = recognizer.transcribe(path)
        except FactoredASRError as error:
            transcript = Transcript((), 0.0, reason=str(error))
        if not (why := _doubt(transcript, least_confidence)):
            kept.append(_utterance(path, transcript))
        elif left_out:
            left_out(path, why)
    if not kept:
        raise OptionError(f"no sound has a confidence of {least_confidence:g} or more")
    return Corpus(tuple(kept), "recognised sounds")


def _doubt(transcript: Transcript, least: float) -> str:
    """Return why a transcript is left out; empty where it is not."""
    if not transcript.words:
        return transcript.reason
    worst = min(transcript.words, key=lambda word: word.confidence or 0.0)
    if (worst.confidence or 0.0) >= least:
        return ""
    return f"'{worst.text}' has a confidence of only {worst.confidence or 0.0:.2f}"


def _utterance(path: Path, transcript: Transcript) -> Utterance:
    start, end = transcript.words[0].start - AROUND, transcript.words[-1].end + AROUND
    words = tuple(word.text for word in transcript.words)
    end = min(end, transcript.duration)
    return Utterance(str(path), str(path), words, path, max(start, 0.0), end)

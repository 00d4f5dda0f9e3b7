"""Decoding a corpus and counting what went wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, get_args

import numpy as np

from factored_asr.acoustic.model import AcousticModel, Frames
from factored_asr.acoustic.threads import blas_threads
from factored_asr.corpus.corpus import Corpus, MeanOver
from factored_asr.corpus.utterance import Utterance, frames_of, read_samples
from factored_asr.errors import OptionError
from factored_asr.evaluation import scoring
from factored_asr.evaluation.normalise import Rules
from factored_asr.evaluation.scoring import Bootstrap, Errors, Scored, Unit, score
from factored_asr.lexicon import Lexicon
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.recognizer.speaker import SpeakerOptions
from factored_asr.results.transcript import Transcript

Tick = Callable[[int, int], None]
"""Progress callback: utterances done, and of how many."""


@dataclass(frozen=True)
class Evaluation:
    """The errors of a recogniser on a corpus.

    Examples
    --------
    >>> from factored_asr.evaluation.scoring import bootstrap, score
    >>> scored = (score("1", "ann", ["turn", "it", "on"], ["turn", "on"]),)
    >>> found = Evaluation(scored, bootstrap(scored), seconds=2.0, work_seconds=0.1)
    >>> found.errors.total, list(found.by_speaker)
    (1, ['ann'])
    """

    scored: tuple[Scored, ...]
    """Every utterance, in the corpus's order."""
    interval: Bootstrap
    """Of the word error rate."""
    seconds: float
    """Of speech."""
    work_seconds: float
    """Of decoding, by the clock."""
    phones: Errors | None = None
    """Of the recognised phones, against the nearest pronunciation of the reference."""
    about: dict[str, Any] = field(default_factory=dict)
    """What was evaluated: model, corpus, settings, rules."""
    rules: str = ""
    """The rules that made texts comparable, for people."""

    @cached_property
    def errors(self) -> Errors:
        """Of all utterances."""
        return scoring.total(self.scored)

    @cached_property
    def by_speaker(self) -> dict[str, Errors]:
        """Of each speaker, sorted."""
        return scoring.by_speaker(self.scored)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "wer": self.errors.rate, **asdict(self.errors), "interval": asdict(self.interval),
            "phones": self.phones and {"per": self.phones.rate, **asdict(self.phones)},
            "seconds": self.seconds, "work_seconds": self.work_seconds, "about": self.about,
            "speakers": {
                name: {"wer": errors.rate, **asdict(errors)}
                for name, errors in self.by_speaker.items()
            },
            "utterances": [
                {"id": s.id, "speaker": s.speaker, "said": s.reference, "heard": s.hypothesis,
                 "pairs": s.pairs} for s in self.scored
            ],
        }

    def to_json(self) -> str:
        """Return one JSON object."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def describe(self, alignments: bool = True) -> str:
        """Return as text the sum, each speaker, and the alignment of utterances with errors."""
        wrong = [s for s in self.scored if s.errors.total] if alignments else []
        speed = self.work_seconds / self.seconds if self.seconds else float("nan")
        return "\n".join([
            *(f"{s.id} ({s.speaker})\n{s.describe()}\n" for s in wrong),
            scoring.speaker_table(self.scored),
            f"WER {self.errors.describe('words')} in {len(self.scored)} utterances",
            str(self.interval), *([f"PER {self.phones.describe('phones')}"] if self.phones else []),
            f"{self.seconds:.0f} s of speech, decoded at {speed:.3f} x real time",
            *([self.rules] if self.rules else []),
        ])


def evaluate(
    recognizer: Recognizer, corpus: Corpus, *, adapt: SpeakerOptions | None = None, jobs: int = 1,
    mean_over: MeanOver = "utterance", lexicon: Lexicon | None = None,
    unit: Unit | None = None, seed: int = 0, rules: Rules | None = None,
    tick: Tick | None = None, about: dict[str, Any] | None = None,
) -> Evaluation:
    """Decode a corpus and score it; OptionError if it has no words.

    Parameters
    ----------
    corpus
        Utterances with audio or feature files; all must be readable (see `check`).
    adapt
        How to adapt to each speaker, by a first pass over all the speaker's utterances; None
        (default): do not adapt.
    jobs
        Utterances (or speakers) decoded at once, in threads, which share model and graph.
    mean_over
        Normalise each utterance by itself (default) or by all of its speaker, as in training.
    lexicon
        Pronunciations of the references; with them errors of phones are counted, too.
    unit, seed
        Of the interval: see `bootstrap`.
    rules
        Rules that make references and hypotheses comparable; None: case is ignored.
    tick
        Called after each utterance, or after each speaker's utterances.

    Examples
    --------
    >>> from pathlib import Path
    >>> from factored_asr.corpus import Corpus, Utterance
    >>> from factored_asr.recognizer import Recognizer
    >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
    >>> sound = Path("examples/audio/music_stop.wav")
    >>> said = Utterance("1", "ann", ("stop", "the", "music"), sound)
    >>> evaluate(recognizer, Corpus((said,))).errors.rate
    0.0
    """
    if not len(corpus):
        raise OptionError(f"{corpus.name}: nothing to evaluate")
    begin = time.perf_counter()
    transcripts = transcribe_all(recognizer, corpus, adapt, jobs, mean_over, tick)
    took = time.perf_counter() - begin
    rules = rules or Rules()
    scored = score_all(corpus, transcripts, rules)
    interval = scoring.bootstrap(scored, unit, seed=seed)
    phones = None if lexicon is None else phone_errors(corpus, transcripts, lexicon)
    seconds = sum(each.duration for each in transcripts)
    about = {**(about or {}), "rules": rules.to_dict()}
    return Evaluation(scored, interval, seconds, took, phones, about, str(rules))


def phone_errors(corpus: Corpus, transcripts: Sequence[Transcript], lexicon: Lexicon) -> Errors:
    """Count errors of phones against the nearest pronunciations of the reference."""
    errors = Errors()
    for utterance, transcript in zip(corpus, transcripts, strict=True):
        phones = [phone for word in transcript.words for phone in word.phones]
        reference = scoring.nearest_pronunciation(utterance.words, phones, lexicon)
        errors += score(utterance.id, utterance.speaker, reference, phones).errors
    return errors


def score_all(
    corpus: Corpus, transcripts: Sequence[Transcript], rules: Rules | None = None
) -> tuple[Scored, ...]:
    """Score the transcript of every utterance; None: case is ignored."""
    rules, pairs = rules or Rules(), zip(corpus, transcripts, strict=True)
    return tuple(
        score(u.id, u.speaker, rules.apply(u.text), rules.apply(t.text), fold_case=False)
        for u, t in pairs
    )


def transcribe_all(
    recognizer: Recognizer, corpus: Corpus, adapt: SpeakerOptions | None = None, jobs: int = 1,
    mean_over: MeanOver = "utterance", tick: Tick | None = None,
) -> list[Transcript]:
    """Transcribe every utterance, in order; for the parameters see `evaluate`."""
    if mean_over not in get_args(MeanOver):
        raise OptionError(f"mean_over is {mean_over!r}, must be utterance or speaker")
    groups = [[u] for u in corpus]
    if adapt or mean_over == "speaker":
        groups = [[u for u in corpus if u.speaker == speaker] for speaker in corpus.speakers]

    def decode(group: list[Utterance]) -> list[Transcript]:
        sounds = [sound_of(each, recognizer.model) for each in group]
        voice = for_speaker(recognizer, sounds, adapt, mean_over)
        return [voice.pipeline.transcribe(sound, voice.model.sample_rate) for sound in sounds]

    done: dict[str, Transcript] = {}
    for group, transcripts in zip(groups, in_threads(decode, groups, jobs), strict=True):
        done.update(zip((u.id for u in group), transcripts, strict=True))
        if tick:
            tick(len(done), len(corpus))
    return [done[u.id] for u in corpus]


def for_speaker(
    recognizer: Recognizer, sounds: Sequence[np.ndarray | Frames],
    adapt: SpeakerOptions | None = None, mean_over: MeanOver = "utterance",
) -> Recognizer:
    """Return the recogniser as it is for the speaker of these sounds (arrays at its rate)."""
    rate = recognizer.model.sample_rate
    if mean_over == "speaker":
        recognizer = recognizer.normalised_over(sounds, sample_rate=rate)
    if adapt:
        recognizer = recognizer.adapted(sounds, adapt, sample_rate=rate)
    return recognizer


def sound_of(utterance: Utterance, model: AcousticModel) -> np.ndarray | Frames:
    """Read the samples of an utterance, or its ready-made frames where the corpus has these."""
    if utterance.kind == "audio":
        return read_samples(utterance, model.sample_rate)
    frames = model.read_frames(utterance.path)
    stretch = frames_of(utterance, frames.seconds, len(frames.values))
    return replace(frames, values=frames.values[stretch])


def in_threads(function: Callable[[Any], Any], tasks: Iterable[Any], jobs: int) -> Iterator[Any]:
    """``map``, with several tasks worked on at once."""
    from joblib import Parallel, delayed

    with blas_threads():
        parallel = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
        yield from parallel(delayed(function)(task) for task in tasks)

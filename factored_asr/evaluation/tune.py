"""How much the language weighs against the sound, found on speakers that were not trained on.

One setting is swept after the other, the language model's scale first: errors are a smooth valley
around the best pair, and a whole grid would only cost more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from factored_asr.acoustic import AcousticModel
from factored_asr.bundle import DecodeOptions
from factored_asr.errors import OptionError
from factored_asr.evaluation.evaluate import in_threads, score_all, transcribe_all
from factored_asr.evaluation.scoring import Errors, total
from factored_asr.graph import Graph, build_graph
from factored_asr.language import Grammar, NGramModel
from factored_asr.lexicon import Lexicon
from factored_asr.recognizer import Recognizer
from factored_asr.speaker import SpeakerOptions, adapt_to_speaker
from factored_asr.training.data import TrainingData, dynamic

LM_SCALES = (3.0, 4.5, 6.0, 8.0, 10.0, 13.0, 17.0)
WORD_PENALTIES = (-4.0, -2.0, 0.0, 2.0, 4.0)


@dataclass(frozen=True)
class Tried:
    """One setting and its errors."""

    lm_scale: float
    word_penalty: float
    errors: Errors

    def __str__(self) -> str:
        return (f"LM scale {self.lm_scale:g}, word penalty {self.word_penalty:g}: "
                f"WER {100 * self.errors.rate:.2f} %")


@dataclass(frozen=True)
class Tuning:
    """The settings that erred least, and all that were tried."""

    options: DecodeOptions
    tried: tuple[Tried, ...]

    @property
    def best(self) -> Tried:
        """The one of fewest errors; of several, the first."""
        return min(self.tried, key=lambda each: each.errors.total)


def tune(
    model: AcousticModel, lexicon: Lexicon, language: NGramModel | Grammar, data: TrainingData,
    start: DecodeOptions, *, adapt: SpeakerOptions | None = None, jobs: int = 1,
    lm_scales: Iterable[float] = LM_SCALES, word_penalties: Iterable[float] = WORD_PENALTIES,
    report: Callable[[Tried], object] | None = None,
) -> Tuning:
    """Find the scale and the word penalty that err least.

    Parameters
    ----------
    data
        Utterances of speakers that the model was not trained on.
    start
        Where to begin: its other options are kept.
    adapt
        How to adapt to each speaker, once, at the starting point.
    report
        Is told of each setting that was tried.

    Raises
    ------
    OptionError
        Nothing to tune on.
    """
    if not len(data):
        raise OptionError("nothing to tune on")
    voices: dict[str, AcousticModel] = {}
    tried: dict[tuple[float, float], Tried] = {}

    def attempt(lm_scale: float, graph: Graph, word_penalty: float) -> None:
        if (lm_scale, word_penalty) in tried:
            return
        options = replace(start, acoustic_scale=1 / lm_scale)
        errors = _errors(model, graph, options, data, voices, jobs)
        tried[lm_scale, word_penalty] = Tried(lm_scale, word_penalty, errors)
        if report:
            report(tried[lm_scale, word_penalty])

    def compile_with(word_penalty: float) -> Graph:
        return build_graph(
            model, lexicon, language, replace(start.graph, word_penalty=word_penalty)
        )

    first = start.graph.word_penalty
    graph = compile_with(first)
    if adapt:
        voices = _voices(model, graph, data, start, adapt, jobs)
    for lm_scale in lm_scales:
        attempt(lm_scale, graph, first)
    best = min(tried.values(), key=lambda each: each.errors.total).lm_scale
    for penalty in word_penalties:
        if (best, penalty) not in tried:
            attempt(best, compile_with(penalty), penalty)
    chosen = min(tried.values(), key=lambda each: each.errors.total)
    options = replace(
        start, acoustic_scale=1 / chosen.lm_scale,
        graph=replace(start.graph, word_penalty=chosen.word_penalty),
    )
    return Tuning(options, tuple(tried.values()))


def _voices(
    model: AcousticModel, graph: Graph, data: TrainingData, options: DecodeOptions,
    adapt: SpeakerOptions, jobs: int,
) -> dict[str, AcousticModel]:
    """The model as it is for each speaker."""

    def of(speaker: str) -> AcousticModel:
        features = [dynamic(cepstra, model.features) for u, cepstra in
                    zip(data.utterances, data.cepstra, strict=True) if u.speaker == speaker]
        return adapt_to_speaker(model, graph, features, options, adapt)

    return dict(zip(data.speakers, in_threads(of, data.speakers, jobs), strict=True))


def _errors(
    model: AcousticModel, graph: Graph, options: DecodeOptions, data: TrainingData,
    voices: dict[str, AcousticModel], jobs: int,
) -> Errors:
    if not voices:
        recognizer = Recognizer(model, graph, options)
        return total(score_all(data, transcribe_all(recognizer, data, jobs=jobs)))
    errors = Errors()
    for speaker, voice in voices.items():
        own = data.select([i for i, u in enumerate(data.utterances) if u.speaker == speaker])
        heard = transcribe_all(Recognizer(voice, graph, options), own, jobs=jobs)
        errors += total(score_all(own, heard))
    return errors

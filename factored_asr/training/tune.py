"""Tuning of language model scale and word penalty, on speakers that were not trained on.

All scales are tried; from the best one a walk moves to a lower or higher word penalty or to the
next scale, or both, as long as errors fall. Errors form a smooth diagonal valley: a full grid only
costs more, and tuning one setting at a time stops too early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from factored_asr.acoustic.model import AcousticModel
from factored_asr.corpus.corpus import Corpus, MeanOver
from factored_asr.errors import OptionError
from factored_asr.evaluation.evaluate import (
    for_speaker,
    in_threads,
    score_all,
    sound_of,
    transcribe_all,
)
from factored_asr.evaluation.scoring import Errors, total
from factored_asr.graph import Graph, build_graph
from factored_asr.language import Grammar, NGramModel
from factored_asr.lexicon import Lexicon
from factored_asr.models.settings import DecodeOptions
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.recognizer.speaker import SpeakerOptions

LM_SCALES = (3.0, 4.5, 6.0, 8.0, 10.0, 13.0, 17.0)
CHAIN_SCALES = (0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2)
"""LM scales tried for chain models; on AN4 0.3 is best."""
PENALTY_STEP = 2.0


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
    """The settings with fewest errors, and all that were tried."""

    options: DecodeOptions
    tried: tuple[Tried, ...]

    @property
    def best(self) -> Tried:
        """Return the setting with fewest errors; of several, the first."""
        return min(self.tried, key=lambda each: each.errors.total)


def tune(
    model: AcousticModel, lexicon: Lexicon, language: NGramModel | Grammar, corpus: Corpus,
    start: DecodeOptions, *, mean_over: MeanOver = "utterance",
    adapt: SpeakerOptions | None = None, jobs: int = 1,
    lm_scales: Sequence[float] = LM_SCALES, penalty_step: float = PENALTY_STEP,
    report: Callable[[Tried], object] | None = None,
) -> Tuning:
    """Find the scale and the word penalty with fewest errors.

    `corpus` has speakers that the model was not trained on. The other options of `start` are kept.
    `mean_over` normalises each utterance by itself, or by all that its speaker says; `adapt` is how
    the model is adapted to each speaker, once, at the start. `lm_scales` are tried in ascending
    order; a lower `penalty_step`, > 0, is finer and slower. `report` is called with each setting.
    Raises OptionError for nothing to tune on, no scales, or a step that is not above 0.
    """
    scales = tuple(lm_scales)
    if not len(corpus):
        raise OptionError("nothing to tune on")
    if not scales or not penalty_step > 0:
        raise OptionError(f"tuning needs LM scales and a penalty_step above 0, got {penalty_step}")
    voices: dict[str, AcousticModel] = {}
    tried: dict[tuple[int, int], Tried] = {}

    @lru_cache(maxsize=3)
    def compiled(steps: int) -> Graph:
        return build_graph(model, lexicon, language, options_of(0, steps).graph)

    def options_of(rank: int, steps: int) -> DecodeOptions:
        penalty = start.graph.word_penalty + steps * penalty_step
        graph = replace(start.graph, word_penalty=penalty)
        return replace(start, acoustic_scale=1 / scales[rank], graph=graph)

    def errors(place: tuple[int, int]) -> int:
        if place not in tried:
            options = options_of(*place)
            found = _errors(model, compiled(place[1]), options, corpus, voices, jobs)
            tried[place] = Tried(scales[place[0]], options.graph.word_penalty, found)
            if report:
                report(tried[place])
        return tried[place].errors.total

    if adapt or mean_over == "speaker":
        voices = _voices(model, compiled(0), corpus, start, adapt, mean_over, jobs)
    best = min(((rank, 0) for rank in range(len(scales))), key=errors)
    while True:
        rank, steps = best
        around = [(rank, steps + 1), (rank, steps - 1), (rank - 1, steps), (rank + 1, steps),
                  (rank - 1, steps + 1), (rank + 1, steps - 1)]  # fmt: skip
        best = min((best, *(place for place in around if 0 <= place[0] < len(scales))), key=errors)
        if best == (rank, steps):
            return Tuning(options_of(*best), tuple(tried.values()))


def _voices(
    model: AcousticModel, graph: Graph, corpus: Corpus, options: DecodeOptions,
    adapt: SpeakerOptions | None, mean_over: MeanOver, jobs: int,
) -> dict[str, AcousticModel]:
    """Return the model of each speaker."""
    recognizer = Recognizer(model, graph, options)

    def of(speaker: str) -> AcousticModel:
        sounds = [sound_of(each, model) for each in corpus if each.speaker == speaker]
        return for_speaker(recognizer, sounds, adapt, mean_over).model

    return dict(zip(corpus.speakers, in_threads(of, corpus.speakers, jobs), strict=True))


def _errors(
    model: AcousticModel, graph: Graph, options: DecodeOptions, corpus: Corpus,
    voices: dict[str, AcousticModel], jobs: int,
) -> Errors:
    errors = Errors()
    parts = [(voice, corpus.select([who])) for who, voice in voices.items()] or [(model, corpus)]
    for voice, part in parts:
        transcripts = transcribe_all(Recognizer(voice, graph, options), part, jobs=jobs)
        errors += total(score_all(part, transcripts))
    return errors

"""The routes by which a sound is recognised, held against one another.

A path, an array, a file object; ready-made frames of a GMM; a stream that re-decodes, in chunks of
any size; batch; evaluate; explain; a server. And a stream without re-decoding agrees with itself in
any chunking.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from factored_asr import Recognizer, Transcript
from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.hybrid import HybridModel
from factored_asr.acoustic.model import Frames
from factored_asr.batch import BatchOptions, CutOptions
from factored_asr.batch.inputs import Input
from factored_asr.batch.work import transcribe_input
from factored_asr.corpus import Corpus, Utterance
from factored_asr.evaluation.evaluate import transcribe_all
from factored_asr.explain import ExplainOptions, explain
from factored_asr.server.modes import Mode

RATE = 16000


@dataclass(frozen=True)
class Result:
    """What must be equal."""

    words: tuple[str, ...]
    times: tuple[tuple[float, float], ...]
    confidences: tuple[float | None, ...]
    reason: str
    cost: float | None
    meaning: tuple[str, dict[str, object]] | None = None

    @staticmethod
    def of(said: Transcript) -> Result:
        path = said.lattice.best() if said.lattice is not None else None
        meant = said.interpretation
        return Result(
            tuple(word.text for word in said.words),
            tuple((word.start, word.end) for word in said.words),
            tuple(word.confidence for word in said.words), said.reason, path and path.cost,
            meant and (meant.intent, dict(meant.slots)),
        )

    def check(self, other: Result, cost: bool = True) -> None:
        assert (self.words, self.reason) == (other.words, other.reason)
        assert self.meaning == other.meaning
        np.testing.assert_allclose(self.times, other.times, atol=1e-6)
        for one, two in zip(self.confidences, other.confidences, strict=True):
            assert one == two or abs((one or 0.0) - (two or 0.0)) < 1e-4
        if cost and self.cost is not None and np.isfinite(self.cost):
            assert other.cost == pytest.approx(self.cost, abs=1e-4, rel=1e-6)


def stream_of(recognizer: Recognizer, samples: np.ndarray, chunk: int, redecode: bool) -> Result:
    stream = recognizer.stream(redecode=redecode)
    for first in range(0, len(samples), chunk):
        stream.accept(samples[first : first + chunk])
    return Result.of(stream.finish())


def frames_of(recognizer: Recognizer, samples: np.ndarray) -> Frames | None:
    model = recognizer.model.gmm if isinstance(recognizer.model, HybridModel) else recognizer.model
    if not isinstance(model, GmmModel):
        return None  # a network takes sound alone
    return Frames(model.front_end.cepstra(samples))


def batch_of(recognizer: Recognizer, samples: np.ndarray, folder: Path) -> Transcript:
    file = folder / "sound.wav"
    soundfile.write(file, samples, RATE, subtype="FLOAT")
    done = transcribe_input(
        recognizer, Input(str(file), ""), BatchOptions(format="json", cut=CutOptions())
    )
    assert not done.error
    return Transcript.from_json(done.text)


def evaluated(recognizer: Recognizer, samples: np.ndarray, folder: Path) -> Transcript:
    file = folder / "utterance.wav"
    soundfile.write(file, samples, RATE, subtype="FLOAT")
    return transcribe_all(recognizer, Corpus((Utterance("u", "s", ("go",), file),)))[0]


def check_routes(recognizer: Recognizer, samples: np.ndarray, folder: Path) -> Result:
    """Hold all routes against an array given whole."""
    expected = Result.of(recognizer.transcribe(samples, sample_rate=RATE))
    wav = io.BytesIO()
    soundfile.write(wav, samples, RATE, format="WAV", subtype="FLOAT")
    wav.seek(0)
    expected.check(Result.of(recognizer.transcribe(wav)))
    if frames := frames_of(recognizer, samples):
        expected.check(Result.of(recognizer.transcribe(frames)))
    for chunk in (1600, 4097):
        expected.check(stream_of(recognizer, samples, chunk, redecode=True))
    expected.check(Result.of(evaluated(recognizer, samples, folder)))
    rounded = Result.of(batch_of(recognizer, samples, folder))  # JSON rounds to a millisecond
    assert (rounded.words, rounded.reason) == (expected.words, expected.reason)
    assert rounded.meaning == expected.meaning
    if recognizer.recipe is not None:
        explained = explain(
            recognizer, samples, sample_rate=RATE, options=ExplainOptions(without=())
        )
        expected.check(Result.of(explained.transcript))
        if explained.parts:
            assert explained.cost == pytest.approx(expected.cost, abs=1e-4, rel=1e-6)
            assert explained.is_rejected == bool(
                expected.reason and recognizer.background is not None
            )
    whole = stream_of(recognizer, samples, len(samples), redecode=False)
    whole.check(stream_of(recognizer, samples, 777, redecode=False))
    return expected


def check_server(recognizer: Recognizer, samples: np.ndarray) -> Result:
    """Hold uploads and streams of a server's mode against an array given whole."""
    expected = Result.of(recognizer.transcribe(samples, sample_rate=RATE))
    wav = io.BytesIO()
    soundfile.write(wav, samples, RATE, format="WAV", subtype="FLOAT")
    wav.seek(0)
    mode = Mode.of("any", recognizer)
    stream = mode.stream()
    stream.accept(samples)
    for said in (*mode.parts(wav, 60.0), stream.finish()):
        served = Result.of(said)
        assert (served.words, served.meaning) == (expected.words, expected.meaning)
        np.testing.assert_allclose(served.times, expected.times, atol=1e-6)
    return expected

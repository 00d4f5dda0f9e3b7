"""Training data: utterances with their words and their cepstra, normalised.

Cepstra are kept, features are computed on request: one stage takes deltas, the next one spliced
frames, and both cost next to nothing compared with reading audio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from factored_asr.acoustic.gmm.transforms import apply_affine, compose
from factored_asr.audio.reading import read_audio
from factored_asr.corpus.augment import NoiseMix, noisy_copies
from factored_asr.corpus.corpus import Corpus, MeanOver
from factored_asr.corpus.utterance import NO_PATH, Utterance, frames_of, read_samples
from factored_asr.corpus.utterance import seconds_of as seconds_of_sound
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.features.files import read_feature_file
from factored_asr.features.normalisation import normalise
from factored_asr.training.parallel import Result, over

BLOCK_FRAMES = 32_000  # statistics are added up over blocks of about so many frames


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Utterances and their normalised static cepstra."""

    utterances: tuple[Utterance, ...]
    """Words, speakers and files."""
    cepstra: tuple[np.ndarray, ...]
    """(n_frames, n_cepstra) float32 each: static, normalised."""
    options: FeatureOptions
    """Front end of the cepstra."""
    mean_over: MeanOver = "utterance"
    """Whether each utterance or each speaker has a mean of its own."""

    def __post_init__(self) -> None:
        if len(self.utterances) != len(self.cepstra):
            n_utterances, n = len(self.utterances), len(self.cepstra)
            raise OptionError(f"{n_utterances} utterances need as many cepstra, got {n}")
        for utterance, cepstra in zip(self.utterances, self.cepstra, strict=True):
            if cepstra.ndim != 2 or cepstra.shape[1] != self.options.n_cepstra:
                law = f"shape {cepstra.shape}, must be (n_frames, {self.options.n_cepstra})"
                raise OptionError(f"cepstra of {utterance.id} have {law}")

    def __len__(self) -> int:
        return len(self.utterances)

    def __add__(self, other: TrainingData) -> TrainingData:
        """Return all utterances of both, which must have one front end."""
        if (self.options, self.mean_over) != (other.options, other.mean_over):
            raise OptionError("data of two front ends, or of two kinds of means, do not add up")
        utterances, cepstra = self.utterances + other.utterances, self.cepstra + other.cepstra
        return replace(self, utterances=utterances, cepstra=cepstra)

    @property
    def n_frames(self) -> int:
        """Frames of all utterances together."""
        return sum(map(len, self.cepstra))

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers, each once, sorted."""
        return tuple(sorted({utterance.speaker for utterance in self.utterances}))

    def features(self, index: int, options: FeatureOptions | None = None) -> np.ndarray:
        """Return the features of one utterance, (n_frames, n_features) float32.

        `options` say how deltas or splices are made; up to the static cepstra they must be the
        data's own.
        """
        return dynamic(self.cepstra[index], options or self.options)

    def observed(
        self, index: int, features: FeatureOptions, transform: np.ndarray | None,
        transforms: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """Return the frames of an utterance as densities take them, (n_frames, n) float32.

        The speaker's fMLLR in `transforms`, if there is one, applies after the model's transform.
        """
        own = transforms.get(self.utterances[index].speaker)
        affine = transform if own is None else compose(own, transform)
        x = self.features(index, features)
        return x if affine is None else apply_affine(affine, x)

    def select(self, indices: Sequence[int] | np.ndarray) -> TrainingData:
        """Return some of the utterances, with unchanged means."""
        utterances = tuple(self.utterances[i] for i in indices)
        return replace(self, utterances=utterances, cepstra=tuple(self.cepstra[i] for i in indices))

    def blocks(self) -> Iterator[range]:
        """Yield runs of utterances, in order, of about `BLOCK_FRAMES` frames each.

        They depend on the data alone: sums over blocks in this order are the same to the last bit,
        however many processes share the blocks.
        """
        first = n_frames = 0
        for i, cepstra in enumerate(self.cepstra):
            n_frames += len(cepstra)
            if n_frames >= BLOCK_FRAMES:
                yield range(first, i + 1)
                first, n_frames = i + 1, 0
        if first < len(self.cepstra):
            yield range(first, len(self.cepstra))


def over_blocks(
    function: Callable[..., Result], data: TrainingData, items: Sequence[Any], jobs: int,
    *arguments: Any,
) -> list[Result]:
    """Return ``function(block, items of its utterances, *arguments)`` of all blocks of the data."""
    blocks = [(data.select(i), [items[j] for j in i], *arguments) for i in data.blocks()]
    return over(function, blocks, jobs)


def load_data(
    corpus: Corpus, features: FeatureOptions | None = None, jobs: int = 1,
    mean_over: MeanOver = "utterance",
) -> TrainingData:
    """Read or compute the cepstra of a corpus, and normalise them.

    The front end is that of the en-us model where None; `jobs` processes share the work.
    `mean_over` normalises by the mean of each ``"utterance"``, as decoding of one file does, or of
    each ``"speaker"``. The latter is steadier on short utterances and needs decoding that knows the
    speaker.
    """
    if mean_over not in get_args(MeanOver):
        raise OptionError(f"mean_over is {mean_over!r}, must be utterance or speaker")
    options, utterances = features or FeatureOptions(), corpus.utterances
    blocks = [utterances[i : i + 50] for i in range(0, len(utterances), 50)]
    read = over(_read, [(block, options) for block in blocks], jobs)
    speakers = [utterance.speaker for utterance in utterances]
    cepstra = normalise_all([x for block in read for x in block], speakers, options, mean_over)
    return TrainingData(tuple(utterances), cepstra, options, mean_over)


def cepstra_of(utterance: Utterance, front_end: FrontEnd) -> np.ndarray:
    """Read the static cepstra of an utterance, or compute them from its sound; not normalised.

    They are (n_frames, n_cepstra) float32, at least one frame. Raises MissingError if there is no
    such file, FormatError for broken audio or cepstra, or a stretch outside the file.
    """
    if utterance.path == NO_PATH:
        raise MissingError(f"{utterance.where}no file is named for it")
    if utterance.kind == "audio":
        cepstra = front_end.cepstra(read_samples(utterance, front_end.options.sample_rate))
    else:
        cepstra = read_feature_file(utterance.path, front_end.options.n_cepstra)
        cepstra = cepstra[frames_of(utterance, front_end.frame_seconds, len(cepstra))]
    if not len(cepstra):
        raise FormatError("holds not a single frame", utterance.path)
    return cepstra


def seconds_of(front_end: FrontEnd | None = None) -> Callable[[Utterance], float]:
    """Return the function that reads an utterance, sound or cepstra, and returns its seconds.

    `corpus.check` takes it for corpora of cepstra that a front end (default: that of en-us) made.
    """
    front_end = front_end or FrontEnd()

    def seconds(utterance: Utterance) -> float:
        if utterance.kind == "audio":
            return seconds_of_sound(utterance)
        return len(cepstra_of(utterance, front_end)) * front_end.frame_seconds

    return seconds


def noisy_data(
    corpus: Corpus, noise: np.ndarray | Sequence[np.ndarray],
    features: FeatureOptions | None = None, options: NoiseMix | None = None,
) -> TrainingData:
    """Compute the cepstra of a corpus of audio, clean and in noise; see `noisy_copies`.

    Each copy is normalised by the mean of its whole file, as where commands are decoded. `noise`
    is one or several sounds, (n_samples,) at the rate of the front end.
    """
    features = features or FeatureOptions()
    noises = [noise] if isinstance(noise, np.ndarray) else list(noise)
    front_end, utterances, cepstra = FrontEnd(features), list[Utterance](), list[np.ndarray]()
    for utterance in corpus:
        samples, _ = read_audio(utterance.path, sample_rate=features.sample_rate)
        first = round(utterance.start / features.frame_shift)
        last = None if utterance.end is None else round(utterance.end / features.frame_shift)
        for number, sound in enumerate(noisy_copies(samples, noises, options, utterance.id)):
            utterances.append(replace(utterance, id=f"{utterance.id}-{number}"))
            cepstra.append(normalise(front_end.cepstra(sound), features)[first:last])
    return TrainingData(tuple(utterances), tuple(cepstra), features)


def normalise_all(
    cepstra: Sequence[np.ndarray], speakers: Sequence[str], options: FeatureOptions,
    mean_over: MeanOver,
) -> tuple[np.ndarray, ...]:
    """Normalise each utterance by its own mean, or by that of all that its speaker says.

    Examples
    --------
    >>> options = FeatureOptions(n_cepstra=1, normalisation="batch")
    >>> one, two = np.float32([[1.0], [3.0]]), np.float32([[5.0], [7.0]])
    >>> [each.ravel().tolist() for each in normalise_all([one, two], "aa", options, "utterance")]
    [[-1.0, 1.0], [-1.0, 1.0]]
    >>> [each.ravel().tolist() for each in normalise_all([one, two], "aa", options, "speaker")]
    [[-3.0, -1.0], [1.0, 3.0]]
    """
    if mean_over == "utterance":
        return tuple(normalise(each, options) for each in cepstra)
    done: dict[int, np.ndarray] = {}
    for speaker in dict.fromkeys(speakers):
        own = [i for i, name in enumerate(speakers) if name == speaker]
        ends = np.cumsum([len(cepstra[i]) for i in own])[:-1]
        joined = normalise(np.concatenate([cepstra[i] for i in own]), options)
        done.update(zip(own, np.split(joined, ends), strict=True))
    return tuple(done[i] for i in range(len(cepstra)))


def dynamic(cepstra: np.ndarray, options: FeatureOptions) -> np.ndarray:
    """Return deltas or splices of normalised cepstra, (n_frames, n_features) float32."""
    return _plain_front_end(replace(options, normalisation="none")).features_from_cepstra(cepstra)


@lru_cache(maxsize=8)
def _plain_front_end(options: FeatureOptions) -> FrontEnd:
    return FrontEnd(options)


def _read(utterances: Sequence[Utterance], options: FeatureOptions) -> list[np.ndarray]:
    front_end = FrontEnd(options)
    return [cepstra_of(utterance, front_end) for utterance in utterances]

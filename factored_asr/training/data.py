"""What training runs on: utterances with their words, and their cepstra, mean taken off.

Cepstra are kept, features are made when they are asked for: a stage wants deltas, the next one
spliced frames, and both cost next to nothing compared with reading audio again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.features.normalisation import normalise
from factored_asr.training.parallel import over

if TYPE_CHECKING:
    from factored_asr.corpus.corpus import Corpus, Utterance

BLOCK_FRAMES = 32_000  # statistics are added up over blocks of about so many frames

MeanOver = Literal["utterance", "speaker"]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Utterances and their normalised static cepstra."""

    utterances: tuple[Utterance, ...]
    """What is said and by whom."""
    cepstra: tuple[np.ndarray, ...]
    """(n_frames, n_cepstra) float32 each: static, the mean taken off."""
    options: FeatureOptions
    """The front end that the cepstra are of."""
    mean_over: MeanOver = "utterance"
    """Whether each utterance or each speaker had a mean of its own."""

    def __post_init__(self) -> None:
        if len(self.utterances) != len(self.cepstra):
            raise OptionError(
                f"{len(self.utterances)} utterances need as many cepstra, got {len(self.cepstra)}"
            )
        for utterance, cepstra in zip(self.utterances, self.cepstra, strict=True):
            if cepstra.ndim != 2 or cepstra.shape[1] != self.options.n_cepstra:
                raise OptionError(
                    f"cepstra of {utterance.id} have shape {cepstra.shape}, "
                    f"must be (n_frames, {self.options.n_cepstra})"
                )

    def __len__(self) -> int:
        return len(self.utterances)

    def __add__(self, other: TrainingData) -> TrainingData:
        """All utterances of both; both must be of one front end."""
        if (self.options, self.mean_over) != (other.options, other.mean_over):
            raise OptionError("data of two front ends, or of two kinds of means, do not add up")
        return replace(
            self, utterances=self.utterances + other.utterances,
            cepstra=self.cepstra + other.cepstra,
        )  # fmt: skip

    @property
    def n_frames(self) -> int:
        """Frames of all utterances together."""
        return sum(map(len, self.cepstra))

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers, each once, sorted."""
        return tuple(sorted({utterance.speaker for utterance in self.utterances}))

    @property
    def speaker_index(self) -> np.ndarray:
        """(n_utterances,) int32: index into `speakers` of each utterance's."""
        number = {speaker: i for i, speaker in enumerate(self.speakers)}
        return np.array([number[utterance.speaker] for utterance in self.utterances], np.int32)

    def features(self, index: int, options: FeatureOptions | None = None) -> np.ndarray:
        """Features of one utterance, (n_frames, n_features) float32.

        Parameters
        ----------
        index
            Which utterance.
        options
            How deltas or splices are made of the cepstra; the data's own where None. Only what
            comes after the static cepstra may differ from the data's own.
        """
        return dynamic(self.cepstra[index], options or self.options)

    def select(self, indices: Sequence[int] | np.ndarray) -> TrainingData:
        """Some of the utterances; the means that were taken off them stay what they were."""
        return replace(
            self, utterances=tuple(self.utterances[i] for i in indices),
            cepstra=tuple(self.cepstra[i] for i in indices),
        )  # fmt: skip

    def blocks(self) -> Iterator[range]:
        """Runs of utterances, in order, of about `BLOCK_FRAMES` frames each.

        They depend on the data alone. Sums over blocks, added up in this order, are the same to
        the last bit however many processes work on the blocks.
        """
        first = n_frames = 0
        for i, cepstra in enumerate(self.cepstra):
            n_frames += len(cepstra)
            if n_frames >= BLOCK_FRAMES:
                yield range(first, i + 1)
                first, n_frames = i + 1, 0
        if first < len(self.cepstra):
            yield range(first, len(self.cepstra))


def load_data(
    corpus: Corpus,
    features: FeatureOptions | None = None,
    jobs: int = 1,
    mean_over: MeanOver = "utterance",
) -> TrainingData:
    """Read or compute the cepstra of a corpus, and take their means off.

    Parameters
    ----------
    corpus
        Utterances with audio or given cepstra.
    features
        The front end; that of the en-us model where None.
    jobs
        Processes that share the work.
    mean_over
        Whose mean is taken off: ``"utterance"`` is what decoding one file alone can do as well;
        ``"speaker"`` is steadier on short utterances, and needs decoding to know the speaker.
    """
    if mean_over not in get_args(MeanOver):
        raise OptionError(f"mean_over is {mean_over!r}, must be utterance or speaker")
    options = features or FeatureOptions()
    blocks = [range(i, min(i + 50, len(corpus.utterances)))
              for i in range(0, len(corpus.utterances), 50)]  # fmt: skip
    read = over(_read, [(corpus, block, options) for block in blocks], jobs)
    cepstra = [each for block in read for each in block]
    speakers = [utterance.speaker for utterance in corpus.utterances]
    return TrainingData(
        tuple(corpus.utterances), normalise_all(cepstra, speakers, options, mean_over), options,
        mean_over,
    )  # fmt: skip


def normalise_all(
    cepstra: Sequence[np.ndarray], speakers: Sequence[str], options: FeatureOptions,
    mean_over: MeanOver,
) -> tuple[np.ndarray, ...]:
    """Take the mean off each utterance's cepstra: its own, or that of all its speaker says.

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
    """Deltas or splices of normalised cepstra: (n_frames, n_features) float32."""
    return _plain_front_end(replace(options, normalisation="none")).features_from_cepstra(cepstra)


@lru_cache(maxsize=8)
def _plain_front_end(options: FeatureOptions) -> FrontEnd:
    return FrontEnd(options)


def _read(corpus: Corpus, block: range, options: FeatureOptions) -> list[np.ndarray]:
    front_end = FrontEnd(options)
    return [corpus.cepstra(i, front_end) for i in block]

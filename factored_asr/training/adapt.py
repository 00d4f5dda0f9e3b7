"""A given model, adapted to a small corpus: align, collect, move the Gaussians, pass after pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from factored_asr.acoustic import DiagonalMixtures, GmmModel, TiedMixtures
from factored_asr.acoustic.gmm.adaptation import MapOptions, MllrOptions, map_adapt, mllr_adapt
from factored_asr.acoustic.gmm.statistics import GaussianStatistics, accumulate
from factored_asr.corpus.augment import NoiseMix
from factored_asr.corpus.corpus import Corpus
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.lexicon import Lexicon
from factored_asr.models.bundle import Bundle
from factored_asr.models.folder import About, write_model
from factored_asr.models.recipe import Recipe
from factored_asr.training.alignment import AlignmentOptions, align_all
from factored_asr.training.data import TrainingData, load_data, noisy_data
from factored_asr.training.em import PassReport, Report, Trained
from factored_asr.training.parallel import over
from factored_asr.training.speech import Block, speech_blocks

Method = Literal["map", "mllr", "mllr+map"]
Densities = DiagonalMixtures | TiedMixtures


@dataclass(frozen=True)
class AdaptOptions:
    """How a model is moved towards a corpus."""

    method: Method = "mllr+map"
    """MLLR moves classes of means together and needs a minute of speech; MAP moves each Gaussian
    by what was heard of it and needs many; one after the other suits anything in between."""
    mllr_passes: int = 2
    """Times that MLLR aligns and moves; each begins where the last one ended."""
    map_passes: int = 3
    """Times that MAP does. Every one is held by the same prior, what MLLR left."""
    mllr: MllrOptions = field(default_factory=MllrOptions)
    """How many maps of means there may be."""
    map: MapOptions = field(default_factory=lambda: MapOptions(5.0, 20.0, 10.0))
    """How firmly the model is believed. An hour of another accent bears half of Kaldi's counts."""
    alignment: AlignmentOptions = field(
        default_factory=lambda: AlignmentOptions(boost_silence=1.0)
    )
    """How transcripts are laid over speech."""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise OptionError(
                f"method is {self.method!r}, must be one of {', '.join(get_args(Method))}"
            )
        if self.mllr_passes < 1 or self.map_passes < 1:
            raise OptionError(
                f"mllr_passes {self.mllr_passes} and map_passes {self.map_passes} must be at "
                "least 1"
            )


def adapt(
    data: TrainingData,
    lexicon: Lexicon,
    model: GmmModel,
    options: AdaptOptions | None = None,
    jobs: int = 1,
    report: Report | None = None,
) -> GmmModel:
    """Move a model's means, variances and weights towards a corpus.

    Parameters
    ----------
    data
        Made with the model's own front end.
    lexicon
        The words of the corpus in the model's phones.
    model
        Any, the imported en-us too; with first-pass densities, it is these that are adapted, and
        they then serve alone.
    jobs
        Processes that share the work; the result does not depend on it.
    report
        Is told of every pass.

    Raises
    ------
    OptionError
        Nothing could be aligned.
    MissingError
        A word has no pronunciation, or a pronunciation a phone the model lacks.
    """
    options, model = options or AdaptOptions(), model.unadapted
    steps = ["mllr"] * options.mllr_passes if "mllr" in options.method else []
    steps += ["map"] * options.map_passes if "map" in options.method else []
    prior = model.densities
    for number, step in enumerate(steps, start=1):
        aligned = align_all(data, lexicon, model, options.alignment, jobs=jobs)
        trained = Trained(model, aligned)
        seen = collect(data, trained, jobs)
        if step == "mllr":
            prior = moved = mllr_adapt(model.densities, seen, options.mllr)
        else:
            moved = map_adapt(prior, seen, options.map)
        model = replace(model, densities=moved)
        if report:
            report(_report(step, number, len(steps), seen, trained))
    return model


def adapt_bundle(
    bundle: Bundle,
    corpus: Corpus,
    output: str | Path,
    options: AdaptOptions | None = None,
    *,
    lexicon: Lexicon | None = None,
    noises: Sequence[np.ndarray] = (),
    mix: NoiseMix | None = None,
    jobs: int = 1,
    report: Report | None = None,
) -> Path:
    """Adapt a model on disk to a corpus, and write it with its dictionary and language model.

    Parameters
    ----------
    bundle
        The model to begin with; it stays as it is.
    corpus
        Readable, its words in the lexicon (see `check`).
    output
        Folder of the new model.
    lexicon
        The words of the corpus; the bundle's own where None. It goes with the new model.
    noises
        Sounds, (n_samples,) each at the model's rate, in which the corpus is heard besides: see
        `noisy_data`.
    mix
        How much of these, and how often.

    Raises
    ------
    MissingError
        The bundle brings no lexicon and none is given; else as `adapt`.
    """
    options = options or AdaptOptions()
    if lexicon is None:
        lexicon = Recipe(bundle).read_lexicon()
    log: list[dict[str, Any]] = []

    def note(done: PassReport) -> None:
        log.append(asdict(done))
        if report:
            report(done)

    model = bundle.acoustic_model()
    if noises:
        data = noisy_data(corpus, noises, model.features, mix)
    else:
        data = load_data(corpus, model.features, jobs)
    model = adapt(data, lexicon, model, options, jobs, note)
    about = bundle.folder.about if bundle.folder else About(origin=bundle.name)
    about = replace(
        about, origin=f"{about.origin}; adapted to {corpus.name}",
        options={**about.options, "adapt": asdict(options)}, training=[*about.training, *log],
        settings={
            "dictation": bundle.dictation.to_dict(), "commands": bundle.commands.to_dict()
        },
    )  # fmt: skip
    g2p = None if bundle.folder is None else bundle.folder.files.get("g2p")
    return write_model(output, model, lexicon=lexicon, lm=bundle.lm, g2p=g2p, about=about)


def collect(data: TrainingData, trained: Trained, jobs: int = 1) -> GaussianStatistics:
    """Statistics along the alignments, of plain and of tied mixtures."""
    model = trained.model
    tasks = [
        (block, model.densities, model.features, model.transform)
        for block in speech_blocks(data, trained, silence_weight=1.0)
    ]
    return reduce(add, over(_of_block, tasks, jobs))


def _of_block(
    block: Block, densities: Densities, features: FeatureOptions, transform: np.ndarray | None
) -> GaussianStatistics:
    frames = block.features(features, transform)
    return accumulate(densities, frames, block.pdfs, block.weights)


def _report(
    name: str, number: int, of: int, seen: GaussianStatistics, trained: Trained
) -> PassReport:
    densities = trained.model.densities
    return PassReport(
        name, number, of, round(seen.frames), seen.log_likelihood / max(seen.frames, 1.0),
        densities.n_pdfs, densities.means.size // densities.n_features,
        sum(alignment is None for alignment in trained.alignments),
    )  # fmt: skip

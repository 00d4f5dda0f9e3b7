"""Adaptation of a given model to a small corpus: align, collect, move the Gaussians, repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.adaptation import MapOptions, MllrOptions, map_adapt, mllr_adapt
from factored_asr.corpus.augment import NoiseMix
from factored_asr.corpus.corpus import Corpus
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.models.bundle import Bundle
from factored_asr.models.folder import About, write_model
from factored_asr.models.recipe import Recipe
from factored_asr.training.alignment import AlignmentOptions, Trained, align_all
from factored_asr.training.data import TrainingData, load_data, noisy_data
from factored_asr.training.em import PassReport, Report, collect, report_of

Method = Literal["map", "mllr", "mllr+map"]


@dataclass(frozen=True)
class AdaptOptions:
    """How a model is adapted to a corpus."""

    method: Method = "mllr+map"
    """MLLR moves classes of means together and needs a minute of speech. MAP moves each Gaussian
    by its own frames and needs many minutes. Both in turn suit anything in between."""
    mllr_passes: int = 2
    """Passes of MLLR; each starts from the last one's result."""
    map_passes: int = 3
    """Passes of MAP; the prior of all is the result of MLLR."""
    mllr: MllrOptions = MllrOptions()
    """How freely means may move."""
    map: MapOptions = MapOptions(5.0, 20.0, 10.0)
    """Weight of the prior. For an hour of another accent half of Kaldi's counts are best."""
    alignment: AlignmentOptions = AlignmentOptions(boost_silence=1.0)
    """How texts are aligned with speech."""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            wanted = ", ".join(get_args(Method))
            raise OptionError(f"method is {self.method!r}, must be one of {wanted}")
        if self.mllr_passes < 1 or self.map_passes < 1:
            passes = f"mllr_passes {self.mllr_passes} and map_passes {self.map_passes}"
            raise OptionError(f"{passes} must be at least 1")


def adapt(
    data: TrainingData, lexicon: Lexicon, model: GmmModel, options: AdaptOptions | None = None,
    jobs: int = 1, report: Report | None = None,
) -> GmmModel:
    """Adapt a model's means, variances and weights to a corpus.

    The model may be any, imported ones such as en-us, too; of one with first-pass densities, these
    are adapted and kept alone. The data are made with its front end, the lexicon in its phones.
    `jobs` processes share the work; the result does not depend on it. Raises OptionError if
    nothing can be aligned, MissingError if a word has no pronunciation, or a pronunciation a phone
    the model lacks.
    """
    options, model = options or AdaptOptions(), model.unadapted
    steps = ["mllr"] * options.mllr_passes if "mllr" in options.method else []
    steps += ["map"] * options.map_passes if "map" in options.method else []
    prior = model.densities
    for number, step in enumerate(steps, start=1):
        aligned = align_all(data, lexicon, model, options.alignment, jobs=jobs)
        seen = collect(data, Trained(model, aligned), jobs)
        if step == "mllr":
            prior = moved = mllr_adapt(model.densities, seen.mixtures, options.mllr)
        else:
            moved = map_adapt(prior, seen.mixtures, options.map)
        model = replace(model, densities=moved)
        if report:
            report(report_of(step, number, len(steps), seen, model))
    return model


def adapt_bundle(
    bundle: Bundle, corpus: Corpus, output: str | Path, options: AdaptOptions | None = None, *,
    lexicon: Lexicon | None = None, noises: Sequence[np.ndarray] = (), mix: NoiseMix | None = None,
    jobs: int = 1, report: Report | None = None,
) -> Path:
    """Adapt a model on disk to a corpus, and write it with its dictionary and language model.

    `corpus` are checked utterances (see `check`), `lexicon` their words: the bundle's own where
    None. `noises`, (n_samples,) each at the model's rate, are mixed into copies of the corpus as
    `mix` says (see `noisy_data`). Raises MissingError if there is no lexicon; else as `adapt`.
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
    if not isinstance(model, GmmModel):
        raise OptionError(
            f"model {bundle.name} is no model of Gaussian mixtures, which MLLR and MAP adapt: use "
            "--model en-us; a network is trained by train --stages ctc"
        )
    data = (noisy_data(corpus, noises, model.features, mix) if noises
            else load_data(corpus, model.features, jobs))  # fmt: skip
    model = adapt(data, lexicon, model, options, jobs, note)
    about = bundle.folder.about if bundle.folder else About(origin=bundle.name)
    about = replace(
        about, origin=f"{about.origin}; adapted to {corpus.name}",
        options={**about.options, "adapt": asdict(options)}, training=[*about.training, *log],
        settings={kind: getattr(bundle, kind).to_dict() for kind in ("dictation", "commands")},
    )  # fmt: skip
    g2p = None if bundle.folder is None else bundle.folder.files.get("g2p")
    return write_model(output, model, lexicon=lexicon, lm=bundle.lm, g2p=g2p, about=about)

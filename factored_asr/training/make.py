"""From a corpus to a model on disk: train on most speakers, tune on the others, learn from these
too, write."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.audio.reading import read_audio
from factored_asr.corpus.corpus import Corpus
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions, FrontEnd, speech_frames
from factored_asr.features.normalisation import min_range
from factored_asr.language import read_lm
from factored_asr.lexicon import Lexicon
from factored_asr.lexicon.g2p import G2P
from factored_asr.models.folder import About, check_target, write_model
from factored_asr.models.settings import COMMANDS, DICTATION, DecodeOptions
from factored_asr.recognizer.speaker import SpeakerOptions
from factored_asr.training.data import MeanOver, TrainingData, cepstra_of, load_data
from factored_asr.training.em import PassReport, Report
from factored_asr.training.pronunciations import count_pronunciations, weigh_pronunciations
from factored_asr.training.run import STAGES, TrainingResult, train
from factored_asr.training.tune import Tried, Tuning, tune

EVERY_NTH = 8  # speaker is held out for tuning
MEAN_UTTERANCES = 200  # are enough for the mean that a stream starts from
SPHINX_CEPSTRA = FeatureOptions(
    dct="legacy", n_mels=40, low_hz=133.33334, high_hz=6855.4976, lifter=0, remove_noise=False,
    normalisation="batch",
)
"""What Sphinx's ``sphinx_fe`` computes unless told otherwise: taken for cepstra that come alone."""
TELEPHONE = FeatureOptions(sample_rate=8000, n_fft=256, n_mels=18, high_hz=3700.0)
"""The front end of en-us as far as sound of 8 kHz reaches."""


@dataclass(frozen=True)
class MakeOptions:
    """How a model is made of a corpus."""

    stages: tuple[str, ...] = ("mono",)
    """In order; each builds on the one before."""
    stage_options: Mapping[str, Any] = field(default_factory=dict)
    """Stage → its options, where they are not the defaults."""
    features: FeatureOptions | None = None
    """The front end; None: that of en-us for sound, cut down if that is of 8 kHz, and Sphinx's
    default one for given cepstra."""
    mean_over: MeanOver = "utterance"
    """Whose cepstral mean is taken off; a whole speaker's is steadier, and asks for decoding that
    knows the speaker."""
    fold_in: bool = True
    """Once tuned, learn from the speakers tuned on, too; they then no longer tell how good the
    model is. See fold_in.py."""
    seed: int = 0
    """The same seed gives the same model, bit for bit."""
    jobs: int = 1
    """Processes that share the work; the model does not depend on it."""
    origin: str = ""
    """Where the corpus comes from, for the manifest."""
    licences: Mapping[str, str] = field(default_factory=dict)
    """Of the corpus, the lexicon and the language model."""


@dataclass(frozen=True)
class Made:
    """A model that was made."""

    folder: Path
    result: TrainingResult
    tuning: Tuning | None
    """None where there was no language model to tune, or nobody to tune it on."""


@dataclass(frozen=True)
class Listener:
    """Is told what goes on; None: nobody is."""

    passes: Report | None = None
    settings: Any = None
    """Called with each `Tried`."""


def make_model(
    corpus: Corpus, lexicon: Lexicon, output: str | Path, *, held_out: Corpus | None = None,
    lm: str | Path | None = None, g2p: str | Path | None = None,
    options: MakeOptions | None = None,
    checkpoints: str | Path | None = None, listener: Listener | None = None,
) -> Made:
    """Train, tune and write a model.

    Parameters
    ----------
    corpus
        What is trained on: checked utterances (see `check`).
    lexicon
        A pronunciation for every word; it goes with the model, and with the probabilities that
        the corpus gives the pronunciations of a word.
    output
        The model's folder.
    held_out
        Utterances of other speakers to tune on, and then to learn from; not tuned where None or
        without an LM.
    lm
        A language model, which goes with the model as it is.
    g2p
        A model of letters and phones, which goes with it, too: words that the lexicon lacks are
        guessed by it.
    checkpoints
        Where the states of training are kept, and stay; None: beside the output until all is done.

    Raises
    ------
    OptionError
        An unknown stage, or an output folder that is there and no model.
    FormatError, MissingError
        The language model or the one of letters breaks its format, or is not there.
    """
    options, listener, output = options or MakeOptions(), listener or Listener(), Path(output)
    _check_stages(options)
    check_target(output)  # before the hours of training
    language = None if lm is None else read_lm(lm)
    if g2p is not None:
        G2P.read(g2p)
    features = options.features or features_of(corpus)
    data = load_data(corpus, features, options.jobs, options.mean_over)
    kept = output.with_name(f"{output.name}.training") if checkpoints is None else checkpoints
    result = train(
        data, lexicon, options.stages, _seeded(options, options.stages), checkpoints=kept,
        jobs=options.jobs, report=listener.passes,
    )
    model, weighed = result.trained.model, _weighed(lexicon, data, result)
    settings, tuning, again = settings_of(model.first_pass is not None), None, None
    if language is not None and held_out:
        tuning = tune(
            model, weighed, language, held_out, settings["dictation"], jobs=options.jobs,
            mean_over=options.mean_over, adapt=SpeakerOptions() if model.first_pass else None,
            report=listener.settings,
        )
        settings["dictation"] = tuning.options
        if options.fold_in:
            data += load_data(held_out, features, options.jobs, options.mean_over)
            again = _fold_in(data, lexicon, result, options, Path(kept), listener)
            model, weighed = again.trained.model, _weighed(lexicon, data, again)
    write_model(
        output, model, lexicon=weighed, lm=lm, g2p=g2p,
        about=_about(data, corpus.name, options, (result, again), tuning, settings),
    )
    if checkpoints is None:
        shutil.rmtree(kept, ignore_errors=True)
    return Made(output, again or result, tuning)


def _weighed(lexicon: Lexicon, data: TrainingData, result: TrainingResult) -> Lexicon:
    return weigh_pronunciations(lexicon, count_pronunciations(data, result.trained))


def _fold_in(
    data: TrainingData, lexicon: Lexicon, result: TrainingResult, options: MakeOptions,
    checkpoints: Path, listener: Listener,
) -> TrainingResult:
    """The model after what it learns from everybody; MMI comes last again."""
    stages = ("fold_in", *(name for name in options.stages if name == "mmi"))
    return train(
        data, lexicon, stages, _seeded(options, stages), start=result.likeliest,
        checkpoints=checkpoints / "everybody", jobs=options.jobs, report=listener.passes,
    )


def hold_out(corpus: Corpus, speakers: Sequence[str] | None = None) -> tuple[Corpus, Corpus]:
    """Part a corpus: what to train on, and other speakers to tune on.

    Parameters
    ----------
    speakers
        Whom to tune on; None: every 8th of the sorted speakers, or of two or more the last.
    """
    if speakers is None:
        known = corpus.speakers
        speakers = known[::EVERY_NTH] if len(known) >= EVERY_NTH else known[1:][-1:]
    return corpus.without(speakers), corpus.select(speakers)


def features_of(corpus: Corpus) -> FeatureOptions:
    """The front end for a corpus, with its mean over speech, which streams start from."""
    if not len(corpus):
        raise OptionError(f"{corpus.name}: not a single utterance")
    first = corpus.utterances[0]
    if first.kind == "features":
        options = SPHINX_CEPSTRA
    else:
        _, rate = read_audio(first.path)
        options = TELEPHONE if rate < FeatureOptions().sample_rate else FeatureOptions()
    front_end, some = FrontEnd(options), range(0, len(corpus), 1 + len(corpus) // MEAN_UTTERANCES)
    spoken = []
    for index in some:
        heard = cepstra_of(corpus.utterances[index], front_end)
        spoken.append(heard[speech_frames(heard, min_range(options))])
    together = np.concatenate(spoken)
    if not len(together):
        return options
    mean = together.mean(axis=0, dtype=np.float64).round(2)
    return replace(options, initial_mean=tuple(mean.tolist()))


def settings_of(adaptive: bool) -> dict[str, DecodeOptions]:
    """Where the settings of a new model begin: those of en-us, with Kaldi's weight of the LM."""
    scale = 1 / 12 if adaptive else 0.1
    graph = replace(DICTATION.graph, word_penalty=0.0)
    return {
        "dictation": replace(DICTATION, acoustic_scale=scale, graph=graph, max_ngrams=0),
        "commands": COMMANDS,
    }


def _check_stages(options: MakeOptions) -> None:
    for name in options.stages:
        if name not in STAGES:
            raise OptionError(f"stage {name!r} must be one of {', '.join(STAGES)}")


def _seeded(options: MakeOptions, stages: Sequence[str]) -> dict[str, Any]:
    """The options of these stages, with the seed in those that have one."""
    chosen = {name: options.stage_options.get(name, STAGES[name].options) for name in stages}
    return {
        name: replace(of, seed=options.seed) if hasattr(of, "seed") else of
        for name, of in chosen.items()
    }


def _about(
    data: TrainingData, name: str, options: MakeOptions,
    results: tuple[TrainingResult, TrainingResult | None], tuning: Tuning | None,
    settings: Mapping[str, DecodeOptions],
) -> About:
    """What the manifest says. Nothing in it changes from run to run."""
    first, again = results
    stages = (*options.stages, "fold_in") if again else options.stages
    asked = {
        "stages": options.stages, "seed": options.seed, "mean_over": options.mean_over,
        "fold_in": again is not None,
        "utterances": len(data), "speakers": len(data.speakers),
        "stage_options": {name: asdict(of) for name, of in _seeded(options, stages).items()},
    }
    training = _told(first)
    if tuning is not None:
        training.append({"stage": "tune", **_tried(tuning.best)})
    training += _told(again) if again else []
    return About(
        options.origin or Path(name).name, options.licences, asked,
        {kind: of.to_dict() for kind, of in settings.items()}, training,
    )


def _told(result: TrainingResult) -> list[dict[str, Any]]:
    """What each stage came to in the end."""
    last: dict[str, PassReport] = {done.stage: done for done in result.log}
    return [
        {"stage": done.stage, "passes": done.of, "frames": done.n_frames,
         "log_likelihood": round(done.log_likelihood, 4), "pdfs": done.n_pdfs,
         "gaussians": done.n_gaussians, "failed": done.failed}
        for done in last.values()
    ]


def _tried(best: Tried) -> dict[str, Any]:
    return {
        "lm_scale": best.lm_scale, "word_penalty": best.word_penalty,
        "wer": round(best.errors.rate, 4),
    }

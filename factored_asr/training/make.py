"""From a corpus to a model on disk: train on most speakers, tune on the others, fold these in,
write."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.hybrid import HybridModel
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
from factored_asr.training.run import LAST, STAGES, TrainingResult, check_stages, train
from factored_asr.training.tune import CHAIN_SCALES, LM_SCALES, Tuning, tune

EVERY_NTH = 8  # speaker is held out for tuning
MEAN_UTTERANCES = 200  # are enough for the mean that a stream starts from
SPHINX_CEPSTRA = FeatureOptions(dct="legacy", n_mels=40, low_hz=133.33334, high_hz=6855.4976,
                                lifter=0, remove_noise=False, normalisation="batch")
"""Front end of corpora of cepstra: the default of Sphinx's ``sphinx_fe``."""
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
    """Normalise each utterance by itself, or by all that its speaker says, which is steadier and
    needs decoding that knows the speaker."""
    fold_in: bool = True
    """After tuning, learn from the tuning speakers, too (see fold_in.py). They then no longer
    measure how good the model is."""
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
    """A new model on disk."""

    folder: Path
    result: TrainingResult
    tuning: Tuning | None
    """None without a language model or without speakers to tune on."""


@dataclass(frozen=True)
class Listener:
    """Progress callbacks; None disables one."""

    passes: Report | None = None
    """Called after each pass."""
    settings: Any = None
    """Called with each `Tried`."""


def make_model(
    corpus: Corpus, lexicon: Lexicon, output: str | Path, *, held_out: Corpus | None = None,
    lm: str | Path | None = None, g2p: str | Path | None = None, options: MakeOptions | None = None,
    checkpoints: str | Path | None = None, listener: Listener | None = None,
) -> Made:
    """Train, tune and write a model.

    Raises OptionError for an unknown stage or an output folder that exists and is no model,
    FormatError or MissingError if a model to be copied is broken or missing.

    Parameters
    ----------
    corpus
        Checked utterances to train on (see `check`).
    lexicon
        A pronunciation for every word; it is written with the model, with probabilities of
        pronunciations from the corpus.
    held_out
        Utterances of other speakers to tune on and to fold in; None, or no LM: no tuning.
    lm, g2p
        A language model and a grapheme-to-phoneme model, which are copied to the model.
    checkpoints
        Folder of checkpoints; None: a folder next to the output, which is deleted at the end.
    """
    options, listener, output = options or MakeOptions(), listener or Listener(), Path(output)
    check_stages(options.stages, {})  # before the hours of training
    check_target(output)
    language = None if lm is None else read_lm(lm)
    if g2p is not None:
        G2P.read(g2p)
    features = options.features or features_of(corpus)
    data = load_data(corpus, features, options.jobs, options.mean_over)
    kept = output.with_name(f"{output.name}.training") if checkpoints is None else checkpoints
    result = train(data, lexicon, options.stages, _seeded(options, options.stages),
                   checkpoints=kept, jobs=options.jobs, report=listener.passes)
    model, weighed = result.trained.acoustic, _weighed(lexicon, data, result)
    adaptive, hybrid = bool(result.trained.transforms), result.trained.hybrid
    settings, tuning, folded = settings_of(adaptive, hybrid), None, None
    if language is not None and held_out:
        tuning = tune(
            model, weighed, language, held_out, settings["dictation"], jobs=options.jobs,
            mean_over=options.mean_over, adapt=SpeakerOptions() if adaptive else None,
            lm_scales=CHAIN_SCALES if hybrid and hybrid.is_chain else LM_SCALES,
            report=listener.settings,
        )
        settings["dictation"] = tuning.options
        if options.fold_in:
            data += load_data(held_out, features, options.jobs, options.mean_over)
            folded = _fold_in(data, lexicon, result, options, Path(kept), listener)
            model, weighed = folded.trained.acoustic, _weighed(lexicon, data, folded)
    write_model(output, model, lexicon=weighed, lm=lm, g2p=g2p,
                about=_about(data, corpus.name, options, (result, folded), tuning, settings))
    if checkpoints is None:
        shutil.rmtree(kept, ignore_errors=True)
    return Made(output, folded or result, tuning)


def _weighed(lexicon: Lexicon, data: TrainingData, result: TrainingResult) -> Lexicon:
    return weigh_pronunciations(lexicon, count_pronunciations(data, result.trained))


def _fold_in(
    data: TrainingData, lexicon: Lexicon, result: TrainingResult, options: MakeOptions,
    checkpoints: Path, listener: Listener,
) -> TrainingResult:
    """Train the model further on all speakers; MMI and the network, if they were stages, follow."""
    stages = ("fold_in", *(name for name in options.stages if name in LAST))
    return train(data, lexicon, stages, _seeded(options, stages), start=result.likeliest,
                 checkpoints=checkpoints / "everybody", jobs=options.jobs, report=listener.passes)


def hold_out(corpus: Corpus, speakers: Sequence[str] | None = None) -> tuple[Corpus, Corpus]:
    """Divide a corpus into one to train on, and one of other speakers to tune on.

    These are `speakers`; None: every 8th of the sorted speakers, or of two or more the last.
    """
    if speakers is None:
        known = corpus.speakers
        speakers = known[::EVERY_NTH] if len(known) >= EVERY_NTH else known[1:][-1:]
    return corpus.without(speakers), corpus.select(speakers)


def features_of(corpus: Corpus) -> FeatureOptions:
    """Return the front end for a corpus, with its mean over speech, from which streams start."""
    if not len(corpus):
        raise OptionError(f"{corpus.name}: not a single utterance")
    first = corpus.utterances[0]
    if first.kind == "features":
        options = SPHINX_CEPSTRA
    else:
        _, rate = read_audio(first.path)
        options = TELEPHONE if rate < FeatureOptions().sample_rate else FeatureOptions()
    front_end, some = FrontEnd(options), range(0, len(corpus), 1 + len(corpus) // MEAN_UTTERANCES)
    speech = []
    for index in some:
        cepstra = cepstra_of(corpus.utterances[index], front_end)
        speech.append(cepstra[speech_frames(cepstra, min_range(options))])
    together = np.concatenate(speech)
    if not len(together):
        return options
    mean = together.mean(axis=0, dtype=np.float64).round(2)
    return replace(options, initial_mean=tuple(mean.tolist()))


def settings_of(adaptive: bool, hybrid: HybridModel | None = None) -> dict[str, DecodeOptions]:
    """Return the settings that tuning starts from: those of en-us, with Kaldi's LM scale.

    A chain model has a scale of 1, as Kaldi's have, and transitions in full. No hybrid model has a
    background model for commands.
    """
    scale, commands = 1 / 12 if adaptive else 0.1, COMMANDS
    graph = replace(DICTATION.graph, word_penalty=0.0)
    if hybrid is not None:
        commands = replace(COMMANDS, background=None)
    if hybrid is not None and hybrid.is_chain:
        scale = 1.0
        graph = replace(graph, transition_scale=1.0)
        commands = replace(commands, acoustic_scale=1.0,
                           graph=replace(COMMANDS.graph, transition_scale=1.0))
    dictation = replace(DICTATION, acoustic_scale=scale, graph=graph, max_ngrams=0)
    return {"dictation": dictation, "commands": commands}


def _seeded(options: MakeOptions, stages: Sequence[str]) -> dict[str, Any]:
    """Return the options of these stages, with the seed in those that have one."""
    chosen = {name: options.stage_options.get(name, STAGES[name].options) for name in stages}
    return {name: replace(of, seed=options.seed) if hasattr(of, "seed") else of
            for name, of in chosen.items()}  # fmt: skip


def _about(
    data: TrainingData, name: str, options: MakeOptions,
    results: tuple[TrainingResult, TrainingResult | None], tuning: Tuning | None,
    settings: Mapping[str, DecodeOptions],
) -> About:
    """Return the facts for the manifest, which do not change from run to run."""
    first, folded = results
    stages = (*options.stages, "fold_in") if folded else options.stages
    asked = {
        "stages": options.stages, "seed": options.seed, "mean_over": options.mean_over,
        "fold_in": folded is not None, "utterances": len(data), "speakers": len(data.speakers),
        "stage_options": {name: asdict(of) for name, of in _seeded(options, stages).items()},
    }
    training = _last_reports(first)
    if tuning is not None:
        best = tuning.best
        training.append({"stage": "tune", "lm_scale": best.lm_scale,
                         "word_penalty": best.word_penalty,
                         "wer": round(best.errors.rate, 4)})  # fmt: skip
    training += _last_reports(folded) if folded else []
    kept = {kind: of.to_dict() for kind, of in settings.items()}
    return About(options.origin or Path(name).name, options.licences, asked, kept, training)


def _last_reports(result: TrainingResult) -> list[dict[str, Any]]:
    """Return the last report of each stage as plain values."""
    last: dict[str, PassReport] = {done.stage: done for done in result.log}
    return [
        {"stage": done.stage, "passes": done.of, "frames": done.n_frames,
         "log_likelihood": round(done.log_likelihood, 4), "pdfs": done.n_pdfs,
         "gaussians": done.n_gaussians, "failed": done.failed}
        for done in last.values()
    ]

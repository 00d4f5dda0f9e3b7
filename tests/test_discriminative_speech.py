"""Triphones and MMI on a few minutes of real speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factored_asr.corpus.corpus import Corpus
from factored_asr.features import FeatureOptions
from factored_asr.lexicon import Lexicon
from factored_asr.training.data import TrainingData, load_data
from factored_asr.training.em import PassReport, Run, Trained
from factored_asr.training.mmi import MmiOptions, train_mmi
from factored_asr.training.monophone import MonoOptions, train_mono
from factored_asr.training.schedule import Schedule
from factored_asr.training.triphone import TriphoneOptions, train_triphones
from factored_asr.training.tying import TreeOptions

Speech = tuple[TrainingData, Lexicon, Trained, Trained, list[PassReport]]


@pytest.fixture(scope="module")
def speech(data_dir: Path) -> Speech:
    """Every twelfth utterance of AN4, with monophones and triphones; the triphones' passes."""
    folder = data_dir / "an4"
    if not folder.is_dir():
        pytest.skip(f"no AN4: {folder} is absent")
    corpus = Corpus.read(folder)
    corpus = replace(corpus, utterances=corpus.utterances[::12])
    data = load_data(corpus, FeatureOptions(dct="legacy", normalisation="batch"))
    lexicon = Lexicon.read(folder / "etc" / "an4.dic", fillers=folder / "etc" / "an4.filler")
    schedule = Schedule(passes=12, realign=(3, 6, 9), n_gaussians=250, grow_until=9)
    told: list[PassReport] = []
    mono = train_mono(data, lexicon, None, MonoOptions(schedule=schedule))
    options = TriphoneOptions(tree=TreeOptions(180, 30), schedule=schedule)
    tri = train_triphones(data, lexicon, mono, options, Run(report=told.append))
    return data, lexicon, mono, tri, told


def test_triphones_say_more_of_speech_than_monophones(speech: Speech) -> None:
    data, lexicon, mono, tri, told = speech
    again: list[PassReport] = []
    one_pass = TriphoneOptions(tree=TreeOptions(104), schedule=Schedule(1, (), 1, 1))
    train_triphones(data, lexicon, mono, one_pass, Run(report=again.append))
    assert told[0].log_likelihood > again[0].log_likelihood + 0.5  # single Gaussians, both
    assert (np.diff([each.log_likelihood for each in told]) > -0.02).all()
    assert not any(each.failed for each in told) and tri.model.tree is not None
    text = tri.model.tree.describe()
    assert "left" in text and "right" in text and "SIL, state 0" in text


def test_mmi_makes_what_was_said_likelier_against_the_rest(speech: Speech) -> None:
    data, lexicon, _, tri, _ = speech
    told: list[PassReport] = []
    options = MmiOptions(passes=3)
    some = replace(tri, alignments=tri.alignments[:25])
    train_mmi(data.select(range(25)), lexicon, some, options, Run(report=told.append))
    objective = [each.log_likelihood for each in told]
    assert (np.diff(objective) > 0).all() and objective[0] < 0
    assert [each.failed for each in told] == [0, 0, 0]

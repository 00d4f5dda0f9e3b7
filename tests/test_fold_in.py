"""The stage fold_in: a model learns from speakers whom it has not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import synthetic
from support.training import SHORT, TREE, VOICES, never_falls, same_models, spoken_by

from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training.data import TrainingData
from factored_asr.training.em import PassReport, Run, Trained, collect, realign
from factored_asr.training.fold_in import FoldInOptions, train_fold_in
from factored_asr.training.monophone import MonoOptions, train_mono
from factored_asr.training.run import train
from factored_asr.training.sat import SatOptions, train_sat
from factored_asr.training.schedule import Schedule
from factored_asr.training.update import UpdateOptions

OPTIONS = FoldInOptions()
NO_FLOOR = UpdateOptions(min_occupancy=0.0, variance_floor=0.0)


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return synthetic.lexicon()


@pytest.fixture(scope="module")
def everybody() -> TrainingData:
    return spoken_by(VOICES, synthetic.speak(60).data)


@pytest.fixture(scope="module")
def mono(everybody: TrainingData, lexicon: Lexicon) -> Trained:
    """Of all speakers but s3."""
    schedule = Schedule(passes=8, realign=tuple(range(2, 9)), n_gaussians=8, grow_until=6)
    states = synthetic.STATES
    options = MonoOptions(schedule=schedule, states=states, silence_states=states)
    return train_mono(part(everybody, "s3", False), lexicon, None, options)


@pytest.fixture(scope="module")
def sat(everybody: TrainingData, lexicon: Lexicon, mono: Trained) -> Trained:
    options = SatOptions(fmllr_passes=(2, 4), tree=TREE, schedule=SHORT)
    return train_sat(part(everybody, "s3", False), lexicon, mono, options)


@pytest.fixture(params=["mono", "sat"])
def trained(request: pytest.FixtureRequest) -> Trained:
    found: Trained = request.getfixturevalue(request.param)
    return found


def part(data: TrainingData, speaker: str, of_them: bool) -> TrainingData:
    """What one speaker says, or what all others do."""
    said = enumerate(data.utterances)
    return data.select([i for i, u in said if (u.speaker == speaker) == of_them])


def test_likelihood_never_falls(
    everybody: TrainingData, lexicon: Lexicon, mono: Trained
) -> None:
    """New paths and every pass make what everybody says likelier."""
    told: list[PassReport] = []
    train_fold_in(everybody, lexicon, mono, FoldInOptions(update=NO_FLOOR), Run(report=told.append))
    values = [done.log_likelihood for done in told]
    assert [done.stage for done in told] == ["fold_in"] * OPTIONS.passes
    assert never_falls(values) and values[-1] > values[0]


def test_likelihood_never_falls_while_maps_stay(
    everybody: TrainingData, lexicon: Lexicon, sat: Trained
) -> None:
    told: list[PassReport] = []
    options = FoldInOptions(passes=10, realign=(1, 6), update=NO_FLOOR)
    train_fold_in(everybody, lexicon, sat, options, Run(report=told.append))
    values = [done.log_likelihood for done in told]
    assert never_falls(values[:5]) and never_falls(values[5:]) and values[-1] > values[0]


def test_new_speakers_are_known_afterwards(
    everybody: TrainingData, lexicon: Lexicon, trained: Trained
) -> None:
    """As many Gaussians as before, and the new voice is likelier behind them."""
    after = train_fold_in(everybody, lexicon, trained)
    assert after.model.n_pdfs == trained.model.n_pdfs
    assert len(after.model.densities.weights) <= len(trained.model.densities.weights)
    assert len(after.alignments) == len(everybody) and all(after.alignments)
    assert sorted(after.transforms) == (sorted(VOICES) if trained.transforms else [])
    strange = part(everybody, "s3", True)

    def likelihood(each: Trained) -> float:
        alone = replace(each, model=each.model.unadapted, transforms={})
        paths = realign(strange, lexicon, alone, OPTIONS.alignment)
        return collect(strange, paths).mixtures.log_likelihood

    assert likelihood(after) > likelihood(trained)


def test_two_processes_learn_the_same(
    everybody: TrainingData, lexicon: Lexicon, trained: Trained
) -> None:
    one, two = (train_fold_in(everybody, lexicon, trained, run=Run(jobs)) for jobs in (1, 2))
    assert same_models(one.model, two.model)
    assert same_models(one.model.unadapted, two.model.unadapted)


def test_it_goes_on_where_it_was_killed(
    everybody: TrainingData, lexicon: Lexicon, trained: Trained
) -> None:
    kept: dict[int, Trained] = {}
    run = Run(keep=lambda number, state: kept.update({number: state}))
    whole = train_fold_in(everybody, lexicon, trained, OPTIONS, run)
    resumed = train_fold_in(everybody, lexicon, trained, OPTIONS, Run(begun=(2, kept[2])))
    assert same_models(whole.model, resumed.model)
    for speaker, affine in whole.transforms.items():
        np.testing.assert_array_equal(affine, resumed.transforms[speaker])


def test_what_it_begins_with_decides(
    everybody: TrainingData, lexicon: Lexicon, mono: Trained, tmp_path: Path
) -> None:
    """What was kept is taken up again for the same beginning alone."""
    told: list[PassReport] = []

    def folded(start: Trained) -> Trained:
        return train(everybody, lexicon, ("fold_in",), start=start, checkpoints=tmp_path,
                     report=told.append).trained  # fmt: skip

    first = folded(mono)
    assert same_models(folded(mono).model, first.model) and len(told) == OPTIONS.passes
    moved = replace(mono.model.densities, means=mono.model.densities.means + 1)
    other = folded(replace(mono, model=replace(mono.model, densities=moved)))
    assert len(told) == 2 * OPTIONS.passes and not same_models(other.model, first.model)


def test_it_needs_a_model(everybody: TrainingData, lexicon: Lexicon) -> None:
    with pytest.raises(OptionError, match="the stage fold_in needs a trained model"):
        train(everybody, lexicon, ("fold_in",))
    with pytest.raises(OptionError, match="passes must be at least 1, got 0"):
        FoldInOptions(passes=0)


def test_data_of_two_front_ends_do_not_add_up(everybody: TrainingData) -> None:
    assert len(everybody + everybody) == 2 * len(everybody)
    with pytest.raises(OptionError, match="two front ends"):
        everybody + replace(everybody, mean_over="speaker")

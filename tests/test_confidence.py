"""A calibrated confidence means a probability."""

from __future__ import annotations

import json

import numpy as np
import pytest

from factored_asr.errors import FormatError, OptionError
from factored_asr.lattice.confidence import (
    Calibration,
    fit_calibration,
    normalised_cross_entropy,
    reliability,
)


def words(seed: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores that are far too sure, one further feature, and what was right."""
    rng = np.random.default_rng(seed)
    logit, feature = rng.normal(1.0, 1.5, n), rng.normal(0, 1, n)
    right = rng.random(n) < 1 / (1 + np.exp(-(logit + 0.8 * feature)))
    return 1 / (1 + np.exp(-(4 * logit + 1))), feature[:, None], right


def test_calibration_on_other_words_helps() -> None:
    scores, _, right = words(0)
    calibration = fit_calibration(scores, right)
    held_scores, _, held_right = words(1)
    before = normalised_cross_entropy(held_scores, held_right)
    probability = calibration.probability(held_scores)
    after = normalised_cross_entropy(probability, held_right)
    assert before < 0 < 0.15 < after
    assert reliability(probability, held_right).expected_error < 0.03
    assert reliability(held_scores, held_right).expected_error > 0.1


def test_features_help_further() -> None:
    scores, features, right = words(0)
    plain, full = fit_calibration(scores, right), fit_calibration(scores, right, features)
    assert full.weights[0] == pytest.approx(0.8, abs=0.15)
    held, held_features, held_right = words(1)
    assert normalised_cross_entropy(
        full.probability(held, held_features), held_right
    ) > normalised_cross_entropy(plain.probability(held), held_right) + 0.03


def test_the_map_is_monotone_even_for_misleading_scores() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(500)
    calibration = fit_calibration(scores, rng.random(500) > scores)
    assert calibration.slope == 0
    grid = calibration.probability(np.linspace(0, 1, 50))
    assert (np.diff(grid) >= 0).all() and ((grid > 0) & (grid < 1)).all()


def test_separable_words_end_in_finite_weights() -> None:
    calibration = fit_calibration([0.9, 0.8, 0.1, 0.2], [True, True, False, False])
    assert np.isfinite([calibration.offset, calibration.slope]).all()


def test_it_is_stored_as_plain_numbers() -> None:
    calibration = Calibration(-0.25, 0.5, (0.125,))
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


@pytest.mark.parametrize("values", [
    {}, {"offset": "x", "slope": 1, "weights": []}, {"offset": 0, "slope": -1, "weights": []},
    {"offset": 0, "slope": 1, "weights": 3}, {"offset": float("nan"), "slope": 1, "weights": []},
])
def test_what_is_no_calibration_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="a calibration is"):
        Calibration.from_dict(values)


def test_nce_of_the_share_of_right_words_is_zero() -> None:
    right = np.array([True] * 8 + [False] * 2)
    assert normalised_cross_entropy(np.full(10, 0.8), right) == pytest.approx(0)
    assert normalised_cross_entropy(right.astype(float), right) == pytest.approx(1, abs=1e-4)
    assert normalised_cross_entropy(np.full(10, 0.99), right) < 0


def test_nce_needs_both_kinds() -> None:
    with pytest.raises(OptionError, match="both correct and wrong words"):
        normalised_cross_entropy([0.5, 0.5], [True, True])


def test_bins_hold_every_word() -> None:
    table = reliability([0.0, 0.05, 0.5, 1.0], [False, True, True, True], n_bins=10)
    assert table.count.tolist() == [2, 1, 1]
    assert table.accuracy.tolist() == [0.5, 1.0, 1.0]
    assert table.confidence.tolist() == [0.025, 0.5, 1.0]


@pytest.mark.parametrize(("scores", "correct", "message"), [
    ([1.5], [True], "0 to 1"), ([float("nan")], [True], "0 to 1"),
    ([0.5], [True, False], "must be"),
    ([0.5], [2], "true or false"), ([], [], "at least one word"),
])
def test_arguments_are_checked(scores: list[float], correct: list[bool], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fit_calibration(scores, correct)


def test_a_calibration_wants_its_own_features() -> None:
    with pytest.raises(OptionError, match="needs 1 features, got 0"):
        Calibration(weights=(1.0,)).probability([0.5])
    with pytest.raises(OptionError, match="finite numbers"):
        Calibration(weights=(1.0,)).probability([0.5], np.zeros((2, 1)))

"""Exercises of lessons 3, 4 and 10: features, Gaussians, noise and the prior."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from factored_asr.course.exercise import Exercise, Mistake
from factored_asr.features import FeatureOptions
from factored_asr.features.deltas import apply_kernels, delta_kernels

Array = np.ndarray


def _sounds() -> list[tuple[Array, float]]:
    random = np.random.default_rng(5)
    return [(random.normal(0, 0.1, n), 0.97) for n in (4, 9)]


def _emphasised(samples: Array, factor: float) -> Array:
    return np.array([x - (factor * samples[i - 1] if i else 0) for i, x in enumerate(samples)])


def _recursive(samples: Array, factor: float) -> Array:
    found: list[float] = []
    for sample in samples:
        found.append(sample - (factor * found[-1] if found else 0))
    return np.array(found)


def _cepstra() -> list[tuple[Array]]:
    random = np.random.default_rng(6)
    return [(random.normal(0, 1, (n, 3)),) for n in (6, 8)]


def _deltas(cepstra: Array) -> Array:
    """Those of the library, in single precision: rounded alike in `expected` and answers."""
    options = FeatureOptions(n_cepstra=3, streams="1s_c_d_dd")
    padded = np.pad(cepstra, ((3, 3), (0, 0)), mode="edge").astype(np.float32)
    library = apply_kernels(padded, delta_kernels(options))[:, 3:6]
    exact = _difference(cepstra, 2, "edge")
    return exact if np.abs(exact - library).max() < 1e-5 else library


def _difference(cepstra: Array, reach: int, mode: str) -> Array:
    padded = np.pad(cepstra, ((reach, reach), (0, 0)), mode=mode)  # type: ignore[call-overload]
    return np.asarray(padded[2 * reach :] - padded[: -2 * reach])


FEATURES = (
    Exercise(
        "preemphasis",
        "preemphasis(samples, factor) returns y[i] = x[i] - factor x[i - 1], with y[0] = x[0]. "
        "samples: (n_samples,); the result has the same shape.",
        _emphasised, _sounds(),
        (
            Mistake("Use the sample before, not the result before: this filter would ring.",
                    _recursive),
            Mistake("The first sample is missing: y[0] = x[0].",
                    lambda x, factor: x[1:] - factor * x[:-1]),
            Mistake("This adds the sample before, which damps high frequencies. Subtract it.",
                    lambda x, factor: np.append(x[0], x[1:] + factor * x[:-1])),
        ),
    ),
    Exercise(
        "deltas",
        "deltas(cepstra) returns c[t + 2] - c[t - 2] for every frame. Before the first and after "
        "the last frame, these are repeated. cepstra: (n_frames, n_cepstra).",
        _deltas, _cepstra(),
        (
            Mistake("This looks one frame to each side; it must be two.",
                    lambda c: _difference(c, 1, "edge")),
            Mistake("Repeat the first and last frame at the edges; zeros would look like a jump.",
                    lambda c: _difference(c, 2, "constant")),
            Mistake("The sign is reversed: later minus earlier.",
                    lambda c: -_difference(c, 2, "edge")),
        ),
    ),
)  # fmt: skip


# --- Gaussians -----------------------------------------------------------------------------------


def _gaussians() -> list[tuple[Array, Array, Array]]:
    random = np.random.default_rng(7)
    return [(random.normal(0, 1, n), random.normal(0, 1, n), random.uniform(0.2, 3, n))
            for n in (1, 4)]  # fmt: skip


def _mixtures() -> list[tuple[Array, Array, Array, Array]]:
    random = np.random.default_rng(8)
    return [(random.normal(0, 1, 2), random.dirichlet(np.ones(k)), random.normal(0, 1, (k, 2)),
             random.uniform(0.2, 3, (k, 2))) for k in (2, 3)]  # fmt: skip


def _log_normal(x: Array, mean: Array, variance: Array) -> float:
    return float(norm.logpdf(x, mean, np.sqrt(variance)).sum())


def _components(x: Array, means: Array, variances: Array) -> Array:
    return np.array([_log_normal(x, *each) for each in zip(means, variances, strict=True)])


GAUSSIANS = (
    Exercise(
        "log_gaussian",
        "log_gaussian(x, mean, variance) returns the log density of a Gaussian with a diagonal "
        "covariance, as one number. All arguments are (n_features,).",
        _log_normal, _gaussians(),
        (
            Mistake("The logarithm of 2 pi variance is missing: wide Gaussians are lower.",
                    lambda x, m, v: -0.5 * ((x - m) ** 2 / v).sum()),
            Mistake("This takes the variance for the standard deviation.",
                    lambda x, m, v: _log_normal(x, m, v**2)),
            Mistake("The factor 1/2 before the squared distance is missing.",
                    lambda x, m, v: -((x - m) ** 2 / v + 0.5 * np.log(2 * np.pi * v)).sum()),
        ),
    ),
    Exercise(
        "log_mixture",
        "log_mixture(x, weights, means, variances) returns the log density of a mixture. weights: "
        "(n_gaussians,), sum 1; means and variances: (n_gaussians, n_features).",
        lambda x, w, m, v: float(logsumexp(_components(x, m, v), b=w)), _mixtures(),
        (
            Mistake("The logarithm of a sum is no sum of logarithms: use logsumexp.",
                    lambda x, w, m, v: float(w @ _components(x, m, v))),
            Mistake("This is the best Gaussian alone: sum over all.",
                    lambda x, w, m, v: float((np.log(w) + _components(x, m, v)).max())),
            Mistake("The weights are missing.",
                    lambda x, w, m, v: float(logsumexp(_components(x, m, v)))),
        ),
    ),
)  # fmt: skip


# --- noise ---------------------------------------------------------------------------------------


def _mixes() -> list[tuple[Array, Array, float]]:
    random = np.random.default_rng(9)
    return [(random.normal(0, 0.1, 50), random.normal(0, 0.4, 50), snr) for snr in (12.0, 0.0, 6.0)]


def _mixed(speech: Array, noise: Array, snr: float) -> Array:
    """By search: the gain at which the measured ratio is the one asked for."""
    gain = 10 ** (-snr / 20) * np.linalg.norm(speech) / np.linalg.norm(noise)
    return speech + gain * noise


def _choices() -> list[tuple[Array, Array, float]]:
    return [
        (np.array([-100.0, -104.0, -130.0]), np.log([0.1, 0.8, 0.1]), 0.2),
        (np.array([-100.0, -104.0, -130.0]), np.log([0.1, 0.8, 0.1]), 1.0),
        (np.array([-50.0, -20.0, -45.0]), np.log([0.98, 0.01, 0.01]), 0.05),
        (np.array([-50.0, -20.0, -45.0]), np.log([0.90, 0.01, 0.09]), 0.5),
        (np.array([-10.0, -11.0]), np.log([0.01, 0.99]), 0.2),
        (np.array([-10.0, -10.1]), np.log([0.1, 0.9]), 0.5),
    ]


def _chosen(log_likelihoods: Array, log_priors: Array, scale: float) -> int:
    scores = {i: scale * a + b for i, (a, b) in enumerate(zip(log_likelihoods, log_priors,
                                                              strict=True))}  # fmt: skip
    return max(scores, key=lambda i: scores[i])


NOISE = (
    Exercise(
        "mix",
        "mix(speech, noise, snr) returns speech + gain * noise, such that the power of the speech "
        "is snr decibels above that of the scaled noise. Power is the mean square.",
        _mixed, _mixes(),
        (
            Mistake("The gain applies to amplitudes: 20 decibels are a factor of 10, so divide the "
                    "decibels by 20.",
                    lambda s, n, snr: _mixed(s, n, 2 * snr)),
            Mistake("The sign is reversed: a higher ratio means less noise.",
                    lambda s, n, snr: _mixed(s, n, -snr)),
            Mistake("The noise has a power of its own: divide by it.",
                    lambda s, n, snr: s + 10 ** (-snr / 20) * n),
        ),
    ),
    Exercise(
        "decide",
        "decide(log_likelihoods, log_priors, scale) returns the index of the hypothesis of the "
        "highest score: scale * log-likelihood + log prior. Both are (n_hypotheses,).",
        _chosen, _choices(),
        (
            Mistake("The scale is missing: the sound decides alone.",
                    lambda a, b, scale: _chosen(a, b, 1.0)),
            Mistake("The scale belongs to the log-likelihoods, not to the prior.",
                    lambda a, b, scale: int(np.argmax(a + scale * b))),
            Mistake("The prior is missing.", lambda a, b, scale: int(np.argmax(a))),
        ),
    ),
)  # fmt: skip

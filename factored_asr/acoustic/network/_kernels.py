"""Functions of single values that numpy would compute in many passes over memory."""

from __future__ import annotations

import numpy as np

from factored_asr.storage.kernels import kernel

f = np.float32
EPSILON = f(1e-5)


@kernel(fast_math=True)
def gelu(x: np.ndarray, bias: np.ndarray) -> None:
    """x = gelu(x + bias) in place, (n, n_values); gelu(v) = v / 2 (1 + erf(v / sqrt 2)).

    erf is a quotient of polynomials on [-4, 4], off by at most 4e-7, which compilers vectorise.
    """
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = x[i, j] + bias[j]
            z = min(max(v * f(0.70710678), f(-4.0)), f(4.0))
            s = z * z
            p = s * f(-2.72614225801306e-10) + f(2.77068142495902e-08)
            p = s * p + f(-2.10102402082508e-06)
            p = s * p + f(-5.69250639462346e-05)
            p = s * p + f(-7.34990630326855e-04)
            p = s * p + f(-2.95459980854025e-03)
            p = s * p + f(-1.60960333262415e-02)
            q = s * f(-1.45660718464996e-05) + f(-2.13374055278905e-04)
            q = s * q + f(-1.68282697438203e-03)
            q = s * q + f(-7.37332916720468e-03)
            q = s * q + f(-1.42647390514189e-02)
            x[i, j] = f(0.5) * v * (f(1.0) + z * p / q)


@kernel(fast_math=True)
def layer_norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Each row of (n, n_values) with mean 0 and variance 1, times the weight of its values."""
    n, width = x.shape
    result = np.empty_like(x)
    for i in range(n):
        total = f(0.0)
        for j in range(width):
            total += x[i, j]
        mean = total / f(width)
        square = f(0.0)
        for j in range(width):
            square += (x[i, j] - mean) ** 2
        inverse = f(1.0) / np.sqrt(square / f(width) + EPSILON)
        for j in range(width):
            result[i, j] = (x[i, j] - mean) * inverse * weight[j]
    return result

"""The encoder as its authors' network computes it, number by number and without short cuts.

With ``quantised`` each input of a matrix product is rounded to 8 bits over its whole range first,
as ONNX Runtime does with this file.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erf

from factored_asr.acoustic.network.encoder import Encoder


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def layer_norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    mean, variance = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * weight


def convolution(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    length = len(kernel) // x.shape[1]
    n = (len(x) - length) // stride + 1
    return np.array([x[i * stride : i * stride + length].ravel() @ kernel for i in range(n)])


def to_8_bits(x: np.ndarray) -> np.ndarray:
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    scale = np.float32((high - low) / 255)
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return (np.clip(np.rint(x.astype(np.float32) / scale) + zero, 0, 255) - zero) * float(scale)


def rotate(x: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Turn the pairs (0, 1), (2, 3), … of each row by its number times their frequency."""
    x = x.copy()
    for i, row in enumerate(x):
        for k, frequency in enumerate(frequencies):
            c, s = np.cos(i * frequency), np.sin(i * frequency)
            a, b = row[2 * k], row[2 * k + 1]
            row[2 * k], row[2 * k + 1] = a * c - b * s, b * c + a * s
    return x


def encode(encoder: Encoder, samples: np.ndarray, quantised: bool = False) -> list[np.ndarray]:
    """h[0] to h[7] in float64."""
    rounded = to_8_bits if quantised else lambda x: x
    x = np.tanh(convolution(samples[:, None].astype(np.float64), encoder.conv1, 64))
    x = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * encoder.group_norm[0] + encoder.group_norm[1]
    x = gelu(convolution(x, encoder.conv2, 3) + encoder.conv2_bias)
    x = gelu(convolution(x, encoder.conv3, 2) + encoder.conv3_bias)
    hidden = [x]
    for block in encoder.blocks:
        mixed = []
        maps = rounded(layer_norm(x, block.attention_norm)) @ block.query_key_value
        for head in range(8):
            query, key, value = (
                maps[:, 288 * part + 36 * head : 288 * part + 36 * (head + 1)] for part in range(3)
            )
            scores = rotate(query, encoder.frequencies) @ rotate(key, encoder.frequencies).T
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            mixed.append(weights / weights.sum(axis=1, keepdims=True) @ value)
        x = x + rounded(np.concatenate(mixed, axis=1)) @ block.out
        wide = rounded(layer_norm(x, block.mlp_norm)) @ block.wide + block.wide_bias
        x = x + rounded(gelu(wide)) @ block.narrow + block.narrow_bias
        hidden.append(x)
    return [*hidden, layer_norm(x, encoder.final_norm)]

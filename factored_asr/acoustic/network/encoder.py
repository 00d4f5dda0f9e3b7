"""The encoder of a speech network: sound in, a vector of 288 numbers for each 24 ms out.

Three convolutions turn samples into frames. Six blocks of attention and a small network then let
each frame look at all others of its window (A. Vaswani and others, "Attention is all you need",
2017). The weights are those of Moonshine tiny (N. Jeffries and others, "Moonshine: speech
recognition for live transcription and voice commands", 2024); see `moonshine.py`.

    samples ─ conv 127/64, tanh, group norm ─ conv 7/3, gelu ─ conv 3/2, gelu ─ h[0]
    h[k + 1] = h[k] + attention(norm(h[k])) + mlp(norm(…)),  k = 0 … 5;   h[7] = norm(h[6])
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

from factored_asr.acoustic.network._kernels import gelu, layer_norm

STRIDES = (64, 3, 2)
"""Steps of the three convolutions, in values of their input."""
HOP = 384
"""Samples from one frame to the next: the product of the strides; 24 ms at 16 kHz."""
FIELD = 895
"""Samples that the convolutions of one frame see; shorter sounds have no frame."""
SAMPLE_RATE = 16_000
"""Hz."""
N_HEADS = 8
"""Parts of a frame's vector that attend on their own."""
ROTATED = 32
"""Values of each head, of 36, that the position rotates."""


@dataclass(frozen=True, eq=False)
class Block:
    """The weights of one block; matrices are (n_inputs, n_outputs)."""

    attention_norm: np.ndarray
    """(288,): weight of the layer norm before the attention."""
    query_key_value: np.ndarray
    """(288, 3 · 288): three maps side by side."""
    out: np.ndarray
    """(288, 288)."""
    mlp_norm: np.ndarray
    """(288,)."""
    wide: np.ndarray
    """(288, 1152)."""
    wide_bias: np.ndarray
    """(1152,)."""
    narrow: np.ndarray
    """(1152, 288)."""
    narrow_bias: np.ndarray
    """(288,)."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """The weights of the encoder, float32; nothing in it changes, so threads may share it."""

    conv1: np.ndarray
    """(127, 288): a kernel's values and inputs by its outputs; it has no bias."""
    group_norm: np.ndarray
    """(2, 288): weight and bias of each output of `conv1`."""
    conv2: np.ndarray
    """(7 · 288, 576)."""
    conv2_bias: np.ndarray
    """(576,)."""
    conv3: np.ndarray
    """(3 · 576, 288)."""
    conv3_bias: np.ndarray
    """(288,)."""
    frequencies: np.ndarray
    """(16,): radians a frame by which pairs of values are rotated."""
    blocks: tuple[Block, ...]
    """The six blocks."""
    final_norm: np.ndarray
    """(288,)."""

    def __call__(self, samples: np.ndarray) -> list[np.ndarray]:
        """Return the frames of a window of sound after each block.

        Parameters
        ----------
        samples
            (n_samples,) float32 in [-1, 1], at least `FIELD` of them, at 16 kHz.

        Returns
        -------
        h[0] to h[7], each (n_frames, 288) float32: what the convolutions give, what is left after
        each block, and the last of these normalised: the encoder's output. Frame i sees samples
        ``HOP * i`` to ``HOP * i + FIELD``, and through attention all other frames.
        """
        hidden = [self.convolutions(samples)]
        turns = self._turns(len(hidden[0]))
        for block in self.blocks:
            x = hidden[-1] + attention(layer_norm(hidden[-1], block.attention_norm), block, turns)
            wide = layer_norm(x, block.mlp_norm) @ block.wide
            gelu(wide, block.wide_bias)
            x += wide @ block.narrow
            x += block.narrow_bias
            hidden.append(x)
        return [*hidden, layer_norm(hidden[-1], self.final_norm)]

    def convolutions(self, samples: np.ndarray) -> np.ndarray:
        """Return the frames that enter the first block, (n_frames, 288).

        The group norm takes mean and variance over all values of the window, and so removes its
        level; what it sees was bounded by tanh.
        """
        x = np.tanh(convolution(samples[:, None], self.conv1, STRIDES[0]))
        weight, bias = self.group_norm
        x = (x - x.mean()) * (weight / np.sqrt(x.var() + np.float32(1e-5))) + bias
        for kernel, kernel_bias, stride in (
            (self.conv2, self.conv2_bias, STRIDES[1]), (self.conv3, self.conv3_bias, STRIDES[2]),
        ):  # fmt: skip
            x = convolution(x, kernel, stride)
            gelu(x, kernel_bias)
        return x

    def _turns(self, n_frames: int) -> np.ndarray:
        """(n_frames, 1, 16) complex: by what the pairs of values of each frame are turned."""
        angles = np.arange(n_frames, dtype=np.float32)[:, None] * self.frequencies
        return np.exp(1j * angles).astype(np.complex64)[:, None, :]


def convolution(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """Return a convolution over time: each output is a weighted sum of a few rows of its input.

    Parameters
    ----------
    x
        (n, n_inputs) float32, contiguous.
    kernel
        (length · n_inputs, n_outputs), of `length` rows each.
    stride
        Rows of the input from one output to the next.
    """
    n, width = x.shape
    length, size = len(kernel) // width, x.itemsize
    rows = as_strided(x, ((n - length) // stride + 1, length * width),
                      (stride * width * size, size), writeable=False)  # fmt: skip
    return rows @ kernel


def attention(x: np.ndarray, block: Block, turns: np.ndarray) -> np.ndarray:
    """Return for each frame a mean of values of all frames, weighted by how they fit its query.

    Queries and keys are rotated by their frames' positions, so that their product depends on how
    far the frames are apart (J. Su and others, "RoFormer: enhanced transformer with rotary position
    embedding", 2021).
    """
    n, width = x.shape
    size = width // N_HEADS
    query, key, value = (x @ block.query_key_value).reshape(n, 3, N_HEADS, size).transpose(
        1, 2, 0, 3
    )  # each (N_HEADS, n, size)
    for each in (query, key):
        each[..., :ROTATED].view(np.complex64)[...] *= turns.transpose(1, 0, 2)
    weights = query @ key.transpose(0, 2, 1)
    weights -= weights.max(axis=2, keepdims=True)
    np.exp(weights, out=weights)
    mixed = weights @ value / weights.sum(axis=2, keepdims=True)
    return mixed.transpose(1, 0, 2).reshape(n, width) @ block.out

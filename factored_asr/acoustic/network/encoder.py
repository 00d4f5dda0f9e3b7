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
from factored_asr.acoustic.network.memory import STRIDES, WIDTH, Memory

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

    def __call__(self, samples: np.ndarray, memory: Memory | None = None) -> list[np.ndarray]:
        """Return the frames of a piece of sound after each block.

        Parameters
        ----------
        samples
            (n_samples,) float32 in [-1, 1], at least `FIELD` of them, at 16 kHz.
        memory
            What is in mind of the sound before the piece, to which the piece is added; None
            (default): nothing is before it.

        Returns
        -------
        h[0] to h[7], each (n_frames, 288) float32: what the convolutions give, what is left after
        each block, and the last of these normalised: the encoder's output. Frame i sees samples
        ``HOP * i`` to ``HOP * i + FIELD``, and through attention all other frames.
        """
        memory = Memory() if memory is None else memory
        hidden = [self.convolutions(samples, memory)]
        turns = self._turns(memory.n_frames)
        for number, block in enumerate(self.blocks):
            x = layer_norm(hidden[-1], block.attention_norm) @ block.query_key_value
            x = hidden[-1] + attention(x, memory.with_block(number, x), turns) @ block.out
            wide = layer_norm(x, block.mlp_norm) @ block.wide
            gelu(wide, block.wide_bias)
            x += wide @ block.narrow
            x += block.narrow_bias
            hidden.append(x)
        return [*hidden, layer_norm(hidden[-1], self.final_norm)]

    def convolutions(self, samples: np.ndarray, memory: Memory) -> np.ndarray:
        """Return the frames that enter the first block, (n_frames, 288).

        The group norm takes mean and variance over all values, those before the piece included,
        and so removes the level of the sound; what it sees was bounded by tanh.
        """
        x = np.tanh(convolution(samples[:, None], self.conv1, STRIDES[0]))
        mean, variance = memory.moments(x)
        weight, bias = self.group_norm
        x = (x - mean) * (weight / np.sqrt(variance + np.float32(1e-5))) + bias
        for kernel, kernel_bias, stride in (
            (self.conv2, self.conv2_bias, STRIDES[1]), (self.conv3, self.conv3_bias, STRIDES[2]),
        ):  # fmt: skip
            x = convolution(x, kernel, stride)
            gelu(x, kernel_bias)
        return x

    def _turns(self, n_frames: int) -> np.ndarray:
        """(n_frames, 16) complex: by what the pairs of values of each frame are turned."""
        angles = np.arange(n_frames, dtype=np.float32)[:, None] * self.frequencies
        return np.exp(1j * angles).astype(np.complex64)


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


def attention(x: np.ndarray, keys_values: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return for each frame a mean of values of all frames, weighted by how they fit its query.

    Queries and keys are rotated by their frames' positions, so that their product depends on how
    far the frames are apart (J. Su and others, "RoFormer: enhanced transformer with rotary position
    embedding", 2021).

    Parameters
    ----------
    x
        (n_frames, ≥ 288): begins with the frames' queries.
    keys_values
        (n_all, 2 · 288): keys and values of all frames, these the last.
    turns
        (n_all, 16) complex: the rotation of each.
    """
    n = len(x)
    query, key, value = (
        part.reshape(len(part), N_HEADS, -1).transpose(1, 0, 2)
        for part in (x[:, :WIDTH], keys_values[:, :WIDTH], keys_values[:, WIDTH:])
    )  # each (N_HEADS, n_frames or n_all, 36)
    weights = rotated(query, turns[-n:]) @ rotated(key, turns).transpose(0, 2, 1)
    weights -= weights.max(axis=2, keepdims=True)
    np.exp(weights, out=weights)
    mixed = weights @ value / weights.sum(axis=2, keepdims=True)
    return mixed.transpose(1, 0, 2).reshape(n, WIDTH)


def rotated(x: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Turn pairs of values, as complex numbers; the values behind `ROTATED` stay as they are."""
    x = x.copy()
    x[..., :ROTATED].view(np.complex64)[...] *= turns
    return x

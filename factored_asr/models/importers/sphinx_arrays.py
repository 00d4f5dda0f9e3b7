"""Sphinx's parameter files: Gaussians, transitions and mixture weights, as arrays.

Most are of the S3 form (``bio.c``): a text header, the word 0x11223344 that shows the byte order,
int32 sizes, float32 data and a checksum. ``sendump`` holds mixture weights in a byte each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from factored_asr.acoustic.gmm._kernels import rotating_checksum
from factored_asr.errors import FormatError
from factored_asr.storage.cursor import Cursor

BYTE_ORDER = 0x11223344
WEIGHT_FLOOR = 1e-7  # Sphinx's mixwfloor
DUMP_FLOOR = 1e-9  # what a byte can say goes lower, but three streams of it are no float32
TRANSITION_FLOOR = 1e-4  # Sphinx's tmatfloor
LOG_UNIT = 1024 * math.log(1.0001)  # nats in one step of a weight in a byte


def read_gaussians(path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
    """Read ``means`` or ``variances``, and the number of features in each stream.

    The Gaussians are (n_codebooks, n_gaussians, n_features) float32, the streams side by side.
    """
    words = _read_s3(path)
    n_books, n_streams, n_gaussians = _sizes(words, 3)
    *sizes, total = _sizes(words, n_streams + 1)
    data = _numbers(words, (n_books, n_gaussians, sum(sizes)), total)
    by_book = data.reshape(n_books, n_gaussians * sum(sizes))
    ends = np.cumsum(sizes) * n_gaussians
    streams = [
        by_book[:, end - size * n_gaussians : end].reshape(n_books, n_gaussians, size)
        for size, end in zip(sizes, ends, strict=True)
    ]
    return np.concatenate(streams, axis=2), tuple(sizes)


def read_transitions(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read ``transition_matrices``: loop and exit log probabilities.

    Both are (n_matrices, n_states) float32; rows are normalised and floored as Sphinx does. Raises
    FormatError for a transition back, or one that skips a state: HMMs are chains here.
    """
    words = _read_s3(path)
    n_matrices, n_from, n_to, total = _sizes(words, 4)
    weights = _weights(words, (n_matrices, n_from, n_to), total, "transition")
    if n_to != n_from + 1:
        raise FormatError(f"{n_from} states must have {n_from + 1} goals, not {n_to}", path)
    state = np.arange(n_from)
    outside = np.ones((n_from, n_to), bool)
    outside[state, state] = outside[state, state + 1] = False
    stray = np.argwhere((weights > 0) & outside)
    if len(stray):
        matrix, source, goal = stray[0]
        what = "skips a state" if goal > source else "goes back"
        raise FormatError(
            f"matrix {matrix}: the transition from state {source} to {goal} {what}; only staying "
            "and going on to the next state are supported", path,
        )  # fmt: skip
    pair = np.stack([weights[:, state, state], weights[:, state, state + 1]])
    if not (pair[1] > 0).all():
        matrix, source = np.argwhere(pair[1] <= 0)[0]
        raise FormatError(f"matrix {matrix}: state {source} can never be left", path)
    pair /= pair.sum(axis=0)
    pair = np.where(pair > 0, np.maximum(pair, TRANSITION_FLOOR), 0.0)
    with np.errstate(divide="ignore"):
        loop, exit_ = np.log(pair / pair.sum(axis=0)).astype(np.float32)
    return loop, exit_


def read_mixture_weights(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Read ``mixture_weights`` (or counts): (n_streams, n_gaussians, n_senones) float32."""
    words = _read_s3(path)
    n_senones, n_streams, n_gaussians, total = _sizes(words, 4)
    _check_shape(path, (n_streams, n_gaussians, n_senones), shape)
    weights = _weights(words, (n_senones, n_streams, n_gaussians), total, "mixture")
    weights = weights.transpose(1, 2, 0)
    sums = weights.sum(axis=1, keepdims=True)
    if not (sums > 0).all():
        stream, _, senone = np.argwhere(sums <= 0)[0]
        raise FormatError(f"senone {senone}: the weights of stream {stream} are all zero", path)
    weights = np.maximum(weights / sums, WEIGHT_FLOOR)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def read_sendump(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Read ``sendump``, weights as bytes: (n_streams, n_gaussians, n_senones) float32.

    A byte w stands for 1.0001 ** -(1024 w). The file has strings (a length, then the text), an
    empty one, then rows of bytes by stream and Gaussian. Or indices of four or eight bits into a
    table of sixteen such bytes.
    """
    data = path.read_bytes()
    dump = Cursor(data, path)
    order = "<" if 0 < int.from_bytes(data[:4], "little", signed=True) < 1000 else ">"
    facts = _dump_header(dump, f"{order}i4")
    n_streams, n_gaussians, n_senones = shape
    named = ("feature_count", "mixture_count", "model_count")
    _check_shape(path, [facts.get(name, n) for name, n in zip(named, shape, strict=True)], shape)
    clusters, bits = facts.get("cluster_count", 0), facts.get("cluster_bits", 8)
    if clusters not in (0, 15, 16) or bits not in (4, 8) or (bits == 4 and not clusters):
        raise FormatError(f"{clusters} clusters of {bits} bits must be 0, 15 or 16 of 4 or 8", path)
    width = n_senones
    if not clusters:
        rows, width = dump.take(f"{order}i4", 2, "numbers of rows and columns").tolist()
        _check_shape(path, (n_streams, rows, min(width, n_senones)), shape)
    table = dump.take("u1", 16 if clusters else 0, "table of clusters")
    step = (width + 1) // 2 if bits == 4 else width
    packed = dump.take("u1", n_streams * n_gaussians * step, "weights")
    packed = packed.reshape(n_streams, n_gaussians, step)
    if bits == 4:
        packed = np.stack([packed & 15, packed >> 4], axis=3).reshape(n_streams, n_gaussians, -1)
    if clusters:
        if packed.max() > 15:
            raise FormatError(f"weight index {packed.max()} must be below 16", path)
        packed = table[packed]
    values = np.maximum(np.exp(-LOG_UNIT * np.arange(256)), DUMP_FLOOR).astype(np.float32)
    return values[packed[:, :, :n_senones]]


def _dump_header(dump: Cursor, size_kind: str) -> dict[str, int]:
    """Return the counts named in a sendump's strings, of which an empty one is the last."""
    facts: dict[str, int] = {}
    while size := dump.number(size_kind, "the size of a header string"):
        if not 0 < size < 1000:
            dump.fail(f"a header string of {size} bytes at byte {dump.at} cannot be")
        text = dump.take("u1", size, "a header string").tobytes().rstrip(b"\0")
        name, _, value = text.decode("latin-1").partition(" ")
        if name.endswith(("_count", "_bits")) and value.isdecimal():
            facts[name] = int(value)
    return facts


def _read_s3(path: Path) -> Cursor:
    """Return the numbers of an S3 file in native byte order, checksum checked and taken off."""
    data = path.read_bytes()
    end = b"endhdr\n" if data.startswith(b"s3\n") else b"*end_comment*\n"
    at = data.find(end)
    if at < 0:
        raise FormatError(f"the header must end with {end.decode().strip()!r}", path)
    header = data[:at].decode("latin-1").splitlines()
    attributes = dict(line.split(maxsplit=1) for line in header if len(line.split()) > 1)
    body = data[at + len(end) :]
    if len(body) < 8 or len(body) % 4:
        raise FormatError(f"a body of {len(body)} bytes must be whole words of four", path)
    words = np.frombuffer(body, "<u4").astype(np.uint32)
    if words[0] != BYTE_ORDER:
        words = words.byteswap()
    if words[0] != BYTE_ORDER:
        raise FormatError(f"byte-order mark {body[:4].hex()} must be {BYTE_ORDER:x}", path)
    words = words[1:]
    if attributes.get("chksum0", "no") != "no":
        words, noted = words[:-1], int(words[-1])
        if (found := int(rotating_checksum(words))) != noted:
            raise FormatError(f"checksum {found:08x} must be {noted:08x}, as noted", path)
    return Cursor(words.view(np.uint8), path)


def _sizes(words: Cursor, count: int) -> list[int]:
    sizes: list[int] = words.take("i4", count, "sizes").tolist()
    if min(sizes) < 1:
        words.fail(f"size {min(sizes)} in the header must be positive")
    return sizes


def _numbers(words: Cursor, shape: tuple[int, ...], total: int) -> np.ndarray:
    """Return all that is left, (shape) float32."""
    found = words.left // 4
    if math.prod(shape) != total or total != found:
        product = " × ".join(map(str, shape))
        words.fail(f"the header speaks of {total} numbers and of {product}, the file holds "
                   f"{found}: all three must agree")
    return words.take("f4", total, "numbers").reshape(shape)


def _weights(words: Cursor, shape: tuple[int, ...], total: int, what: str) -> np.ndarray:
    weights = _numbers(words, shape, total).astype(np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        words.fail(f"a {what} weight is negative or not finite")
    return weights


def _check_shape(path: Path, found: Sequence[int], expected: Sequence[int]) -> None:
    if tuple(found) != tuple(expected):
        raise FormatError(
            f"{found[0]} streams of {found[1]} Gaussians for {found[2]} senones must be "
            f"{expected[0]} of {expected[1]} for {expected[2]}, as in means and mdef", path,
        )  # fmt: skip

"""A small Sphinx model on disk."""

from __future__ import annotations

from pathlib import Path

import naive_acoustic as naive
import numpy as np

TINY_MDEF = """\
0.3
3 n_base
1 n_tri
12 n_state_map
8 n_tied_state
6 n_tied_ci_state
2 n_tied_tmat
#
# base lft  rt p attrib tmat      ... state id's ...
   AH   -   - -    n/a    0      0      1 N
  SIL   -   - - filler    1      2      3 N
    T   -   - -    n/a    0      4      5 N
   AH SIL   T b    n/a    0      6      7 N
"""


def s3(path: Path, sizes: tuple[int, ...], data: np.ndarray, order: str = "<") -> Path:
    """Write an S3 file: header, byte-order mark, sizes and data, checksum."""
    body = np.concatenate([np.array(sizes, "i4").view("u4"), data.astype("f4").ravel().view("u4")])
    words = np.concatenate([[0x11223344], body, [naive.rotating_checksum(body)]])
    path.write_bytes(
        b"s3\nversion 1.0\nchksum0 yes\nendhdr\n" + words.astype(f"{order}u4").tobytes()
    )
    return path


def chains(n_matrices: int = 2, n_states: int = 2) -> np.ndarray:
    matrices = np.zeros((n_matrices, n_states, n_states + 1))
    matrices[:, range(n_states), range(n_states)] = 3
    matrices[:, range(n_states), range(1, n_states + 1)] = 1
    return matrices


def tiny_model(folder: Path, n_books: int, sizes: tuple[int, ...] = (13,), seed: int = 0) -> Path:
    """A model of three phones, eight senones and four Gaussians a codebook."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    (folder / "mdef").write_text(TINY_MDEF)
    (folder / "feat.params").write_text("-feat 1s_c -nfilt 25 -transform dct\n")
    total = n_books * 4 * sum(sizes)
    header = (n_books, len(sizes), 4, *sizes, total)
    s3(folder / "means", header, rng.normal(size=total))
    s3(folder / "variances", header, rng.uniform(0.5, 2, total))
    weights = rng.uniform(1, 9, (8, len(sizes), 4))
    s3(folder / "mixture_weights", (*weights.shape, weights.size), weights)
    s3(folder / "transition_matrices", (2, 2, 3, 12), chains())
    return folder

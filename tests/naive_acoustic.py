"""Slow, obvious twins of the acoustic model's fast functions, and the peer's own arithmetic."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from factored_asr.acoustic import BEGIN, END, INTERNAL, SINGLE

LOG_BASE = math.log(1.0001)


def log_gaussian(x, mean, variance):
    """Log density of a diagonal Gaussian."""
    return sum(
        -0.5 * (math.log(2 * math.pi * v) + (a - m) ** 2 / v)
        for a, m, v in zip(map(float, x), map(float, mean), map(float, variance), strict=True)
    )


def log_add(logs):
    largest = max(logs)
    return largest + math.log(sum(math.exp(value - largest) for value in logs))


def log_sum_exp(log_gaussians, first, out):
    for t, row in enumerate(log_gaussians.tolist()):
        for p in range(len(first) - 1):
            out[t, p] = log_add(row[first[p] : first[p + 1]])


def diagonal_scores(mixtures, features):
    """Scores of `DiagonalMixtures`, Gaussian by Gaussian."""
    scores = np.empty((len(features), mixtures.n_pdfs))
    for t, x in enumerate(features):
        for pdf in range(mixtures.n_pdfs):
            scores[t, pdf] = log_add([
                math.log(mixtures.weights[g])
                + log_gaussian(x, mixtures.means[g], mixtures.variances[g])
                for g in range(mixtures.first_gaussian[pdf], mixtures.first_gaussian[pdf + 1])
            ])  # fmt: skip
    return scores


def tied_scores(mixtures, features):
    """Scores of `TiedMixtures`, Gaussian by Gaussian, stream by stream."""
    scores = np.zeros((len(features), mixtures.n_pdfs))
    for t, x in enumerate(features):
        for pdf, book in enumerate(mixtures.codebook):
            start = 0
            for stream, size in enumerate(mixtures.streams):
                part = slice(start, start + size)
                scores[t, pdf] += log_add([
                    math.log(mixtures.weights[stream, g, pdf])
                    + log_gaussian(x[part], mean[part], variance[part])
                    for g, (mean, variance) in enumerate(
                        zip(mixtures.means[book], mixtures.variances[book], strict=True)
                    )
                ])  # fmt: skip
                start += size
    return scores


def nearest_triphone(triphones):
    """Sphinx's search for the nearest triphone, one question at a time; returns the asker."""
    known = {
        tuple(context): hmm
        for context, hmm in zip(triphones.contexts.tolist(), triphones.hmms.tolist(), strict=True)
    }
    silence = triphones.silence

    def heard_as(phone):
        return silence if silence >= 0 and phone in triphones.fillers else phone

    def anywhere(centre, left, right, position):
        for place in (position, INTERNAL, BEGIN, END, SINGLE):
            hmm = known.get((centre, heard_as(left), heard_as(right), place))
            if hmm is not None:
                return hmm
        return None

    def ask(centre, left, right, position):
        if left < 0 or right < 0:
            return centre
        hmm = anywhere(centre, left, right, position)
        if hmm is None and silence >= 0:
            left = silence if position in (BEGIN, SINGLE) else left
            right = silence if position in (END, SINGLE) else right
            hmm = anywhere(centre, left, right, position)
        return centre if hmm is None else hmm

    return ask


def rotating_checksum(words):
    total = 0
    for word in words.tolist():
        total = ((total << 20 | total >> 12) + word) & 0xFFFFFFFF
    return total


def sphinx_features(cepstra):
    """The peer's batch normalisation and ``1s_c_d_dd`` of whole-utterance cepstra, float32."""
    speech = cepstra[cepstra[:, 0] >= 0]  # frames of zero energy are left out
    static = cepstra - speech.mean(axis=0, dtype=np.float32)
    padded = np.pad(static, ((3, 3), (0, 0)), mode="edge")
    at = {k: padded[3 + k : 3 + k + len(static)] for k in range(-3, 4)}
    return np.hstack([static, at[2] - at[-2], (at[3] - at[-1]) - (at[1] - at[-3])])


def read_senone_scores(path: Path):
    """A senone dump of the peer with all senones in each frame: (n_frames, n_senones) int16."""
    header, _, body = path.read_bytes().partition(b"endhdr\n")
    facts = dict(line.split(None, 1) for line in header.decode().splitlines()[1:])
    n_senones = int(facts["n_sen"])
    rows = np.frombuffer(body, "<i2", offset=4).reshape(-1, n_senones + 1)
    assert (rows[:, 0] == n_senones).all()
    return rows[:, 1:]


def read_cepstra(path: Path):
    return np.fromfile(path, ">f4", offset=4).reshape(-1, 13).astype(np.float32)


def _add_table():
    """Log additions of values in steps of 1024 logs of 1.0001, as ``logmath_init`` makes them."""
    table = np.zeros(256, np.int64)
    for i in range(256 * 1024):
        k = int(math.log1p(1.0001**-i) / LOG_BASE + 512) >> 10
        if table[i >> 10] == 0:  # the first of the values that share an entry
            table[i >> 10] = k
        if k <= 0:
            break
    return table


def sphinx_top_scores(mixtures, quantised, features, n_top=4):
    """Senone scores as pocketsphinx's ``ptm_mgau.c`` makes them: (n_frames, n_senones) int.

    Integers count -1024 logs of base 1.0001, relative to the best senone of the frame. Only the
    n_top best Gaussians of each codebook and stream count, cut at 96 below the best of all
    codebooks; weights are the bytes of ``sendump``.
    """
    n_books, n_gaussians, _ = mixtures.means.shape
    table = _add_table()
    ends = np.cumsum(mixtures.streams)
    streams = [slice(end - n, end) for end, n in zip(ends, mixtures.streams, strict=True)]
    variances = mixtures.variances.astype(np.float64)
    slope = np.trunc(0.5 / variances / LOG_BASE).astype(np.float32)
    level = np.trunc(np.log(1 / np.sqrt(2 * np.pi * variances)) / LOG_BASE)
    scores = np.zeros((len(features), mixtures.n_pdfs), np.int64)
    for t, x in enumerate(features.astype(np.float32)):
        for stream, part in enumerate(streams):
            top = np.empty((n_books, n_top), np.int64)
            value = np.empty((n_books, n_top), np.int64)
            for book in range(n_books):
                density = level[book, :, part].sum(axis=1).astype(np.float32)
                for d in range(part.start, part.stop):  # float32, in the peer's order
                    difference = x[d] - mixtures.means[book, :, d]
                    density = density - difference * difference * slope[book, :, d]
                density = np.trunc(density).astype(np.int64)
                top[book] = np.argsort(-density, kind="stable")[:n_top]
                value[book] = density[top[book]] >> 10
            value = np.minimum(value[:, 0].max() - value, 96)
            for book in range(n_books):
                pdfs = np.flatnonzero(mixtures.codebook == book)
                total = None
                for k in range(n_top):
                    term = quantised[stream, top[book, k], pdfs].astype(np.int64) + value[book, k]
                    if total is None:
                        total = term
                    else:
                        total = np.minimum(total, term) - table[np.abs(total - term)]
                scores[t, pdfs] += total
    return scores - scores.min(axis=1, keepdims=True)


def gaussian_in_noise(mean, variance, around, transform, inverse):
    """A Gaussian of clean cepstra in noise, number by number; and its Jacobian."""
    n_mels, size = transform.shape
    clean = [m + h for m, h in zip(mean, around.channel, strict=True)]
    ratio = [
        sum((around.noise[i] - clean[i]) * inverse[i][f] for i in range(size))
        for f in range(n_mels)
    ]
    moved = [
        clean[j] + sum(math.log(1 + math.exp(ratio[f])) * transform[f][j] for f in range(n_mels))
        for j in range(size)
    ]
    jacobian = [
        [
            sum(inverse[i][f] / (1 + math.exp(ratio[f])) * transform[f][j] for f in range(n_mels))
            for j in range(size)
        ]
        for i in range(size)
    ]
    spread = [
        sum(
            jacobian[i][j] ** 2 * variance[i]
            + ((i == j) - jacobian[i][j]) ** 2 * around.variance[i]
            for i in range(size)
        )
        for j in range(size)
    ]
    return moved, spread, jacobian

"""A small model in the files of Vosk, with random weights: three words, of three phones.

Its files have Kaldi's and OpenFst's binary forms; nothing of the library writes them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

WORDS = {"aa": [((0, 1), 1.0)], "bee": [((1,), 1.0)], "sea": [((2, 0, 1), 0.75), ((2, 1), 0.25)]}
"""Word → its pronunciations, as phones and a probability."""
TABLE = ("<eps>", *WORDS, "#0", "</s>")
N_PHONES = 3
SILENCE, BEGIN, END, INTERNAL, SINGLE = 1, 0, 1, 2, 3
N_IDS = 1 + 4 * N_PHONES  # silence, and each phone in four places
N_ROWS = 2 * N_IDS
N_PDFS = 2 * N_ROWS
SILENCE_AFTER = 0.2
LN2 = float(np.log(2))
STEP = 3


def word(text: str) -> bytes:
    return text.encode() + b" "


def integer(value: int) -> bytes:
    return b"\x04" + struct.pack("<i", value)


def real(value: float) -> bytes:
    return b"\x04" + struct.pack("<f", value)


def integers(values: Iterable[int]) -> bytes:
    data = np.array([*values], "<i4")
    return b"\x04" + struct.pack("<i", len(data)) + data.tobytes()


def vector(values: Any) -> bytes:
    data = np.asarray(values, "<f4")
    return b"FV " + integer(len(data)) + data.tobytes()


def matrix(values: Any) -> bytes:
    data = np.ascontiguousarray(values, "<f4")
    return b"FM " + integer(data.shape[0]) + integer(data.shape[1]) + data.tobytes()


def symmetric(values: np.ndarray) -> bytes:
    half = values[np.tril_indices(len(values))].astype("<f4")
    return b"FP " + integer(len(values)) + half.tobytes()


def component(kind: str, **values: Any) -> bytes:
    """A component with tokens in this order; a bool, int, float, list or array behind each."""
    parts = [word(f"<{kind}>")]
    for name, value in values.items():
        parts.append(word(f"<{name}>"))
        if isinstance(value, bool):
            parts.append(b"T" if value else b"F")
        elif isinstance(value, bytes):
            parts.append(value)
        elif isinstance(value, int):
            parts.append(integer(value))
        elif isinstance(value, float):
            parts.append(real(value))
        elif isinstance(value, list):
            parts.append(integers(value))
        else:
            parts.append((vector if np.ndim(value) == 1 else matrix)(value))
    return b"".join([*parts, word(f"</{kind}>")])


def network(lines: Sequence[str], components: dict[str, bytes]) -> bytes:
    """A network as ``final.mdl`` holds it behind the transition model."""
    text = "\n".join(["<Nnet3> ", *lines, "", ""]).encode()
    parts = [text, word("<NumComponents>"), integer(len(components))]
    for name, data in components.items():
        parts += [word("<ComponentName>"), word(name), data]
    parts += [word("</Nnet3>"), word("<LeftContext>"), integer(0), word("<RightContext>"),
              integer(0), word("<Priors>"), vector([])]
    return b"".join(parts)


def network_file(lines: Sequence[str], components: dict[str, bytes], n_pdfs: int = 2) -> bytes:
    """A whole ``final.mdl`` with one phone."""
    return b"\0B" + transitions([(1, 0, 0, n_pdfs - 1)], 1) + network(lines, components)


def transitions(rows: Sequence[tuple[int, ...]], n_phones: int) -> bytes:
    """A transition model: one state a phone, stays with 0.5."""
    state = integer(0) + integer(1) + integer(2)
    state += integer(0) + real(0.5) + integer(1) + real(0.5)
    last = integer(-1) + integer(-1) + integer(0)
    entry = integer(2) + state + last
    parts = [word("<TransitionModel>"), word("<Topology>"), integers(range(1, n_phones + 1)),
             integers([-1] + [0] * n_phones), integer(-1), integer(1), entry, word("</Topology>"),
             word("<Tuples>"), integer(len(rows)),
             b"".join(integer(value) for row in rows for value in row), word("</Tuples>"),
             word("<LogProbs>"), vector([0.0, *[-LN2] * (2 * len(rows))]), word("</LogProbs>"),
             word("</TransitionModel>")]
    return b"".join(parts)


def number(phone: int, place: int) -> int:
    """Kaldi's number of a phone in a place of its word."""
    return 2 + 4 * phone + place


def row_of(before: int, phone: int) -> int:
    """The transition state of a phone (a number) after another."""
    return 2 * (phone - 1) + before % 2


def spelled(phones: Sequence[int]) -> list[int]:
    """Numbers of the phones of a word."""
    last = len(phones) - 1
    places = [SINGLE] if not last else [BEGIN, *[INTERNAL] * (last - 1), END]
    return [number(phone, place) for phone, place in zip(phones, places, strict=True)]


class _Fst:
    def __init__(self) -> None:
        self.arcs: list[tuple[int, int, int, float, int]] = []
        self.n_states = 0

    def state(self) -> int:
        self.n_states += 1
        return self.n_states - 1

    def data(self, final: set[int]) -> bytes:
        arcs = sorted(self.arcs)
        counts = np.bincount([arc[0] for arc in arcs], minlength=self.n_states)
        first = np.cumsum(counts) - counts
        parts = [header("const", 0, self.n_states, len(arcs))]
        for state in range(self.n_states):
            cost = 0.0 if state in final else float("inf")
            parts.append(struct.pack("<fIIII", cost, first[state], counts[state], 0, 0))
        parts += [struct.pack("<iifi", label, out, cost, target)
                  for _, label, out, cost, target in arcs]
        return b"".join(parts)


def header(kind: str, start: int, n_states: int, n_arcs: int, flags: int = 0) -> bytes:
    name = kind.encode()
    return (struct.pack("<ii", 2125659606, len(name)) + name + struct.pack("<i", 8) + b"standard"
            + struct.pack("<iiQqqq", 1, flags, 0, start, n_states, n_arcs))


def lookahead_graph() -> bytes:
    """``HCLr.fst``: the words between boundaries, one for each phone that may come before."""
    fst = _Fst()
    start = fst.state()
    ends = {0, SILENCE} | {spelled(phones)[-1] for each in WORDS.values() for phones, _ in each}
    boundary = {before: fst.state() for before in sorted(ends)}
    n_tids = 2 * N_ROWS
    plain, backoff = n_tids + 1, n_tids + 2

    def read(source: int, before: int, phone: int, out: int, cost: float, target: int) -> None:
        row = row_of(before, phone)
        fst.arcs.append((source, 2 * row + 2, out, cost, target))
        fst.arcs.append((target, 2 * row + 1, 0, LN2, target))

    read(start, 0, SILENCE, 0, -np.log(0.1), boundary[SILENCE])
    fst.arcs.append((start, plain, 0, -np.log(0.9), boundary[0]))
    for before, source in boundary.items():
        pending = LN2 if before == SILENCE else 0.0
        fst.arcs.append((source, backoff, TABLE.index("#0"), pending, source))
        for name, ways in WORDS.items():
            for phones, probability in ways:
                at, last, cost, out = source, before, pending - np.log(probability), 0
                for phone in spelled(phones):
                    out = TABLE.index(name) if at == source else 0
                    target = fst.state()
                    read(at, last, phone, out, cost, target)
                    at, last, cost = target, phone, LN2
                read(at, last, SILENCE, 0, LN2 - np.log(SILENCE_AFTER), boundary[SILENCE])
                fst.arcs.append((at, plain, 0, LN2 - np.log(1 - SILENCE_AFTER), boundary[last]))
    data = fst.data(set(boundary.values()))
    return header("olabel_lookahead", 0, fst.n_states, len(fst.arcs)) + struct.pack(
        "<i", 446681434) + data + b"\x01the table that is not read"


END_AFTER_AA = 0.2 * 0.4 / 0.7
CONTEXTS = (
    # words (oldest first), words that follow, end, back-off
    ((), {"aa": 0.3, "bee": 0.3, "sea": 0.2}, 0.2, 1.0),
    (("<s>",), {"aa": 0.5, "sea": 0.2}, None, 0.3 / 0.5),
    (("aa",), {"bee": 0.6}, None, 0.4 / 0.7),
    (("<s>", "aa"), {}, 0.5, 0.5 / (1 - END_AFTER_AA)),
)
"""A trigram model that sums to 1; contexts in the order of the file."""


def ngram_graph() -> bytes:
    """``Gr.fst``: the contexts as a tree in bits."""
    context = "10" + "110" + "0" + "10" + "0"
    future = "0" + "".join("1" * len(words) + "0" for _, words, _, _ in CONTEXTS)
    final = "".join("0" if end is None else "1" for _, _, end, _ in CONTEXTS)

    def bits(text: str) -> bytes:
        text += "0" * (-len(text) % 64)
        return np.packbits([int(bit) for bit in text], bitorder="little").tobytes()

    labels = [(TABLE.index(word), p) for _, words, _, _ in CONTEXTS for word, p in words.items()]
    ends = [end for _, _, end, _ in CONTEXTS if end is not None]
    costs = [float("inf"), *(-np.log(backoff) for _, _, _, backoff in CONTEXTS[1:]), 0.0]
    symbols = struct.pack("<ii", 2125658996, 5) + b"words" + struct.pack(
        "<qq", len(TABLE), len(TABLE))
    for key, name in enumerate(TABLE):
        symbols += struct.pack("<i", len(name.encode())) + name.encode() + struct.pack("<q", key)
    return b"".join([
        header("ngram", 1, 4, len(labels), flags=1), symbols,
        struct.pack("<QQQ", 4, len(labels), len(ends)), bits(context), bits(future), bits(final),
        np.array([-1, 0, 1, 0, 0], "<i4").tobytes(),
        np.array([label for label, _ in labels], "<i4").tobytes(),
        np.array(costs, "<f4").tobytes(), np.array(-np.log(ends), "<f4").tobytes(),
        np.array([-np.log(p) for _, p in labels], "<f4").tobytes(), struct.pack("<f", 0.0),
    ])


def chain_network(rng: np.random.Generator) -> bytes:
    """A small TDNN-F with a bypass, over 5 cepstra and 2 elements of an i-vector."""

    def weights(*shape: int) -> np.ndarray:
        return rng.normal(size=shape) / np.sqrt(shape[-1])

    lines = [
        "input-node name=ivector dim=2", "input-node name=input dim=5",
        "component-node name=lda component=lda input=Append(Offset(input, -1), input, "
        "Offset(input, 1), ReplaceIndex(ivector, t, 0))",
        "component-node name=relu component=relu input=lda",
        "component-node name=norm component=norm input=relu",
        "component-node name=linear component=linear input=norm",
        "component-node name=wide component=wide input=linear",
        "component-node name=sum component=sum input=Sum(Scale(0.66, norm), wide)",
        "component-node name=last component=last input=sum",
        "output-node name=output input=last objective=linear",
        "output-node name=output-xent input=sum objective=linear",
    ]
    components = {
        "lda": component("FixedAffineComponent", LinearParams=weights(8, 17),
                         BiasParams=weights(8)),
        "relu": component("RectifiedLinearComponent", Dim=8, ValueAvg=weights(8),
                          DerivAvg=weights(8), Count=3.0),
        "norm": component("BatchNormComponent", Dim=8, BlockDim=8, Epsilon=0.001, TargetRms=1.0,
                          TestMode=True, Count=5.0, StatsMean=weights(8),
                          StatsVar=rng.uniform(0.5, 2, 8)),
        "linear": component("TdnnComponent", TimeOffsets=[-3, 0], LinearParams=weights(4, 16),
                            BiasParams=np.zeros(0), UseNaturalGradient=True),
        "wide": component("TdnnComponent", TimeOffsets=[0, 3], LinearParams=weights(8, 8),
                          BiasParams=weights(8)),
        "sum": component("NoOpComponent", Dim=8, BackpropScale=1.0),
        "last": component("NaturalGradientAffineComponent", MaxChange=0.75, LearningRate=0.001,
                          LinearParams=3 * weights(N_PDFS, 8), BiasParams=weights(N_PDFS),
                          RankInOut=integer(20) + integer(80), UpdatePeriod=4),
    }
    return network(lines, components)


def write_vosk(folder: Path, seed: int = 0) -> Path:
    """Write a whole folder; return it."""
    rng = np.random.default_rng(seed)
    for name in ("am", "conf", "graph/phones", "ivector"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = [(phone, 0, 4 * (phone - 1) + 2 * kind, 4 * (phone - 1) + 2 * kind + 1)
            for phone in range(1, N_IDS + 1) for kind in (0, 1)]
    (folder / "am/final.mdl").write_bytes(b"\0B" + transitions(rows, N_IDS) + chain_network(rng))
    (folder / "conf/mfcc.conf").write_text("--num-ceps=5\n--num-mel-bins=8\n# no dither here\n")
    (folder / "conf/model.conf").write_text(
        f"--beam=11\n--max-active=500\n--frame-subsampling-factor={STEP}\n"
        "--endpoint.silence-phones=1\n")
    (folder / "graph/HCLr.fst").write_bytes(lookahead_graph())
    (folder / "graph/Gr.fst").write_bytes(ngram_graph())
    names = ["<eps>", "SIL", *(f"{p}_{place}" for p in "ABC" for place in "BEIS"), "#0"]
    (folder / "graph/phones.txt").write_text(
        "".join(f"{name} {i}\n" for i, name in enumerate(names)))
    kinds = ["nonword", *["begin", "end", "internal", "singleton"] * N_PHONES]
    (folder / "graph/phones/word_boundary.int").write_text(
        "".join(f"{i} {kind}\n" for i, kind in enumerate(kinds, 1)))
    place = folder / "ivector"
    (place / "splice.conf").write_text("--left-context=1\n--right-context=1\n")
    (place / "online_cmvn.conf").write_text("# nothing\n")
    (place / "final.mat").write_bytes(b"\0B" + matrix(rng.normal(size=(3, 16)) * 0.1))
    stats = np.zeros((2, 6))
    stats[:, :5], stats[0, 5] = rng.normal(size=(2, 5)) * 100, 50
    (place / "global_cmvn.stats").write_bytes(b"\0B" + matrix(stats))
    ubm = (word("<DiagGMM>") + word("<GCONSTS>") + vector(np.zeros(2)) + word("<WEIGHTS>")
           + vector([0.4, 0.6]) + word("<MEANS_INVVARS>") + matrix(rng.normal(size=(2, 3)))
           + word("<INV_VARS>") + matrix(rng.uniform(0.5, 2, (2, 3))) + word("</DiagGMM>"))
    (place / "final.dubm").write_bytes(b"\0B" + ubm)
    means = b"".join(matrix(rng.normal(size=(3, 2))) for _ in range(2))
    extractor = (word("<IvectorExtractor>") + word("<w>") + matrix(np.zeros((0, 0)))
                 + word("<w_vec>") + vector([0.5, 0.5]) + word("<M>") + integer(2) + means
                 + word("<SigmaInv>") + 2 * symmetric(np.eye(3) * 1.5) + word("<IvectorOffset>")
                 + b"\x08" + struct.pack("<d", 2.0) + word("</IvectorExtractor>"))
    (place / "final.ie").write_bytes(b"\0B" + extractor)
    return folder

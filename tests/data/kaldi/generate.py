"""Makes the golden files in this folder: a tiny triphone model as Kaldi writes it, text and binary.

    python generate.py        # needs kaldi-hmm-gmm 1.1.4, kaldifst 1.7.17, kaldiio and g++

kaldi-hmm-gmm carries Kaldi's own code. Transition model and tree are written by that code
(`TransitionModel::Write`, which has no Python name, is reached through a few lines of C++), and
`expected.npz` holds what it answers: the pdf of every state in every context, the probabilities of
transitions, the log-likelihoods of frames. Mixtures it can hold but not write; they are written
here the way `DiagGmm::Write` of Kaldi does.
"""

from __future__ import annotations

import ctypes
import struct
import subprocess
import tempfile
from itertools import product
from pathlib import Path

import kaldi_hmm_gmm as khg  # before anything of kaldifst
import kaldiio
import numpy as np

HERE = Path(__file__).parent
N_FEATURES, N_PDFS, N_FRAMES = 5, 14, 20

PHONES = ["<eps>", "SIL", *(f"{phone}_{place}" for phone in ("AA", "T") for place in "BEIS"), "#0"]
SILENCE_STATES = "\n".join(
    f"<State> {state} <PdfClass> {state} "
    + " ".join(f"<Transition> {target} 0.25" for target in targets) + " </State>"
    for state, targets in enumerate([(0, 1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4)])
) + "\n<State> 4 <PdfClass> 4 <Transition> 4 0.75 <Transition> 5 0.25 </State>\n<State> 5 </State>"
TOPOLOGY = f"""<Topology>
<TopologyEntry> <ForPhones> 2 3 4 5 6 7 8 9 </ForPhones>
<State> 0 <PdfClass> 0 <Transition> 0 0.75 <Transition> 1 0.25 </State>
<State> 1 <PdfClass> 1 <Transition> 1 0.625 <Transition> 2 0.375 </State>
<State> 2 <PdfClass> 2 <Transition> 2 0.5 <Transition> 3 0.5 </State>
<State> 3 </State>
</TopologyEntry>
<TopologyEntry> <ForPhones> 1 </ForPhones>
{SILENCE_STATES}
</TopologyEntry>
</Topology>
"""
AA = "TE -1 3 ( SE 0 [ 6 7 8 9 ] { CE 5 CE 6 } CE 7 SE 2 [ 1 ] { CE 8 CE 9 } )"
T = "TE -1 3 ( CE 10 SE 1 [ 6 9 ] { CE 11 CE 12 } CE 13 )"
TREE = (
    "ContextDependency 3 1 ToPdf TE 1 10 ( NULL TE -1 5 ( CE 0 CE 1 CE 2 CE 3 CE 4 ) "
    f"{' '.join([AA] * 4)} {' '.join([T] * 4)} ) EndContextDependency "
)
SHIM = """
#include <fstream>
namespace khg { class TransitionModel { public: void Write(std::ostream &, bool) const; }; }
extern "C" void write_transitions(khg::TransitionModel *model, const char *path, int binary) {
  std::ofstream out(path, std::ios::binary);
  if (binary) out << '\\0' << 'B';
  model->Write(out, binary);
}
"""


def binary_tree(text: str) -> bytes:
    """The same tree with numbers as Kaldi's binary files have them."""
    words, out = text.split(), b""
    members: list[int] | None = None
    for at, word in enumerate(words):
        if word == "[":
            members = []
        elif word == "]":
            out += b"\4" + struct.pack(f"<i{len(members)}i", len(members), *members)
            members = None
        elif members is not None:
            members.append(int(word))
        elif word.lstrip("-").isdigit():
            unsigned = words[at - 2] == "TE"  # the size of a table
            out += (b"\xfc" if unsigned else b"\4") + struct.pack("<i", int(word))
        else:
            out += word.encode() + b" "
    return out


def transitions(model: khg.TransitionModel, binary: bool) -> bytes:
    """The transition model as Kaldi's code writes it."""
    with tempfile.TemporaryDirectory() as place:
        source, library = Path(place) / "shim.cc", Path(place) / "shim.so"
        source.write_text(SHIM)
        core = next(Path(khg.__file__).parent.glob("lib/libkaldi-hmm-gmm-core.so"))
        subprocess.run(["g++", "-shared", "-fPIC", source, core, "-o", library,
                        f"-Wl,-rpath,{core.parent}"], check=True)
        path = Path(place) / "transitions"
        pointer = ctypes.c_void_p.from_address(id(model) + 16).value  # of pybind11's holder
        ctypes.CDLL(str(library)).write_transitions(
            ctypes.c_void_p(pointer), str(path).encode(), int(binary))
        return path.read_bytes()


def mixtures(pdfs: list[tuple[np.ndarray, np.ndarray, np.ndarray]], binary: bool) -> bytes:
    """As `AmDiagGmm::Write` of Kaldi."""

    def number(value: int) -> bytes:
        return b"\4" + struct.pack("<i", value) if binary else f"{value} ".encode()

    def vector(values: np.ndarray) -> bytes:
        if binary:
            return b"FV " + number(len(values)) + values.astype("<f4").tobytes()
        return f" [ {' '.join(f'{v:.9g}' for v in values)} ]\n".encode()

    def matrix(rows: np.ndarray) -> bytes:
        if binary:
            return b"FM " + b"".join(map(number, rows.shape)) + rows.astype("<f4").tobytes()
        lines = "\n  ".join(" ".join(f"{v:.9g}" for v in row) for row in rows)
        return f" [\n  {lines} ]\n".encode()

    end = b"" if binary else b"\n"
    out = b"<DIMENSION> " + number(N_FEATURES) + b"<NUMPDFS> " + number(len(pdfs))
    for weights, means, variances in pdfs:
        constant = np.log(weights) - 0.5 * (
            N_FEATURES * np.log(2 * np.pi) + np.log(variances) + means**2 / variances
        ).sum(axis=1)
        out += b"<DiagGMM> " + end + b"<GCONSTS> " + vector(constant)
        out += b"<WEIGHTS> " + vector(weights) + b"<MEANS_INVVARS> " + matrix(means / variances)
        out += b"<INV_VARS> " + matrix(1 / variances) + b"</DiagGMM> " + end
    return out


def main() -> None:
    rng = np.random.default_rng(7)
    topology = khg.HmmTopology()
    topology.read(TOPOLOGY)
    tree = khg.ContextDependency.__new__(khg.ContextDependency)
    tree.__setstate__((np.frombuffer(binary_tree(TREE), np.int8).tolist(),))
    model = khg.TransitionModel(tree, topology)
    counts = np.zeros((len(model.log_probs), 1))
    counts[1:, 0] = rng.integers(5, 400, len(counts) - 1)
    model.mle_update(counts, khg.MleTransitionUpdateConfig())
    pdfs = []
    for _ in range(N_PDFS):
        n = int(rng.integers(1, 4))
        weights = rng.dirichlet(np.full(n, 4.0)).astype(np.float32)
        means, variances = rng.normal(size=(n, N_FEATURES)), rng.uniform(0.3, 2, (n, N_FEATURES))
        pdfs.append((weights, means.astype(np.float32), variances.astype(np.float32)))
    matrix = rng.normal(0, 0.2, (N_FEATURES, 39)).astype(np.float32)
    for name, binary in (("text", False), ("binary", True)):
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        folder.joinpath("final.mdl").write_bytes(
            transitions(model, binary) + mixtures(pdfs, binary))
        tree.write(binary, str(folder / "tree"))
        kaldiio.save_mat(str(folder / "final.mat"), matrix)
        if not binary:
            rows = "\n".join(" ".join(f"{v:.9g}" for v in row) for row in matrix)
            (folder / "final.mat").write_text(f" [\n{rows} ]\n")
        folder.joinpath("phones.txt").write_text(
            "".join(f"{phone} {number}\n" for number, phone in enumerate(PHONES)))
    np.savez_compressed(HERE / "expected.npz", **answers(tree, model, pdfs, matrix, rng))


def answers(tree, model, pdfs, matrix, rng) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    """What Kaldi's code says of the model."""
    contexts = np.array([
        (*window, state) for window in product(range(1, 10), repeat=3)
        for state in range(5 if window[1] == 1 else 3)
    ])
    found = np.array([tree.compute(list(map(int, row[:3])), int(row[3]))[1] for row in contexts])
    frames = rng.normal(size=(N_FRAMES, N_FEATURES)).astype(np.float32)
    scores = np.empty((N_FRAMES, N_PDFS))
    for pdf, (weights, means, variances) in enumerate(pdfs):
        gmm = khg.DiagGmm(len(weights), N_FEATURES)
        gmm.set_weights(weights)
        gmm.set_invvars_and_means(1 / variances, means)
        gmm.compute_gconsts()
        scores[:, pdf] = [gmm.log_likelihood(frame) for frame in frames]
    loops = [
        (model.transition_id_to_phone(i), model.transition_id_to_pdf(i), model.log_probs[i])
        for i in range(1, len(model.log_probs)) if model.is_self_loop(i)
    ]
    return {"contexts": contexts, "pdfs": found, "frames": frames, "scores": scores,
            "loops": np.array(loops), "matrix": matrix}


if __name__ == "__main__":
    main()

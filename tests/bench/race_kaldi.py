"""Race `decode` against kaldi-decoder's FasterDecoder: same graph file, same matrices, one run.

    python tests/bench/race_kaldi.py GRAPH MATRICES.npz

GRAPH is an OpenFst file, or a graph folder of our own (then an OpenFst file is written beside it).
MATRICES.npz holds one (n_frames, n_pdfs) float32 array of scaled log-likelihoods for each clip.
Both decoders, each in one thread, take turns; CPU times are medians over the rounds. Needs
kaldi-decoder and kaldifst. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import kaldi_decoder
import kaldifst
import numpy as np

from factored_asr.decoder import BeamOptions, Search, decode
from factored_asr.graph import Graph

UNLIMITED = 2**31 - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("graph", type=Path)
    parser.add_argument("matrices", type=Path)
    parser.add_argument("--beams", type=float, nargs="+", default=[8, 11, 13, 15])
    parser.add_argument("--max-active", type=int, default=7000, help="0 sets no limit")
    parser.add_argument("--min-active", type=int, default=200)
    parser.add_argument("--lattice-beam", type=float, default=6.0, help="0: best path alone")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    path, matrices = prepared(options.graph, dict(np.load(options.matrices)))
    graph, fst = Graph.read(path), kaldifst.StdConstFst.read(str(path))
    n_frames = sum(len(matrix) for matrix in matrices.values())
    print(f"{graph.n_states} states, {graph.n_arcs} arcs; {len(matrices)} clips, {n_frames} frames")
    decode(graph, next(iter(matrices.values()))[:2])  # compiles
    for beam in options.beams:
        race(graph, fst, matrices, beam, options)


def prepared(path: Path, matrices: dict[str, np.ndarray]) -> tuple[Path, dict[str, np.ndarray]]:
    """The OpenFst file, and matrices in which label k stands in column k - 1, as Kaldi has it."""
    if not path.is_dir():
        return path, matrices
    graph = Graph.read(path)
    file = path.with_suffix(".fst")
    if not file.exists():
        graph.write_openfst(file)
    columns = graph.label_pdf[1:]
    return file, {name: np.ascontiguousarray(m[:, columns]) for name, m in matrices.items()}


def race(graph, fst, matrices, beam, options) -> None:
    """One beam: costs, times and their ratio."""
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append({name: run_ours(graph, m, beam, options) for name, m in matrices.items()})
        theirs.append({name: run_kaldi(fst, m, beam, options) for name, m in matrices.items()})
    seconds = [
        np.median([sum(clip[0] for clip in one.values()) for one in rounds])
        for rounds in (ours, theirs)
    ]
    n_frames = sum(len(matrix) for matrix in matrices.values())
    n_arcs = sum(clip[2] for clip in ours[0].values())
    print(
        f"beam {beam:4.1f}  max_active {options.max_active:6d}  "
        f"ours {seconds[0]:7.3f} s  Kaldi {seconds[1]:7.3f} s  ratio {seconds[1] / seconds[0]:5.2f}"
        f"  {n_arcs / n_frames:8.0f} arcs a frame  {n_arcs / seconds[0] / 1e6:5.1f} M arcs/s",
        flush=True,
    )
    for name in matrices:
        one, other = ours[0][name][1], theirs[0][name][1]
        print(f"    {name}: cost ours {one:.4f}, Kaldi {other:.4f}, difference {one - other:+.4f}")


def run_ours(graph, matrix, beam, options) -> tuple[float, float, int]:
    """Seconds, cost, arcs expanded."""
    begin = time.thread_time()
    limits = options.max_active, options.min_active
    search = Search(graph, BeamOptions(beam, *limits, lattice_beam=options.lattice_beam))
    search.advance(matrix)
    path = search.finish().best()
    return time.thread_time() - begin, path.cost, search.n_arcs_expanded


def run_kaldi(fst, matrix, beam, options) -> tuple[float, float]:
    """Seconds, cost."""
    decodable = kaldi_decoder.DecodableCtc(matrix)
    begin = time.thread_time()
    decoder = kaldi_decoder.FasterDecoder(
        fst,
        kaldi_decoder.FasterDecoderOptions(
            beam=beam, max_active=options.max_active or UNLIMITED, min_active=options.min_active
        ),
    )
    decoder.decode(decodable)
    found, best = decoder.get_best_path()
    seconds = time.thread_time() - begin
    return seconds, path_cost(best, matrix) if found else float("inf")


def path_cost(best: kaldifst.Lattice, matrix: np.ndarray) -> float:
    """Cost of Kaldi's path, scores added up in double precision (its own sum is a float)."""
    _, labels, _, cost = kaldifst.get_linear_symbol_sequence(best)
    scores = matrix[np.arange(len(labels)), np.array(labels) - 1]
    return cost.value1 - float(scores.sum(dtype=np.float64))


if __name__ == "__main__":
    main()

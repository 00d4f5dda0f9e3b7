"""Race `decode` against kaldi-decoder's FasterDecoder: same graph file, same matrices, one run.

    python tests/bench/race_kaldi.py

The graph is the HCLG of the 20,000 commonest words with all their bigrams, made at the first run;
the matrices are the scores of native_dictation × 0.1. Both decoders, each in one thread, take
turns; CPU times are medians over the rounds. With --lattice-beam the same search without a lattice
runs with them, and what the lattice costs is reported: its links, and all of it with its words.
Needs kaldi-decoder and kaldifst. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import kaldi_decoder
import kaldifst
import numpy as np
from common import native_dictation, parser, read_samples, report

from factored_asr.decoder import BeamOptions, Search, decode
from factored_asr.features import FrontEnd
from factored_asr.graph import Graph, GraphOptions, build_graph
from factored_asr.language import read_lm, restrict, truncate
from factored_asr.lexicon import Lexicon
from factored_asr.models.bundle import Bundle

UNLIMITED = 2**31 - 1


N_WORDS = 20_000
HEADER = ["beam", "ours, s", "Kaldi, s", "times faster", "arcs a frame", "M arcs a second",
          "cost over Kaldi's, at most"]  # fmt: skip
ACOUSTIC_SCALE = np.float32(0.1)


def main() -> None:
    options_of = parser(__doc__)
    options_of.add_argument("--beams", type=float, nargs="+", default=[8, 11, 13, 15])
    options_of.add_argument("--max-active", type=int, default=7000, help="0 sets no limit")
    options_of.add_argument("--min-active", type=int, default=200)
    options_of.add_argument("--lattice-beam", type=float, default=0.0, help="0: best path alone")
    options_of.add_argument("--rounds", type=int, default=3)
    options = options_of.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    path = race_graph(options.work)
    graph, fst = Graph.read(path), kaldifst.StdConstFst.read(str(path))
    matrices = score_matrices(options.data, Graph.read(path.with_suffix("")))
    n_frames = sum(len(matrix) for matrix in matrices.values())
    print(f"{graph.n_states} states, {graph.n_arcs} arcs; {len(matrices)} clips, {n_frames} frames")
    for lattice_beam in (0.0, 6.0):  # compiles
        decode(graph, next(iter(matrices.values()))[:2], BeamOptions(lattice_beam=lattice_beam))
    rows = [race(graph, fst, matrices, beam, options) for beam in options.beams]
    report(options, "The search alone, against Kaldi's on the same graph and scores", rows, HEADER)


def race_graph(work: Path) -> Path:
    """The OpenFst file of the graph; next to it, as a folder, the graph that knows its pdfs."""
    path = work / "race.fst"
    if not path.exists():
        bundle = Bundle.find("en-us")
        assert bundle.lm and bundle.lexicon
        language = truncate(read_lm(bundle.lm), 2)
        language = restrict(language, language.commonest(N_WORDS))
        graph_options = GraphOptions(filler_probability=0.0, memory_limit=20.0)
        lexicon = Lexicon.read(bundle.lexicon)
        graph = build_graph(bundle.acoustic_model(), lexicon, language, graph_options, print)
        graph.write(path.with_suffix(""))
        graph.write_openfst(path)
    return path


def score_matrices(data: Path, graph: Graph) -> dict[str, np.ndarray]:
    """Scaled log-likelihoods by clip; label k stands in column k - 1, as Kaldi has it."""
    model = Bundle.find("en-us").acoustic_model()
    front_end, score = FrontEnd(model.features), model.scorer(graph.pdfs)
    columns = np.searchsorted(graph.pdfs, graph.label_pdf[1:])
    return {
        clip.name[-4:]: np.ascontiguousarray(
            score(front_end.features(read_samples(clip.path)))[:, columns] * ACOUSTIC_SCALE
        )
        for clip in native_dictation(data)
    }


def race(graph, fst, matrices, beam, options) -> list[str]:
    """One beam: costs, times and their ratio; a row of the table."""
    ours, theirs, plain = [], [], []
    for _ in range(options.rounds):
        ours.append({name: run_ours(graph, m, beam, options) for name, m in matrices.items()})
        theirs.append({name: run_kaldi(fst, m, beam, options) for name, m in matrices.items()})
        if options.lattice_beam:
            alone = argparse.Namespace(**{**vars(options), "lattice_beam": 0.0})
            plain.append({name: run_ours(graph, m, beam, alone) for name, m in matrices.items()})
    seconds = [
        np.median([sum(clip[0] for clip in one.values()) for one in rounds])
        for rounds in (ours, theirs)
    ]
    n_frames = sum(len(matrix) for matrix in matrices.values())
    n_arcs = sum(clip[2] for clip in ours[0].values())
    print(f"beam {beam:g}" + (f": {price(ours, plain)}" if plain else ""), flush=True)
    worst = 0.0
    for name in matrices:
        one, other = ours[0][name][1], theirs[0][name][1]
        worst = max(worst, one - other)
        print(f"    {name}: cost ours {one:.4f}, Kaldi {other:.4f}, difference {one - other:+.4f}")
    return [f"{beam:g}", f"{seconds[0]:.3f}", f"{seconds[1]:.3f}", f"{seconds[1] / seconds[0]:.2f}",
            f"{n_arcs / n_frames:.0f}", f"{n_arcs / seconds[0] / 1e6:.1f}", f"{worst:.4f}"]


def price(ours, plain) -> str:
    """What a lattice costs, as ratios to the best path alone, clip by clip and round by round."""
    pairs = [
        (one[name], other[name])
        for one, other in zip(ours, plain, strict=True) for name in one
    ]
    whole = np.median([one[0] / other[0] for one, other in pairs])
    links = np.median([(one[0] - one[3]) / (other[0] - other[3]) for one, other in pairs])
    return f"lattice: {whole:.2f} × the best path's search; its links alone {links:.2f} ×"


def run_ours(graph, matrix, beam, options) -> tuple[float, float, int, float]:
    """Seconds, cost, arcs expanded, and of the seconds those after the last frame."""
    begin = time.thread_time()
    limits = options.max_active, options.min_active
    search = Search(graph, BeamOptions(beam, *limits, lattice_beam=options.lattice_beam))
    search.advance(matrix)
    searched = time.thread_time()
    lattice = search.finish()
    path, n_arcs = lattice.best(), lattice.n_arcs  # the words of the lattice are asked for
    end = time.thread_time()
    assert n_arcs or not options.lattice_beam
    return end - begin, path.cost, search.n_arcs_expanded, end - searched


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

"""The graph of a Vosk model: the best way that says given words, and its composition with words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numba import njit

from factored_asr.acoustic.nnet3 import IvectorExtractor, KaldiFeatures, Network
from factored_asr.acoustic.nnet3.model import FRAMES_PER_CHUNK
from factored_asr.acoustic.nnet3.session import ChainSession
from factored_asr.audio.reading import read_audio
from factored_asr.decoder import BeamOptions, Search
from factored_asr.graph import Graph
from factored_asr.graph.graph import arcs_of as arcs_of_rows
from factored_asr.models.importers.kaldi_ivector import read_extractor
from factored_asr.models.importers.kaldi_nnet3 import ChainFile, read_chain_model
from factored_asr.models.importers.lookahead_fst import read_lookahead, read_ngram_fst
from factored_asr.models.importers.vosk_files import VoskFiles, read_options
from factored_asr.storage.openfst import Arcs

SEARCHED = BeamOptions(beam=15.0, max_active=12_000, lattice_beam=0.0)
GRAPH_SCALE = 0.9
"""Of HCLr and the language model, in Vosk's confidence; its search has 1."""


BACKOFF = "#0"


@dataclass(frozen=True, eq=False)
class Acoustics:
    """What a session needs of a model; see `Scorer`."""

    features: KaldiFeatures
    network: Network
    extractor: IvectorExtractor
    is_silence: np.ndarray
    chunk: int = FRAMES_PER_CHUNK

    @staticmethod
    def read(files: VoskFiles, chain: ChainFile, weighted: bool) -> Acoustics:
        assert files.conf is not None
        silences = read_options(files.conf)["endpoint.silence-phones"].split(":")
        features = KaldiFeatures.from_options(read_options(files.mfcc))
        silent = np.zeros(chain.network.n_outputs, np.bool_)
        silent[chain.tuples[np.isin(chain.tuples[:, 0], [int(n) for n in silences]), 2:]] = weighted
        return Acoustics(features, chain.network, read_extractor(files.ivector, features), silent)

    @property
    def sample_rate(self) -> int:
        return int(self.features.sample_frequency)

    def scores_of(self, rows: np.ndarray) -> np.ndarray:
        return self.network.finished(rows)


class VoskGraph:
    """HCLr and the acoustic model of a folder.

    `weighted` False: silence counts in full in the i-vector.
    """

    def __init__(self, folder: Path, weighted: bool = True):
        files = VoskFiles.find(folder)
        assert files is not None
        chain = read_chain_model(files.model)
        self._model = Acoustics.read(files, chain, weighted)
        self._hcl, self._transitions = read_lookahead(files.lookahead), chain.transitions
        self._tuples = chain.tuples
        table = read_ngram_fst(files.grammar).words
        self._number = {word: number for number, word in table.items()}
        arcs, n = self._hcl.arcs, len(self._hcl.final)
        self._first, self._cost = self._hcl.first_arc, arcs["cost"]
        self._target, self._word, label = arcs["target"], arcs["word"], arcs["label"]
        self._source = np.repeat(np.arange(n, dtype=np.int32), np.diff(self._first))
        emits = (label > 0) & (label < len(chain.transitions))
        row, target = chain.transitions[np.where(emits, label, 0)].T
        pdf = np.where(target == 0, chain.tuples[row, 3], chain.tuples[row, 2])
        self._pdf = np.where(emits, pdf, -1)
        quiet = np.flatnonzero(self._word == 0)
        self._back = self._source[quiet[np.argsort(self._target[quiet], kind="stable")]]
        counts = np.bincount(self._target[quiet], minlength=n)
        self._first_back = np.concatenate([[0], np.cumsum(counts)])
        self._by_word = np.argsort(self._word, kind="stable")
        self._sorted = self._word[self._by_word]

    def score(self, sound: Path, words: list[str], lm_cost: float) -> float:
        """Return what Vosk calls confidence, of the best way that says the words.

        `lm_cost`: cost of the words in the language model.
        """
        samples, _ = read_audio(sound, sample_rate=self._model.sample_rate)
        session = ChainSession(self._model, np.arange(len(self._model.is_silence)), whole=True)
        session.accept(samples)
        scores = np.concatenate([*session.finish()])
        acoustic, graph = best_way(*self._linear([self._number[word] for word in words]), scores)
        return acoustic - GRAPH_SCALE * (graph + lm_cost)

    def searched(self, sound: Path, graph: Graph, guided: bool) -> tuple[str, float]:
        """Return the words of a search through one of the graphs of `composed`, and their score.

        `guided`: the search says which frames are silence for the i-vector, as in Vosk; else the
        network's likeliest output does.
        """
        samples, _ = read_audio(sound, sample_rate=self._model.sample_rate)
        pdfs = np.arange(len(self._model.is_silence))
        session = (GuidedSession(self._model, pdfs, Search(graph, SEARCHED)) if guided
                   else ChainSession(self._model, pdfs, whole=True))
        session.accept(samples)
        scores = np.concatenate([*session.finish()])
        # the words are those of the least cost where the graph counts less
        arcs = graph.arcs.copy()
        arcs["cost"] *= GRAPH_SCALE
        again = Search(replace(graph, arcs=arcs, final=graph.final * GRAPH_SCALE), SEARCHED)
        again.advance(scores)
        path = again.finish().best()
        return " ".join(path.words), -path.cost

    def composed(self, grammar: Arcs, words: tuple[str, ...]) -> Graph:
        """Return HCLr ∘ grammar as a graph of transition-ids, where back-offs read no word.

        `grammar`: its arcs' words are indices into `words`, the last of which is `BACKOFF`.
        """
        label = np.full(max(self._number.values()) + 1, -1)
        label[0] = 0
        label[[self._number[word] for word in words[1:]]] = np.arange(1, len(words))
        said = np.where(self._word >= 0, label[self._word], -1)
        kept = np.flatnonzero(said >= 0)
        n = len(self._hcl.final)
        forward, after = _sorted_by(self._source[kept], self._target[kept], n)
        backward, before = _sorted_by(self._target[kept], self._source[kept], n)
        live = leading_to(forward, after, np.array([self._hcl.start], np.int64))
        live &= leading_to(backward, before, np.flatnonzero(np.isfinite(self._hcl.final)))
        kept = kept[live[self._source[kept]] & live[self._target[kept]]]
        arcs_of: dict[int, list[tuple[int, int, float, int]]] = {}
        tids = np.where(self._pdf[kept] >= 0, self._hcl.arcs["label"][kept], 0)
        for source, *arc in zip(*(each.tolist() for each in (
                self._source[kept], tids, said[kept], self._cost[kept], self._target[kept])),
                strict=True):
            arcs_of.setdefault(source, []).append(tuple(arc))
        ids = {(int(self._hcl.start), grammar.start): 0}
        waiting, rows, final = [*ids], list[tuple[int, int, int, float, int]](), list[float]()
        while waiting:
            state, history = waiting.pop()
            here = ids[state, history]
            moves = grammar.arcs[grammar.first_arc[history] : grammar.first_arc[history + 1]]
            for tid, word, cost, target in arcs_of.get(state, ()):
                ways = moves[moves["word"] == word].tolist() if word else [(0, 0, 0.0, history)]
                for _, _, more, to in ways:
                    if (target, to) not in ids:
                        ids[target, to] = len(ids)
                        waiting.append((target, to))
                    rows.append((here, tid, word % (len(words) - 1), cost + more, ids[target, to]))
        final = [float(self._hcl.final[state] + grammar.final[history]) for state, history in ids]
        source, arcs = arcs_of_rows(rows)
        graph = Graph.from_arcs(source, arcs, np.array(final))
        pdf = np.append(-1, np.where(self._transitions[1:, 1] == 0,
                                     self._tuples[self._transitions[1:, 0], 3],
                                     self._tuples[self._transitions[1:, 0], 2]))
        n_labels = int(arcs["label"].max()) + 1
        return replace(graph, words=words[:-1], label_pdf=pdf[:n_labels])

    def _linear(self, words: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Arcs (from, to, pdf or -1) of the ways that say the words, their costs, final costs."""
        ids = {(0, int(self._hcl.start)): 0}
        arcs, costs, layer = list[tuple[int, int, int]](), list[float](), {int(self._hcl.start)}
        for k, word in enumerate([*words, None]):
            if word is None:
                ends = np.flatnonzero(np.isfinite(self._hcl.final))
            else:
                low, high = np.searchsorted(self._sorted, [word, word + 1])
                ends = np.unique(self._source[self._by_word[low:high]])
            leads = leading_to(self._first_back, self._back, ends.astype(np.int64))
            waiting, after = [state for state in layer if leads[state]], set[int]()
            seen = set(waiting)
            while waiting:
                state = waiting.pop()
                for a in range(int(self._first[state]), int(self._first[state + 1])):
                    target, says = int(self._target[a]), int(self._word[a])
                    if says == 0 and leads[target]:
                        to = ids.setdefault((k, target), len(ids))
                        if target not in seen:
                            seen.add(target)
                            waiting.append(target)
                    elif says and says == word:
                        to = ids.setdefault((k + 1, target), len(ids))
                        after.add(target)
                    else:
                        continue
                    arcs.append((ids[k, state], to, int(self._pdf[a])))
                    costs.append(float(self._cost[a]))
            layer = after
        final = np.full(len(ids), np.inf)
        for (k, state), at in ids.items():
            if k == len(words):
                final[at] = self._hcl.final[state]
        return np.array(arcs), np.array(costs), final


class GuidedSession(ChainSession):
    """A session that a search tells which frames are silence, as Vosk's does; it searches on."""

    def __init__(self, model: Acoustics, pdfs: np.ndarray, search: Search):
        super().__init__(model, pdfs, whole=True)
        self.search = search

        self._token = np.zeros(0, np.int64)  # state before each frame, on the path that said so
        self._quiet = np.zeros(0, np.bool_)

    def _advance(self, features: np.ndarray, *, finished: bool = False) -> list[np.ndarray]:
        found = super()._advance(features, finished=finished)
        for rows in found:
            self.search.advance(self._model.scores_of(rows))
        path = self.search.partial()
        if path is not None and len(path.labels):
            graph = self.search.graph
            taken = graph.arcs[path.arcs]
            before = np.append(graph.start, taken["target"][:-1])[taken["label"] != 0]
            silent = self._model.is_silence[graph.label_pdf[path.labels]]
            new = len(before) - len(self._token)
            self._token = np.append(self._token, np.full(new, -1))
            self._quiet = np.append(self._quiet, np.zeros(new, np.bool_))
            # Kaldi goes back to the first token that it has seen, whatever arc left that before
            same = np.flatnonzero(self._token == before)
            begin = int(same[-1]) + 1 if len(same) else 0
            self._token[begin:], self._quiet[begin:] = before[begin:], silent[begin:]
            self._silent[:] = [self._quiet.copy()]
        return found


def _sorted_by(key: np.ndarray, other: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets by key, and the others in the order of the keys."""
    order = np.argsort(key, kind="stable")
    return np.concatenate([[0], np.cumsum(np.bincount(key, minlength=n))]), other[order]


@njit
def leading_to(first, source, ends):
    """Mark the states from which ways without words lead to `ends`."""
    seen = np.zeros(len(first) - 1, np.bool_)
    waiting = np.empty(len(first), np.int64)
    n = 0
    for state in ends:
        seen[state] = True
        waiting[n] = state
        n += 1
    while n:
        n -= 1
        state = waiting[n]
        for a in range(first[state], first[state + 1]):
            if not seen[source[a]]:
                seen[source[a]] = True
                waiting[n] = source[a]
                n += 1
    return seen


def best_way(
    arcs: np.ndarray, costs: np.ndarray, final: np.ndarray, scores: np.ndarray
) -> tuple[float, float]:
    """Return the acoustic score and the graph's cost of the best way from node 0 to an end."""
    loud = np.flatnonzero(arcs[:, 2] >= 0)
    quiet = np.flatnonzero(arcs[:, 2] < 0)
    source, target, pdf = arcs.T
    both = np.full((2, len(final)), np.inf)  # cost, and the graph's part of it
    both[:, 0] = 0

    def closed() -> None:
        changed = True
        while changed:
            changed = False
            for a in quiet:
                if both[0, source[a]] + costs[a] < both[0, target[a]] - 1e-12:
                    both[:, target[a]] = both[:, source[a]] + costs[a]
                    changed = True

    closed()
    for frame in scores:
        cost = both[0, source[loud]] + costs[loud] - frame[pdf[loud]]
        order = np.argsort(-cost, kind="stable")  # the best of each target comes last
        graph = both[1, source[loud]] + costs[loud]
        both[:] = np.inf
        both[0, target[loud[order]]], both[1, target[loud[order]]] = cost[order], graph[order]
        closed()
    end = int(np.argmin(both[0] + final))
    graph = float(both[1, end] + final[end])
    return graph - float(both[0, end] + final[end]), graph

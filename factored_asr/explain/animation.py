"""The search frame by frame, for some settings: what a page of moving tokens is drawn from.

Everything is computed by the library's own search (`decoder.Search`), one frame at a time. Kept
are the tokens of each frame, and the result, for each beam, weight of the language model and
acoustic scale.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from factored_asr.acoustic.threads import blas_threads
from factored_asr.audio.reading import Source, check_rate, read_audio
from factored_asr.decoder import BeamOptions, Search
from factored_asr.errors import OptionError
from factored_asr.graph import Graph, build_graph
from factored_asr.graph.convert import graph_of
from factored_asr.graph.grammar_scorer import Weighted
from factored_asr.graph.graph import arcs_of
from factored_asr.graph.layout import placed
from factored_asr.language.grammar.sampling import Sentences
from factored_asr.models.recipe import Recipe

MAX_STATES = 400
MAX_SECONDS = 10.0
NO_TOKEN = 255
STEPS = 254
"""Levels of the cost behind the best token that the page tells apart."""


@dataclass(frozen=True)
class AnimationOptions:
    """The settings between which the page's sliders choose.

    Examples
    --------
    >>> AnimationOptions(beams=(2.0, 8.0), lm_weights=(1.0,)).beams  # a smaller page
    (2.0, 8.0)
    """

    beams: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    """Costs by which a token may lie behind the best, each above 0."""
    lm_weights: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    """Weights of the grammar's costs, each above 0; higher: the sound counts less."""
    acoustic_scales: tuple[float, ...] = ()
    """Weights of the scores of the sound, each above 0. None given (default): 0.1, 0.25, 0.5, 1 and
    2 times the model's own."""

    def __post_init__(self) -> None:
        for name in ("beams", "lm_weights", "acoustic_scales"):
            values = getattr(self, name)
            if not all(0 < each < float("inf") for each in values) or (
                not values and name != "acoustic_scales"
            ):
                raise OptionError(f"{name} must be numbers above 0, got {values}")
            object.__setattr__(self, name, tuple(sorted(set(map(float, values)))))


@dataclass(frozen=True, eq=False)
class Run:
    """One search of the sound."""

    beam: float
    lm_weight: float
    acoustic_scale: float
    text: str
    """The words of the best path; empty where none reached the end."""
    cost: float
    """Of the best path; inf where none survived."""
    reason: str
    """Why there is no whole path; empty where there is one."""
    behind: np.ndarray
    """(n_frames, n_states) float32: cost of each state's token above the best of its frame; inf
    where there is none."""
    partial: tuple[str, ...]
    """Words of the best token of each frame."""
    path: tuple[tuple[int, int], ...]
    """Source and target of the best path's arcs, each pair once, without self-loops."""


@dataclass(frozen=True, eq=False)
class Animation:
    """The graphs, and a search for each combination of settings, in the order of `product`.

    Examples
    --------
    >>> empty = Animation(AnimationOptions(), (), (), frame_seconds=0.03, own_scale=0.2,
    ...                   samples=np.zeros(800, np.float32), sample_rate=16000)
    >>> len(empty.samples) / empty.sample_rate  # seconds; `animate` makes one with searches
    0.05
    """

    options: AnimationOptions
    """The settings of the sliders."""
    graphs: tuple[Graph, ...]
    """One for each LM weight, all with the same states and arcs."""
    runs: tuple[Run, ...]
    """One search for each combination of settings."""
    frame_seconds: float
    """Seconds from one frame to the next."""
    own_scale: float
    """The acoustic scale that the model suggests."""
    samples: np.ndarray
    """(n_samples,) float32: the sound."""
    sample_rate: int
    """Hz."""

    def to_dict(self) -> dict[str, Any]:
        """Return what the page needs as plain values; tokens are packed, see `unpacked`."""
        texts = sorted({text for run in self.runs for text in (run.text, *run.partial)})
        number = {text: i for i, text in enumerate(texts)}
        step = max(self.options.beams) / STEPS
        levels = [np.where(run.behind <= max(self.options.beams), np.rint(run.behind / step),
                           NO_TOKEN).astype(np.uint8) for run in self.runs]
        packed = zlib.compress(b"".join(each.tobytes() for each in levels), 9)
        return {
            "beams": self.options.beams, "lm_weights": self.options.lm_weights,
            "acoustic_scales": self.options.acoustic_scales, "own_scale": self.own_scale,
            "frame_seconds": self.frame_seconds, "graph": _drawing(self.graphs[0]),
            "texts": texts, "n_frames": len(self.runs[0].behind), "step": step,
            "tokens": base64.b64encode(packed).decode("ascii"),
            "runs": [{
                "text": number[run.text], "reason": run.reason,
                "cost": round(run.cost, 2) if np.isfinite(run.cost) else None,
                "path": run.path, "partial": [number[text] for text in run.partial],
            } for run in self.runs],
        }  # fmt: skip


def animate(
    recipe: Recipe, source: Source, *, sample_rate: int | None = None,
    options: AnimationOptions | None = None,
) -> Animation:
    """Search a sound with a small grammar, for every combination of settings.

    The graph is that of the grammar's sentences alone: no denied ones, no fillers, no background
    model. The language model's weight multiplies the grammar's own costs.

    Parameters
    ----------
    recipe
        Model, dictionary and grammar.
    source, sample_rate
        As for `Recognizer.transcribe`, but for ready-made frames; 10 s at most.
    options
        The settings.

    Raises
    ------
    OptionError
        There is no grammar, its graph has more than `MAX_STATES` states, or the sound is long.

    Examples
    --------
    >>> from factored_asr.language import Grammar
    >>> from factored_asr.models.bundle import Bundle
    >>> recipe = Recipe(Bundle.find("en-us"), Grammar.from_text(
    ...     "intents: {Music: {data: [{sentences: ['(play|stop) the music']}]}}"))
    >>> few = AnimationOptions(beams=(10,), lm_weights=(1,), acoustic_scales=(0.2,))
    >>> animate(recipe, "examples/audio/music_stop.wav", options=few).runs[0].text
    'stop the music'
    """
    options, settings = options or AnimationOptions(), recipe.settings
    if recipe.grammar is None:
        raise OptionError("an animation needs a small grammar: dictation has millions of states")
    scales = options.acoustic_scales or tuple(
        float(f"{settings.acoustic_scale * share:.3g}") for share in (0.1, 0.25, 0.5, 1, 2)
    )
    options = replace(options, acoustic_scales=scales)
    model = recipe.bundle.acoustic_model().configured(settings.tools)
    check_rate(source, sample_rate)
    samples, rate = read_audio(source, sample_rate=model.sample_rate, array_rate=sample_rate)
    if len(samples) > MAX_SECONDS * rate:
        raise OptionError(f"the sound is {len(samples) / rate:.1f} s long: an animation takes "
                          f"{MAX_SECONDS:g} s at most")
    lexicon, plain = recipe.read_lexicon(), replace(settings.graph, denials=False,
                                                    filler_probability=0.0)
    if recipe.guess:
        lexicon = recipe.with_guesses(lexicon, sorted(recipe.read_grammar().words))
    sentences = recipe.sentences(lexicon)
    bare = build_graph(model, lexicon, Weighted(sentences, 0.0), plain)
    graphs = [_with_costs(bare, sentences, weight) for weight in options.lm_weights]
    pdfs = bare.pdfs
    with blas_threads(1):
        session = model.session(pdfs, whole=True)
        blocks = [session.accept(samples), *session.finish()]
    scores = np.concatenate([block for block in blocks if len(block)])
    graph_of = dict(zip(options.lm_weights, graphs, strict=True))
    grid = product(options.beams, options.lm_weights, options.acoustic_scales)
    runs = tuple(_run(graph_of[weight], scores, pdfs, beam, weight, scale)
                 for beam, weight, scale in grid)
    return Animation(options, tuple(graphs), runs, model.frame_seconds, settings.acoustic_scale,
                     samples, rate)


def _with_costs(bare: Graph, sentences: Sentences, weight: float) -> Graph:
    """Return the composition of a graph without a grammar's costs and that grammar's weighted G.

    So the costs stand on the arcs of the words, and states and arcs are the same for any weight.
    """
    ids = {word: i for i, word in enumerate(bare.words) if i}
    grammar = graph_of(Weighted(sentences, weight).acceptor(ids))
    number, rows = {(bare.start, grammar.start): 0}, []
    final = list[float]()
    for here, (state, node) in enumerate(queue := list(number)):
        final.append(float(bare.final[state] + _end(bare, grammar, state, node)))
        for label, word, cost, target in bare.arcs[slice(*bare.first_arc[state:][:2])].tolist():
            for after, more in _nodes(grammar, node, word):
                pair = target, after
                if pair not in number:
                    number[pair] = len(number)
                    queue.append(pair)
                rows.append((here, label, word, cost + more, number[pair]))
        if len(queue) > MAX_STATES:
            raise OptionError(f"the grammar's graph has more than {MAX_STATES} states, too many "
                              "for a picture: write a grammar of a few sentences")
    made = Graph.from_arcs(*arcs_of(rows), np.array(final, np.float32))
    return replace(bare, start=made.start, first_arc=made.first_arc, arcs=made.arcs,
                   final=made.final)


def _nodes(grammar: Graph, node: int, word: int) -> Iterator[tuple[int, float]]:
    """Yield the states of G after a word (0: none), and its cost."""
    if not word:
        yield node, 0.0
        return
    arcs = grammar.arcs[slice(*grammar.first_arc[node:][:2])]
    for _, _, cost, target in arcs[arcs["label"] == word].tolist():
        yield target, cost


def _end(bare: Graph, grammar: Graph, state: int, node: int) -> float:
    """Return the cost of ending in a state of G; the empty sentence has none."""
    if node == grammar.start and bare.final[state] < np.inf:
        return 0.0
    return float(grammar.final[node])


def beam_of(beam: float) -> BeamOptions:
    """Return the options of a search whose beam alone decides which tokens live on."""
    return BeamOptions(beam=beam, max_active=0, min_active=0, lattice_beam=0.0)


def _run(graph: Graph, scores: np.ndarray, pdfs: np.ndarray, beam: float, weight: float,
         scale: float) -> Run:
    search = Search(graph, beam_of(beam), pdfs=pdfs)
    behind = np.full((len(scores), graph.n_states), np.inf, np.float32)
    partial: list[str] = []
    for frame, scaled in enumerate(scores * np.float32(scale)):
        search.advance(scaled[None])
        states, costs = search.tokens()
        if not len(states):
            break
        behind[frame, states] = costs - costs.min()
        best = search.partial()
        partial.append(" ".join(best.words) if best else "")
    lattice = search.finish()
    path = lattice.best()
    whole = path.reached_final
    return Run(beam, weight, scale, " ".join(path.words) if whole else "", path.cost,
               lattice.reason, behind, tuple(partial), tuple(_steps(graph, path.arcs)))


def _steps(graph: Graph, arcs: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield source and target of the arcs of a path, without self-loops, each pair once."""
    pairs = zip(graph.sources[arcs].tolist(), graph.arcs["target"][arcs].tolist(), strict=True)
    yield from dict.fromkeys(pair for pair in pairs if pair[0] != pair[1])


def unpacked(values: dict[str, Any]) -> np.ndarray:
    """Return the tokens of `Animation.to_dict`: (n_runs, n_frames, n_states) uint8.

    A level times ``step`` is the cost above the best token of the frame; `NO_TOKEN` is none.
    """
    flat = np.frombuffer(zlib.decompress(base64.b64decode(values["tokens"])), np.uint8)
    return flat.reshape(len(values["runs"]), values["n_frames"], len(values["graph"]["states"]))


def _drawing(graph: Graph) -> dict[str, Any]:
    """Return states with place and phone, and arcs with words, of a graph."""
    place = placed(graph)
    names, arcs = [""] * graph.n_states, list[list[Any]]()
    between = dict[tuple[int, int], list[str]]()
    for source, (label, word, _, target) in zip(
        graph.sources.tolist(), graph.arcs.tolist(), strict=True
    ):
        if source != target:
            between.setdefault((source, target), [])
            if word:
                between[source, target].append(graph.words[word])
        if label and source != target and graph.label_state[label] == 0:
            names[target] = graph.phones[graph.label_phone[label]]
    for (source, target), words in sorted(between.items()):
        arcs.append([source, target, "|".join(sorted(set(words)))])
    return {
        "states": [[float(x), float(y), name, bool(np.isfinite(final))] for (x, y), name, final in
                   zip(place.tolist(), names, graph.final.tolist(), strict=True)],
        "start": graph.start, "arcs": arcs,
        "silences": sorted(graph.silence_phones),
    }


def to_json(animation: Animation) -> str:
    """Return the values of the page as JSON that may stand within HTML."""
    text = json.dumps(animation.to_dict(), separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c")

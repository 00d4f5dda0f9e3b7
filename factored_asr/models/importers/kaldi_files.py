"""Kaldi's files as they are: transition model, mixtures and tree, text or binary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factored_asr.models.importers.kaldi_reader import KaldiReader

PDF_CLASS = -1
"""The key of a tree that asks for the state of the HMM; others are places in the context."""


@dataclass(frozen=True)
class State:
    """One state of a phone's HMM."""

    entry_class: int
    """Which of the phone's pdfs the frame has that enters it; -1 for the last state, which has
    none."""
    loop_class: int
    """Which those have that stay; another one in chain models alone."""
    transitions: tuple[tuple[int, float], ...]
    """States that may follow, with the probabilities that training began with."""


@dataclass(frozen=True, eq=False)
class KaldiModel:
    """What ``final.mdl`` holds."""

    topology: dict[int, tuple[State, ...]]
    """Phone number → its states."""
    triples: np.ndarray
    """(n, 3) int32: phone, state and pdf of each transition state, sorted."""
    log_probs: np.ndarray
    """(n_transitions + 1,) float32; the first is not used."""
    means: np.ndarray
    """(n_gaussians, n_features) float64, those of one pdf together."""
    variances: np.ndarray
    weights: np.ndarray
    """(n_gaussians,) float64."""
    first_gaussian: np.ndarray
    """(n_pdfs + 1,) int32."""


@dataclass(frozen=True, eq=False)
class Table:
    """Branches by the value at a place of the context."""

    key: int
    branches: tuple[Node | None, ...]


@dataclass(frozen=True, eq=False)
class Split:
    """Asks whether the value at a place of the context is one of some."""

    key: int
    members: np.ndarray
    yes: Node
    no: Node


Node = int | Table | Split
"""A node of a tree; a number is a pdf."""


@dataclass(frozen=True, eq=False)
class KaldiTree:
    """What ``tree`` holds."""

    width: int
    """Phones of a context: 1 or 3 in models of mixtures."""
    centre: int
    """Place of the phone itself among them."""
    root: Node

    def pdfs(self, context: np.ndarray, pdf_class: np.ndarray) -> np.ndarray:
        """Return the pdf, (n,) int32, of states in context; -1 where the tree has no answer.

        `context` is (n, width) phone numbers, 0 for none; `pdf_class` is (n,), of the states.
        """
        found = np.full(len(context), -1, np.int32)
        waiting: list[tuple[Node | None, np.ndarray]] = [(self.root, np.arange(len(context)))]
        while waiting:
            node, rows = waiting.pop()
            if node is None or not len(rows):
                continue
            if isinstance(node, int):
                found[rows] = node
                continue
            values = pdf_class[rows] if node.key == PDF_CLASS else context[rows, node.key]
            if isinstance(node, Split):
                yes = np.isin(values, node.members)
                waiting += [(node.yes, rows[yes]), (node.no, rows[~yes])]
            else:
                waiting += [(branch, rows[values == value])
                            for value, branch in enumerate(node.branches)]
        return found


def read_model(path: str | Path) -> KaldiModel:
    """Read ``final.mdl`` of a GMM system.

    MissingError if there is no such file; FormatError if it is no model of mixtures, broken off, or
    its parts do not fit each other.
    """
    reader = KaldiReader(path)
    reader.expect("<TransitionModel>")
    topology = read_topology(reader)
    reader.expect("<Triples>")
    triples = np.array([[reader.integer() for _ in range(3)] for _ in range(reader.count(3))],
                       np.int32).reshape(-1, 3)
    reader.expect("</Triples>", "<LogProbs>")
    log_probs = reader.vector()
    reader.expect("</LogProbs>", "</TransitionModel>", "<DIMENSION>")
    n_features = reader.integer()
    reader.expect("<NUMPDFS>")
    mixtures = [_read_mixture(reader, n_features) for _ in range(reader.count(4))]
    if not mixtures:
        reader.fail("a model without a pdf")
    weights, means, variances = map(np.concatenate, zip(*mixtures, strict=True))
    first = np.cumsum([0, *(len(each[0]) for each in mixtures)]).astype(np.int32)
    model = KaldiModel(topology, triples, log_probs, means, variances, weights, first)
    _check_model(reader, model)
    return model


def read_tree(path: str | Path) -> KaldiTree:
    """Read ``tree``; errors as for `read_model`."""
    reader = KaldiReader(path)
    reader.expect("ContextDependency")
    width, centre = reader.integer(), reader.integer()
    if width not in (1, 3) or centre != width // 2:
        reader.fail(f"contexts of {width} phones around place {centre}: must be 1 or 3, centred")
    reader.expect("ToPdf")
    try:
        root = _read_node(reader, width)
    except RecursionError:
        reader.fail("a tree too deep to be one")
    reader.expect("EndContextDependency")
    if root is None:
        reader.fail("an empty tree")
    return KaldiTree(width, centre, root)


def read_matrix(path: str | Path) -> np.ndarray:
    """Read a matrix, such as ``final.mat``: (n_rows, n_columns) float64."""
    return KaldiReader(path).matrix()


def read_topology(reader: KaldiReader, *, chain: bool = False) -> dict[int, tuple[State, ...]]:
    """Read the states of each phone; two pdfs a state are refused unless `chain` is True."""
    reader.expect("<Topology>")
    if not reader.binary:
        topology: dict[int, tuple[State, ...]] = {}
        while reader.word() == "<TopologyEntry>":
            reader.expect("<ForPhones>")
            named = []
            while reader.peek() != "</ForPhones>":
                named.append(reader.integer())
            reader.expect("</ForPhones>")
            topology.update(dict.fromkeys(named, _text_states(reader, chain)))
        return topology
    phones, entry_of = reader.integers(), reader.integers()
    n_entries = reader.integer()
    two_classes = n_entries == -1
    if n_entries < 0 and not chain:
        reader.fail("a topology of chain models, whose states have two pdfs: not supported")
    if two_classes:
        n_entries = reader.integer()
    if not 0 <= n_entries <= reader.left:
        reader.fail(f"promises {n_entries} entries, which the file is too short for")
    entries = [
        tuple(_binary_state(reader, two_classes) for _ in range(reader.count(10)))
        for _ in range(n_entries)
    ]
    reader.expect("</Topology>")
    try:
        return {int(phone): entries[entry_of[phone]] for phone in phones if entry_of[phone] >= 0}
    except IndexError:
        reader.fail("a phone whose topology is not there")


def _binary_state(reader: KaldiReader, two_classes: bool) -> State:
    entry = reader.integer()
    loop = reader.integer() if two_classes else entry
    arcs = tuple((reader.integer(), reader.real()) for _ in range(reader.count(10)))
    return State(entry, loop, arcs)


def _text_states(reader: KaldiReader, chain: bool) -> tuple[State, ...]:
    states: list[State] = []
    while (word := reader.word()) == "<State>":
        if reader.integer() != len(states):
            reader.fail("states must come in order, from 0")
        entry, loop, arcs = -1, -1, list[tuple[int, float]]()
        while (word := reader.word()) != "</State>":
            if word == "<PdfClass>":
                entry = loop = reader.integer()
            elif word == "<Transition>":
                arcs.append((reader.integer(), reader.real()))
            elif not chain:
                reader.fail(f"a state with {word!r}: models of chain type are not supported")
            elif word == "<ForwardPdfClass>":
                entry = reader.integer()
            elif word == "<SelfLoopPdfClass>":
                loop = reader.integer()
            else:
                reader.fail(f"a state with {word!r}, which is not known")
        states.append(State(entry, loop, tuple(arcs)))
    if word != "</TopologyEntry>":
        reader.fail(f"must be <State> or </TopologyEntry>, is {word!r}")
    return tuple(states)


def _read_mixture(reader: KaldiReader, n_features: int) -> tuple[np.ndarray, ...]:
    """Weights, means and variances of one pdf."""
    if reader.word() not in ("<DiagGMM>", "<DiagGMMBegin>"):
        reader.fail("must be <DiagGMM>: only models of diagonal mixtures are read")
    if (word := reader.word()) == "<GCONSTS>":
        reader.vector()
        word = reader.word()
    if word != "<WEIGHTS>":
        reader.fail(f"must be <WEIGHTS>, is {word!r}")
    weights = reader.vector()
    reader.expect("<MEANS_INVVARS>")
    scaled = reader.matrix()
    reader.expect("<INV_VARS>")
    inverse = reader.matrix()
    if reader.word() not in ("</DiagGMM>", "<DiagGMMEnd>"):
        reader.fail("must be </DiagGMM>")
    shape = len(weights), n_features
    if not scaled.shape == inverse.shape == shape:
        reader.fail(f"means {scaled.shape} and variances {inverse.shape} must be {shape}")
    if not (inverse > 0).all():
        reader.fail("inverse variances must be above 0")
    return weights, scaled / inverse, 1 / inverse


def _read_node(reader: KaldiReader, width: int) -> Node | None:
    kind = reader.word()
    if kind == "NULL":
        return None
    if kind == "CE":
        return reader.integer()
    if kind not in ("TE", "SE"):
        reader.fail(f"a node of a tree must be NULL, CE, TE or SE, is {kind!r}")
    key = reader.integer()
    if not PDF_CLASS <= key < width:
        reader.fail(f"a node asks about place {key}, must be {PDF_CLASS} to {width - 1}")
    if kind == "TE":
        n = reader.count(3)
        reader.expect("(")
        branches = tuple(_read_node(reader, width) for _ in range(n))
        reader.expect(")")
        return Table(key, branches)
    members = reader.integers()
    reader.expect("{")
    yes, no = _read_node(reader, width), _read_node(reader, width)
    reader.expect("}")
    if yes is None or no is None:
        reader.fail("a question without an answer")
    return Split(key, members, yes, no)


def _check_model(reader: KaldiReader, model: KaldiModel) -> None:
    n_arcs = 0
    for phone, state, pdf in model.triples.tolist():
        states = model.topology.get(phone, ())
        if not 0 <= state < len(states) or not 0 <= pdf < len(model.first_gaussian) - 1:
            reader.fail(f"phone {phone}, state {state}, pdf {pdf} is not in the model")
        n_arcs += len(states[state].transitions)
    if len(model.log_probs) != n_arcs + 1:
        reader.fail(f"{len(model.log_probs)} probabilities must be {n_arcs} and one in front")

"""Networks of Kaldi's nnet3, text or binary: transition model, nodes, components.

A component's file is a list of tokens with values behind them. What training alone needs is
dropped; components that do nothing at test time become ``identity``, and batch normalisation
becomes a scale and an offset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.nnet3.layers import Layer
from factored_asr.acoustic.nnet3.network import Network
from factored_asr.errors import FormatError, OptionError
from factored_asr.models.importers.kaldi_files import State, read_topology
from factored_asr.models.importers.kaldi_reader import KaldiReader

MAX_COMPONENTS = 10_000
_INTEGERS = """Dim BlockDim InputDim OutputDim RankIn RankOut Rank UpdatePeriod TimePeriod
    NumFiltersIn NumFiltersOut HeightIn HeightOut HeightSubsampleOut NumMinibatchesHistory
    ZeroingInterval RecurrenceInterval SpecAugmentMaxRegions CellDim RecurrentDim"""
_REALS = """LearningRateFactor MaxChange L2Regularize LearningRate Count OderivCount
    NumDimsSelfRepaired NumDimsProcessed SelfRepairLowerThreshold SelfRepairUpperThreshold
    SelfRepairScale NumSamplesHistory Alpha OrthonormalConstraint Epsilon TargetRms
    DropoutProportion BackpropScale MaxChangePerSample MaxChangeScaleStats UpdateCount
    ActiveScalingCount MaxMemoryMb ClippingThreshold SelfRepairClippedProportionThreshold
    SelfRepairTarget NumElementsClipped NumElementsProcessed NumSelfRepaired NumBackpropped
    ZeroingThreshold NumElementsZeroed NumZeroingBoundaries Scale SpecAugmentMaxProportion
    ParamStddev ZeroedProportion TimeMaskMaxFrames"""
_BOOLEANS = """IsGradient UseNaturalGradient TestMode AddLogStddev DropoutPerFrame
    NormBasedClipping UseDropout Continuous"""
_VECTORS = """ValueAvg DerivAvg OderivRms BiasParams StatsMean StatsVar Offsets Scales Bias
    SelfRepairConfig SelfRepairProb"""
_INTEGER_LISTS = "TimeOffsets ColumnMap Sizes RequiredTimeOffsets"
_PAIRS = {"RankInOut": "integer", "AlphaInOut": "real"}
_READERS: dict[str, Callable[[KaldiReader], Any]] = {
    **dict.fromkeys(_INTEGERS.split(), KaldiReader.integer),
    **dict.fromkeys(_REALS.split(), KaldiReader.real),
    **dict.fromkeys(_VECTORS.split(), KaldiReader.vector),
    **dict.fromkeys(_INTEGER_LISTS.split(), KaldiReader.integers),
    "LinearParams": KaldiReader.matrix,
}
_Values = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ChainFile:
    """What ``final.mdl`` of a chain model holds."""

    entries: dict[int, tuple[State, ...]]
    """Phone number → its states."""
    tuples: np.ndarray
    """(n, 4) int32: phone, state, pdf of entering it and pdf of staying, of each transition
    state."""
    log_probs: np.ndarray
    """(n_transitions + 1,) float64; the first is not used."""
    network: Network
    log_priors: np.ndarray
    """(n_pdfs,) float64, to be subtracted from the outputs; empty: none."""

    @property
    def transitions(self) -> np.ndarray:
        """(n_transitions + 1, 2) int32: row of `tuples` of each transition, and its target state;
        the first is not used."""
        rows = [(-1, -1)]
        for row, (phone, state, _, _) in enumerate(self.tuples.tolist()):
            rows += [(row, target) for target, _ in self.entries[phone][state].transitions]
        return np.array(rows, np.int32)


def is_nnet3(path: str | Path) -> bool:
    """Return whether a ``final.mdl`` holds a network of nnet3; of a GMM's, False."""
    with open(path, "rb") as file:
        head = file.read(1 << 22)
    return b"<Nnet3>" in head


def read_chain_model(path: str | Path, step: int = 3) -> ChainFile:
    """Read ``final.mdl`` of a chain model.

    `step` is the frame subsampling factor, which the file itself does not name. MissingError if
    there is no such file. FormatError if it is no model of nnet3, is broken off, has a component
    that is not supported, or its parts do not fit each other.
    """
    reader = KaldiReader(path)
    try:
        entries, tuples, log_probs = read_transitions(reader)
        network, priors = read_network(reader, step)
    except OptionError as error:
        raise FormatError(str(error), path) from error
    except FormatError as error:
        raise error if error.path else FormatError(str(error), path) from error
    if len(tuples) and tuples[:, 2:].max() >= network.n_outputs:
        reader.fail(f"a pdf {tuples[:, 2:].max()} beyond the {network.n_outputs} outputs")
    if len(priors) not in (0, network.n_outputs):
        reader.fail(f"{len(priors)} priors of {network.n_outputs} outputs")
    with np.errstate(divide="ignore"):
        return ChainFile(entries, tuples, log_probs, network, np.log(priors))


def read_transitions(
    reader: KaldiReader,
) -> tuple[dict[int, tuple[State, ...]], np.ndarray, np.ndarray]:
    """Read a transition model: states of the phones, tuples, log probabilities."""
    reader.expect("<TransitionModel>")
    entries = read_topology(reader, chain=True)
    kind = reader.word()
    if kind not in ("<Tuples>", "<Triples>"):
        reader.fail(f"must be <Tuples> or <Triples>, is {kind!r}")
    width = 3 + (kind == "<Tuples>")
    tuples = reader.integer_rows(reader.count(width), width)
    if width == 3:
        tuples = np.concatenate([tuples, tuples[:, 2:]], axis=1)
    reader.expect(kind.replace("<", "</"), "<LogProbs>")
    log_probs = reader.vector()
    reader.expect("</LogProbs>", "</TransitionModel>")
    n_arcs = 0
    for phone, state, entry, loop in tuples.tolist():
        states = entries.get(phone, ())
        if not 0 <= state < len(states) or min(entry, loop) < 0:
            reader.fail(f"phone {phone}, state {state}, pdf {entry} is not in the model")
        n_arcs += len(states[state].transitions)
    if len(log_probs) != n_arcs + 1:
        reader.fail(f"{len(log_probs)} probabilities must be {n_arcs} and one in front")
    return entries, tuples, log_probs


def read_network(reader: KaldiReader, step: int) -> tuple[Network, np.ndarray]:
    """Read an acoustic network and its priors; nodes that the output does not need are left out."""
    reader.expect("<Nnet3>")
    reader.line()
    lines = []
    while text := reader.line().strip():
        lines.append(text)
    reader.expect("<NumComponents>")
    n_components = reader.integer()
    if not 0 <= n_components <= MAX_COMPONENTS:
        reader.fail(f"{n_components} components, at most {MAX_COMPONENTS}")
    layers: dict[str, Layer | str] = {}
    for _ in range(n_components):
        reader.expect("<ComponentName>")
        name = reader.word()
        layers[name] = _component(reader, name)
    reader.expect("</Nnet3>")
    priors = np.zeros(0)
    if reader.left and reader.peek() == "<LeftContext>":
        reader.expect("<LeftContext>")
        reader.integer()
        reader.expect("<RightContext>")
        reader.integer()
        reader.expect("<Priors>")
        priors = reader.vector()
    refused = {name: why for name, why in layers.items() if isinstance(why, str)}
    known = {name: layer for name, layer in layers.items() if isinstance(layer, Layer)}
    for line in lines:
        named = line.partition(" component=")[2].split(" ")[0]
        if named in refused and not _is_training_only(line):
            reader.fail(f"component {named!r} is a {refused[named]}, which is not supported")
    kept = tuple(line for line in lines if not _is_training_only(line))
    return Network(kept, known, step), priors


def _is_training_only(line: str) -> bool:
    """The second output of chain models, for cross-entropy."""
    return any(part in line for part in ("name=output-xent", "name=prefinal-xent"))


def _component(reader: KaldiReader, name: str) -> Layer | str:
    """Read one component: its layer, or the name of its type if it is not supported."""
    word = reader.word()
    kind = word[1:-1].removesuffix("Component")
    if not word.startswith("<") or not word.endswith("Component>"):
        reader.fail(f"component {name!r} must be of a type, is {word!r}")
    end, values = f"</{word[1:]}", _Values()
    while (token := reader.word()) != end:
        key = token.strip("</>")
        if key == "ConvolutionModel":
            continue
        if key == "Offsets" and "NumFiltersIn" in values:
            values["Offsets"] = _pairs(reader)
        elif key == "Params":
            values[key] = reader.matrix() if kind in ("Linear", "LstmNonlinearity") else (
                reader.vector())
        elif key in ("ValueAvg", "DerivAvg") and kind == "LstmNonlinearity":
            values[key] = reader.matrix()
        elif key in _PAIRS:
            values[key] = getattr(reader, _PAIRS[key])(), getattr(reader, _PAIRS[key])()
        elif key in _BOOLEANS.split():
            is_flag = kind.startswith("GeneralDropout") and key in ("TestMode", "Continuous")
            values[key] = True if is_flag else reader.boolean()
        elif key in _READERS:
            values[key] = _READERS[key](reader)
        else:
            reader.fail(f"component {name!r}, a {kind}Component, has {token!r}, which is not known")
    make = _LAYERS.get(kind)
    if make is None:
        return f"{kind}Component"
    try:
        return make(values)
    except (KeyError, OptionError, ValueError, IndexError) as error:
        reader.fail(f"component {name!r}, a {kind}Component, is not whole: {error!r}")


def _pairs(reader: KaldiReader) -> np.ndarray:
    """Read a list of pairs of integers, (n, 2)."""
    if reader.binary:
        if reader.number("u1", "size of integers") != 4:
            reader.fail("must be a list of pairs of 32-bit integers")
        n = reader.number("<i4", "number of pairs")
        return reader.take("<i4", 2 * n if n >= 0 else -1, "pairs").reshape(-1, 2)
    words = reader._bracketed().replace(",", " ").split()
    return np.array([int(word) for word in words], np.int32).reshape(-1, 2)


def _affine(values: _Values) -> Layer:
    weight = values["Params"] if "Params" in values else values["LinearParams"]
    bias = values.get("BiasParams", np.zeros(0))
    offsets = [int(each) for each in values.get("TimeOffsets", (0,))]
    n_out, n_in = weight.shape
    if not len(bias):
        bias = np.zeros(n_out)
    if not offsets or n_in % len(offsets):
        raise ValueError(f"{n_in} columns for {len(offsets)} frames")
    facts = {"offsets": offsets} if "TimeOffsets" in values else {}
    return Layer("affine", n_in // len(offsets), n_out, {"weight": weight, "bias": bias}, facts)


def _convolution(values: _Values) -> Layer:
    n_in, n_out = values["NumFiltersIn"], values["NumFiltersOut"]
    height_in, height_out = values["HeightIn"], values["HeightOut"]
    time, height = values["Offsets"].T
    if set(time.tolist()) != set(values["RequiredTimeOffsets"].tolist()):
        raise ValueError("frames that may lack, which is not supported")
    facts = {"filters_in": n_in, "filters_out": n_out, "height_in": height_in,
             "height_out": height_out, "height_step": values["HeightSubsampleOut"],
             "time_offsets": time.tolist(), "height_offsets": height.tolist()}
    return Layer("convolution", n_in * height_in, n_out * height_out,
                 {"weight": values["LinearParams"], "bias": values["BiasParams"]}, facts)


def _batch_norm(values: _Values) -> Layer:
    """y = (x - mean) · rms / sqrt(variance + epsilon), by the statistics of training."""
    scale = values["TargetRms"] / np.sqrt(values["StatsVar"] + values["Epsilon"])
    return _scaled(values["Dim"], scale, -values["StatsMean"] * scale)


def _scaled(dim: int, scale: np.ndarray, offset: np.ndarray) -> Layer:
    if not len(scale) or dim % len(scale):
        raise ValueError(f"{len(scale)} scales for {dim} elements")
    return Layer("scale", dim, dim, {"scale": scale, "offset": offset})


def _elementwise(kind: str) -> Callable[[_Values], Layer]:
    return lambda values: Layer(kind, values["Dim"], values["Dim"])


def _normalise(values: _Values) -> Layer:
    dim = values["InputDim"] if "InputDim" in values else values["Dim"]
    block, with_log = values.get("BlockDim", dim), values.get("AddLogStddev", False)
    facts = {"block": block, "rms": values.get("TargetRms", 1.0), "log_stddev": with_log}
    return Layer("normalise", dim, dim + (dim // block if with_log else 0), {}, facts)


def _permute(values: _Values) -> Layer:
    order = values["ColumnMap"].tolist()
    return Layer("permute", len(order), len(order), {}, {"map": order})


def _sum_groups(values: _Values) -> Layer:
    sizes = values["Sizes"].tolist()
    return Layer("sum_groups", sum(sizes), len(sizes), {}, {"sizes": sizes})


def _scales(values: _Values) -> Layer:
    scale: np.ndarray = values["Scales"] if "Scales" in values else values["Params"]
    offset = values.get("Offsets", np.zeros(len(scale)))
    return _scaled(max(values.get("Dim", 0), len(scale)), scale, offset)


def _offsets(values: _Values) -> Layer:
    offset = values["Offsets"] if "Offsets" in values else values["Bias"]
    return _scaled(max(values.get("Dim", 0), len(offset)), np.ones(len(offset)), offset)


def _lstm(values: _Values) -> Layer:
    if values.get("UseDropout"):
        raise ValueError("an LSTM with masks of dropout, which is not supported")
    n = values["Params"].shape[1]
    return Layer("lstm", 5 * n, 2 * n, {"peephole": values["Params"]})


def _product(values: _Values) -> Layer:
    n_in, n_out = values["InputDim"], values["OutputDim"]
    return Layer("product", n_in, n_out, {}, {"parts": n_in // n_out})


_LAYERS: dict[str, Callable[[_Values], Layer]] = {
    **dict.fromkeys(("Affine", "NaturalGradientAffine", "FixedAffine", "Linear", "Tdnn"), _affine),
    "TimeHeightConvolution": _convolution, "BatchNorm": _batch_norm,
    "RectifiedLinear": _elementwise("relu"), "Sigmoid": _elementwise("sigmoid"),
    "Tanh": _elementwise("tanh"), "Softmax": _elementwise("softmax"),
    "LogSoftmax": _elementwise("log_softmax"), "Normalize": _normalise,
    **dict.fromkeys(("NoOp", "Dropout", "GeneralDropout", "ClipGradient", "BackpropTruncation",
                     "SpecAugmentTimeMask"), _elementwise("identity")),
    "Pnorm": lambda values: Layer("pnorm", values["InputDim"], values["OutputDim"]),
    "Permute": _permute, "SumGroup": _sum_groups, "ElementwiseProduct": _product,
    **dict.fromkeys(("FixedScale", "PerElementScale", "NaturalGradientPerElementScale",
                     "ScaleAndOffset"), _scales),
    **dict.fromkeys(("FixedBias", "PerElementOffset"), _offsets), "LstmNonlinearity": _lstm,
}
"""By the name of a component type, without ``Component``."""

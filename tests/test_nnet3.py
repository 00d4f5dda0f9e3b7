"""Networks of nnet3: every component against a slow twin, in chunks, and files that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naive_nnet3 import NaiveNetwork
from support import vosk_files as files

from factored_asr.acoustic.nnet3 import KaldiFeatures, Layer, Network
from factored_asr.acoustic.nnet3.features import FeatureStream
from factored_asr.acoustic.nnet3.forward import NetworkStream
from factored_asr.errors import FormatError, OptionError
from factored_asr.models.importers.kaldi_nnet3 import read_chain_model

RNG = np.random.default_rng(5)
INPUT = "input-node name=input dim=6"
IVECTOR = "input-node name=ivector dim=2"


def _w(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


CONVOLUTION: dict[str, Any] = {
    "NumFiltersIn": 2, "NumFiltersOut": 3, "HeightIn": 3, "HeightOut": 2, "HeightSubsampleOut": 2,
    "Offsets": [(-1, -1), (-1, 0), (1, 0), (1, 1)], "RequiredTimeOffsets": [-1, 1],
    "LinearParams": _w(3, 8), "BiasParams": _w(3),
}
COMPONENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "affine": ("Affine", {"LinearParams": _w(4, 6), "BiasParams": _w(4), "IsGradient": False}),
    "natural": ("NaturalGradientAffine",
                {"LearningRate": 0.1, "LinearParams": _w(4, 6), "BiasParams": _w(4), "RankIn": 2}),
    "fixed": ("FixedAffine", {"LinearParams": _w(4, 6), "BiasParams": _w(4)}),
    "linear": ("Linear", {"Params": _w(4, 6), "OrthonormalConstraint": -1.0}),
    "tdnn": ("Tdnn", {"TimeOffsets": [-2, 0, 1], "LinearParams": _w(4, 18), "BiasParams": _w(4)}),
    "tdnn without bias": ("Tdnn", {"TimeOffsets": [0, 3], "LinearParams": _w(4, 12),
                                   "BiasParams": _w(0)}),
    "convolution": ("TimeHeightConvolution", CONVOLUTION),
    "norm": ("BatchNorm", {"Dim": 6, "BlockDim": 3, "Epsilon": 0.01, "TargetRms": 0.5,
                           "StatsMean": _w(3), "StatsVar": np.abs(_w(3))}),
    "relu": ("RectifiedLinear", {"Dim": 6, "ValueAvg": _w(6), "DerivAvg": _w(6), "Count": 2.0}),
    "sigmoid": ("Sigmoid", {"Dim": 6}),
    "tanh": ("Tanh", {"Dim": 6}),
    "softmax": ("Softmax", {"Dim": 6}),
    "log softmax": ("LogSoftmax", {"Dim": 6}),
    "normalize": ("Normalize", {"InputDim": 6, "BlockDim": 3, "TargetRms": 2.0,
                                "AddLogStddev": True}),
    "pnorm": ("Pnorm", {"InputDim": 6, "OutputDim": 3}),
    "permute": ("Permute", {"ColumnMap": [5, 0, 2, 1, 4, 3]}),
    "sum group": ("SumGroup", {"Sizes": [1, 3, 2]}),
    "product": ("ElementwiseProduct", {"InputDim": 6, "OutputDim": 3}),
    "scale": ("FixedScale", {"Scales": _w(6)}),
    "per element": ("PerElementScale", {"Params": _w(6)}),
    "scale and offset": ("ScaleAndOffset", {"Scales": _w(6), "Offsets": _w(6)}),
    "bias": ("FixedBias", {"Bias": _w(6)}),
    "offset": ("PerElementOffset", {"Offsets": _w(6)}),
    "nothing": ("NoOp", {"Dim": 6, "BackpropScale": 1.0}),
    "dropout": ("Dropout", {"Dim": 6, "DropoutProportion": 0.1, "DropoutPerFrame": True}),
    "general dropout": ("GeneralDropout", {"Dim": 6, "BlockDim": 6, "TimePeriod": 0,
                                           "DropoutProportion": 0.0, "Continuous": b""}),
}


def _bytes(type_: str, values: dict[str, Any]) -> bytes:
    written = dict(values)
    if type_ == "TimeHeightConvolution":
        pairs = np.array(values["Offsets"], "<i4")
        written["Offsets"] = b"\x04" + np.int32(len(pairs)).tobytes() + pairs.tobytes()
    return files.component(f"{type_}Component", **written)


def _read(path: Path, lines: list[str], components: dict[str, tuple[str, dict[str, Any]]],
          step: int = 1) -> Network:
    data = {name: _bytes(*component) for name, component in components.items()}
    path.write_bytes(files.network_file(lines, data))
    return read_chain_model(path, step).network


def _run(network: Network, inputs: np.ndarray, ivector: np.ndarray | None, piece: int,
         *, whole: bool = True) -> np.ndarray:
    """The outputs, of inputs that come in pieces; edges are copies."""
    left, right = network.context
    padded = inputs[np.arange(-left, len(inputs) + right).clip(0, len(inputs) - 1)]
    stream, rows = NetworkStream(network, whole=whole), []
    for first in range(0, len(padded), piece):
        part = padded[first : first + piece].astype(np.float32)
        each = None if ivector is None else np.tile(ivector.astype(np.float32), (len(part), 1))
        rows.append(stream.accept(part, each))
    found = np.concatenate(rows)
    return found if whole else network.finished(found)


@pytest.mark.parametrize("name", COMPONENTS)
def test_each_component_is_that_of_its_formula(name: str, tmp_path: Path) -> None:
    lines = [INPUT, "component-node name=c component=c input=input",
             "output-node name=output input=c"]
    components = {"c": COMPONENTS[name]}
    network = _read(tmp_path / "final.mdl", lines, components)
    inputs = _w(9, 6)
    naive = NaiveNetwork(lines, components).output(inputs, np.zeros(0), range(9), 0)
    np.testing.assert_allclose(_run(network, inputs, None, 100), naive, atol=1e-5)


TDNN = [
    INPUT, IVECTOR,
    "component-node name=lda component=lda input=Append(Offset(input, -1), input, Offset(input, 1),"
    " ReplaceIndex(ivector, t, 0))",
    "component-node name=relu component=relu input=lda",
    "component-node name=down component=down input=relu",
    "component-node name=up component=up input=down",
    "dim-range-node name=half input-node=up dim-offset=2 dim=3",
    "component-node name=sum component=sum input=Sum(Scale(0.5, relu), up)",
    "component-node name=more component=more input=Append(Offset(sum, -3), half, Const(0.25, 2))",
    "component-node name=last component=last input=more",
    "component-node name=log component=log input=last",
    "output-node name=output input=log objective=linear",
    "output-node name=other input=half objective=linear",
]
TDNN_PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "lda": ("FixedAffine", {"LinearParams": _w(6, 20), "BiasParams": _w(6)}),
    "relu": ("RectifiedLinear", {"Dim": 6}),
    "down": ("Tdnn", {"TimeOffsets": [-3, 0], "LinearParams": _w(3, 12), "BiasParams": _w(0)}),
    "up": ("Tdnn", {"TimeOffsets": [0, 3], "LinearParams": _w(6, 6), "BiasParams": _w(6)}),
    "sum": ("NoOp", {"Dim": 6}),
    "more": ("Affine", {"LinearParams": _w(4, 11), "BiasParams": _w(4)}),
    "last": ("Affine", {"LinearParams": _w(5, 4), "BiasParams": _w(5)}),
    "log": ("LogSoftmax", {"Dim": 5}),
}


@pytest.mark.parametrize("step", [1, 3])
def test_a_network_is_its_twin_in_any_chunks(step: int, tmp_path: Path) -> None:
    network = _read(tmp_path / "final.mdl", TDNN, TDNN_PARTS, step)
    assert network.context == (7, 4) and network.tail == ("more", ("last", "log"))
    assert step == 1 or set(network.grid.values()) == {1, 3}
    inputs, ivector = _w(31, 6), _w(2)
    frames = range(0, len(inputs), step)
    naive = NaiveNetwork(TDNN, TDNN_PARTS).output(inputs, ivector, frames, 0)
    for piece in (1, 7, 21, 100):
        np.testing.assert_allclose(_run(network, inputs, ivector, piece), naive, atol=1e-4)
        found = _run(network, inputs, ivector, piece, whole=False)
        np.testing.assert_allclose(found, naive, atol=1e-4)


def test_a_recurrent_network_is_its_twin(tmp_path: Path) -> None:
    lines = [
        INPUT,
        "component-node name=gates component=gates input=Append(input, IfDefined(Offset(m, -1)))",
        "component-node name=lstm component=lstm input=Append(gates, IfDefined(Offset(c, -1)))",
        "dim-range-node name=c input-node=lstm dim-offset=0 dim=4",
        "dim-range-node name=m input-node=lstm dim-offset=4 dim=4",
        "output-node name=output input=m",
    ]
    parts: dict[str, tuple[str, dict[str, Any]]] = {
        "gates": ("Affine", {"LinearParams": _w(16, 10), "BiasParams": _w(16)}),
        "lstm": ("LstmNonlinearity", {"Params": _w(3, 4), "UseDropout": False}),
    }
    network = _read(tmp_path / "final.mdl", lines, parts)
    twin, inputs = NaiveNetwork(lines, parts), _w(12, 6)
    twin.width = 4
    naive = twin.output(inputs, np.zeros(0), range(12), 0)
    for piece in (1, 5, 50):
        np.testing.assert_allclose(_run(network, inputs, None, piece), naive, atol=1e-5)


@pytest.mark.parametrize("lines, parts, match", [
    ([INPUT, "output-node name=output input=Switch(input, input)"], {}, "Switch is not supported"),
    ([INPUT, "output-node name=output input=Offset(input, -1"], {}, "must follow"),
    ([INPUT, "output-node name=output input=nowhere"], {}, "not there"),
    ([INPUT, "component-node name=a component=b input=input", "output-node name=output input=a"],
     {}, "component 'b'"),
    ([INPUT, "component-node name=a component=a input=Sum(input, Offset(a, -1))",
      "output-node name=output input=a"], {"a": ("NoOp", {"Dim": 6})}, "without IfDefined"),
    ([INPUT, "component-node name=a component=a input=input", "output-node name=output input=a"],
     {"a": ("NoOp", {"Dim": 7})}, "takes rows of 7 elements, is given 6"),
    ([INPUT, "component-node name=a component=a input=input", "output-node name=output input=a"],
     {"a": ("StatisticsPooling", {"InputDim": 6})}, "StatisticsPoolingComponent, which is not"),
    ([INPUT, "component-node name=a component=a input=input", "output-node name=output input=a"],
     {"a": ("NoOp", {"Dimension": 6})}, "'<Dimension>', which is not known"),
    (["input-node name=sound dim=2", "output-node name=output input=sound"], {}, "inputs must be"),
])
def test_what_is_not_supported_is_refused_by_name(
    lines: list[str], parts: dict[str, Any], match: str, tmp_path: Path
) -> None:
    with pytest.raises(FormatError, match=match):
        _read(tmp_path / "final.mdl", lines, parts)


def test_a_layer_whose_arrays_do_not_fit_is_refused() -> None:
    with pytest.raises(OptionError, match="must be"):
        Layer("affine", 2, 3, {"weight": np.ones((2, 3)), "bias": np.zeros(3)})
    with pytest.raises(OptionError, match="known are"):
        Layer("magic", 2, 2)
    with pytest.raises(OptionError, match="must be 1 to 100000"):
        Layer("scale", 1 << 30, 1 << 30, {"scale": np.ones(8), "offset": np.zeros(8)})


@pytest.mark.parametrize("options", [
    {"use_energy": False},
    {"num_ceps": 40, "num_mel_bins": 40, "high_freq": 7600.0, "use_energy": False},
    {"use_energy": True, "raw_energy": False, "window_type": "hamming", "high_freq": -400.0},
    {"snip_edges": False, "use_energy": False, "preemphasis_coefficient": 0.9,
     "cepstral_lifter": 0.0},
    {"kind": "fbank", "use_energy": False, "num_mel_bins": 30, "remove_dc_offset": False},
])
def test_features_are_those_of_kaldi(options: dict[str, Any]) -> None:
    knf = pytest.importorskip("kaldi_native_fbank", reason="pip install kaldi-native-fbank")
    samples = (np.random.default_rng(1).normal(size=6543) * 3000).astype(np.float32)
    samples[3000:5000] = 0
    features = KaldiFeatures(**options)
    is_mfcc = features.kind == "mfcc"
    theirs = knf.MfccOptions() if is_mfcc else knf.FbankOptions()
    for name, value in {**options, "dither": 0.0}.items():
        place = {"preemphasis_coefficient": "preemph_coeff", "num_mel_bins": "num_bins"}.get(name,
                                                                                            name)
        for part in (theirs.frame_opts, theirs.mel_opts, theirs):
            if hasattr(part, place) and place != "kind":
                setattr(part, place, value)
    online = knf.OnlineMfcc(theirs) if is_mfcc else knf.OnlineFbank(theirs)
    online.accept_waveform(16000, samples.tolist())
    online.input_finished()
    expected = np.array([online.get_frame(i) for i in range(online.num_frames_ready)])
    stream = FeatureStream(features)
    found = [stream.accept(samples[i : i + 700]) for i in range(0, len(samples), 700)]
    found = np.concatenate([*found, stream.finish()])
    np.testing.assert_allclose(found, expected, atol=5e-3)

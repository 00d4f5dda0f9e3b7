"""Weights from files: what is damaged is one clear error, whatever the damage."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from support.network import encoder, random_head

from factored_asr.acoustic.network import moonshine, read_encoder, read_head, write_head
from factored_asr.acoustic.network.head import head_of
from factored_asr.acoustic.network.ort_file import parse_ort
from factored_asr.errors import FormatError, MissingError
from factored_asr.storage.reading import read_arrays


@pytest.fixture(scope="module")
def data() -> bytes:
    encoder()
    return moonshine.encoder_path().read_bytes()


def test_the_constants_of_the_file(data):
    graph = parse_ort(data)
    assert graph.constants["conv1.weight_add_tensor"].shape == (288, 1, 127)
    assert graph.constants["onnx::MatMul_2093_quantized"].dtype == np.uint8
    name, _, scale, *_ = graph.inputs["/layers.5/mlp/fc1/MatMul_quant"][1:]
    assert name in graph.constants or scale in graph.constants
    n_weights = sum(each.size for each in graph.constants.values())
    assert 7.6e6 < n_weights < 7.8e6


def test_cut_files_are_format_errors(data):
    for length in [*range(0, 64), *np.linspace(64, len(data) - 1000, 60).astype(int)]:
        with pytest.raises(FormatError, match=r"m\.ort: no whole \.ort file"):
            parse_ort(data[:length], "m.ort")


def test_damaged_files_are_errors_or_graphs(data):
    """Bytes that say where things lie, and how long they are, changed at random."""
    rng = np.random.default_rng(0)
    # The graph, its nodes and their names; the last constants.
    tables = np.concatenate([np.arange(4_300, 140_000), np.arange(len(data) - 3_000, len(data))])
    n_errors = 0
    for _ in range(60):
        broken = bytearray(data)
        for place in rng.choice(tables, 30):
            broken[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
        broken[rng.integers(0, 64)] = rng.integers(256)
        try:
            parse_ort(bytes(broken))
        except FormatError:
            n_errors += 1
    assert n_errors > 10


def test_another_file_is_refused_by_its_hash(data, tmp_path, monkeypatch):
    path = tmp_path / "encoder_model.ort"
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(FormatError, match="sha256.*pip install --force-reinstall"):
        read_encoder(path)
    other = parse_ort(data)
    constants = {**other.constants, "conv2.bias": np.zeros(3, np.float32)}
    monkeypatch.setattr(moonshine, "parse_ort", lambda *_: type(other)(constants, other.inputs))
    monkeypatch.setattr(moonshine, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(FormatError, match=r"do not make the encoder.*\(576,\)"):
        read_encoder(path)


def test_a_missing_package_is_named_with_its_remedy(tmp_path, monkeypatch):
    with pytest.raises(MissingError):
        read_encoder(tmp_path / "none.ort")
    monkeypatch.setattr(moonshine, "PACKAGE", "moonshine-voice-that-nobody-has")
    with pytest.raises(MissingError, match=r"pip install .*==0\.0\.49.*en-us works without"):
        read_encoder()


def test_a_head_survives_its_file(tmp_path):
    head = random_head()
    write_head(tmp_path / "head.npz", head)
    found = read_head(tmp_path / "head.npz")
    assert (found.phones, found.encoder_layers, found.normalise, found.licence) == (
        head.phones, head.encoder_layers, True, "none"
    )
    for one, other in zip(found.layers, head.layers, strict=True):
        assert one.offsets == other.offsets and np.array_equal(one.weight, other.weight)
    rng = np.random.default_rng(1)
    hidden = [rng.normal(size=(7, 288)).astype(np.float32) for _ in range(8)]
    assert np.array_equal(found(hidden), head(hidden))
    assert np.exp(found(hidden)).sum(axis=1) == pytest.approx(np.ones(7), abs=1e-5)


@pytest.mark.parametrize(("name", "value", "message"), [
    ("version", np.int32(9), "version 9"),
    ("phones", np.array(["A", "B"]), "<blank>"),
    ("log_prior", np.zeros(3, np.float32), "log_prior must be 40"),
    ("activation", np.array("sine"), "must be one of relu"),
    ("encoder_layers", np.array([8]), r"0\.\.7"),
    ("n_layers", np.int32(10**9), "layers, must be"),
    ("offsets_0", np.array([1, 0]), "must ascend"),
    ("offsets_1", np.array([0, 70]), "within ±50"),
    ("weight_0", np.zeros((5, 5)), "do not fit"),
    ("bias_1", np.full(40, np.nan), "not finite"),
    ("residual_1", np.bool_(True), "as many outputs"),
])
def test_parts_that_do_not_fit_are_named(tmp_path, name, value, message):
    write_head(tmp_path / "head.npz", random_head())
    values = {**read_arrays(tmp_path / "head.npz"), name: value}
    with pytest.raises(FormatError, match=message):
        head_of(values)
    np.savez(tmp_path / "bad.npz", **values)
    with pytest.raises(FormatError, match=r"bad\.npz: "):
        read_head(tmp_path / "bad.npz")


def test_a_head_without_a_part_is_a_format_error(tmp_path):
    write_head(tmp_path / "head.npz", random_head())
    values = read_arrays(tmp_path / "head.npz")
    for name in ("phones", "weight_1", "log_prior", "n_layers"):
        np.savez(tmp_path / "bad.npz", **{key: v for key, v in values.items() if key != name})
        with pytest.raises(FormatError, match=f"do not make a head.*{name}"):
            read_head(tmp_path / "bad.npz")

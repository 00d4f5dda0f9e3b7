"""Changes of the encoder that come with a head: merged, written, read, and kept from detectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.network import encoder, random_head, random_network

from factored_asr import Recognizer, Transcript
from factored_asr.acoustic.gmm.tools import NoiseTools
from factored_asr.acoustic.network import NetworkModel, read_head, write_head
from factored_asr.acoustic.network.changes import CONVOLUTIONS, MATRICES, Changes
from factored_asr.acoustic.network.head import CHANGED, VERSION, head_of
from factored_asr.acoustic.network.memory import Memory
from factored_asr.detectors import FrameStream, SharedStream, VoicingDetector
from factored_asr.errors import FormatError
from factored_asr.models.bundle import Bundle
from factored_asr.models.folder import ModelFolder, write_model
from factored_asr.storage.reading import read_arrays

RANK = 3
ROOT = Path(__file__).parent.parent


def random_changes(seed: int = 0) -> Changes:
    """Of all matrices, rounded to 16 bits, as files hold them."""
    rng, plain = np.random.default_rng(seed), encoder()
    shapes = {name: getattr(plain, name).shape for name in CONVOLUTIONS}
    shapes |= {f"{i}_{name}": getattr(block, name).shape
               for i, block in enumerate(plain.blocks) for name in MATRICES}  # fmt: skip

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.05, shape).astype(np.float16).astype(np.float32)

    return Changes({name: (drawn(n, RANK), drawn(RANK, m)) for name, (n, m) in shapes.items()},
                   (plain.group_norm + drawn(2, 288)).astype(np.float16).astype(np.float32))


@pytest.fixture(scope="module")
def both() -> NetworkModel:
    """A model with a head for the encoder as it comes, and one with changes."""
    taught = replace(random_head(), changes=random_changes())
    return NetworkModel(encoder(), random_head(1), taught_head=taught)


@pytest.fixture(scope="module")
def changed(both: NetworkModel) -> NetworkModel:
    return both.taught


def test_changes_are_dense_products_added(changed: NetworkModel) -> None:
    """Each product once more, sum by sum, next to a matrix of the encoder as it comes."""
    plain, changes = encoder(), changed.head.changes
    assert changes is not None
    for name, (down, up) in changes.low_rank.items():
        parts = (plain, changed.encoder) if name in CONVOLUTIONS else tuple(
            each.blocks[int(name[0])] for each in (plain, changed.encoder))
        before, after = (getattr(part, name.split("_", 1)[-1] if name[0].isdigit() else name)
                         for part in parts)
        wanted = before.astype(np.float64)
        for column, row in zip(down.T, up, strict=True):
            wanted = wanted + np.outer(column, row)
        assert np.abs(after - wanted).max() < 1e-5 and np.abs(after - before).max() > 1e-3
    assert np.array_equal(changed.encoder.group_norm, changes.group_norm)
    assert changed.encoder.conv1 is plain.conv1  # what does not change is shared


def test_frames_are_those_of_products_apart(changed: NetworkModel) -> None:
    """x @ (W + down @ up) is x @ W + x @ down @ up: for the first block, by hand."""
    changes, block = changed.head.changes, encoder().blocks[0]
    assert changes is not None
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    x = changed.encoder.convolutions(samples, Memory())
    down, up = changes.low_rank["0_wide"]
    apart = x @ block.wide + (x @ down) @ up
    assert np.allclose(x @ changed.encoder.blocks[0].wide, apart, atol=1e-3)
    hidden = changed.encoder(samples)
    assert all(np.abs(one - other).max() > 0.01
               for one, other in zip(hidden, encoder()(samples), strict=True))


def test_a_head_with_changes_survives_its_file(changed: NetworkModel, tmp_path) -> None:
    write_head(tmp_path / "head.npz", changed.head)
    values, found = read_arrays(tmp_path / "head.npz"), read_head(tmp_path / "head.npz").changes
    assert found is not None and changed.head.changes is not None
    assert int(values["version"]) == CHANGED
    assert found.n_weights == changed.head.changes.n_weights == sum(
        each.size for name, each in values.items() if name.startswith(("down", "up", "group")))
    one, other = found(encoder()), changed.encoder
    assert np.array_equal(one.group_norm, other.group_norm)
    assert np.array_equal(one.blocks[5].narrow, other.blocks[5].narrow)


def test_a_head_without_changes_is_as_before(tmp_path) -> None:
    write_head(tmp_path / "head.npz", random_head())
    assert int(read_arrays(tmp_path / "head.npz")["version"]) == VERSION
    assert read_head(tmp_path / "head.npz").changes is None
    write_model(tmp_path / "model", random_network())
    model = ModelFolder.open(tmp_path / "model").acoustic_model()
    assert isinstance(model, NetworkModel) and model.plain is model
    for name in CONVOLUTIONS:
        assert np.array_equal(getattr(model.encoder, name), getattr(encoder(), name))


def test_options_choose_the_head(both: NetworkModel) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 20_000).astype(np.float32)
    taught, plain = (both.configured(NoiseTools(taught=each)) for each in (True, False))
    assert plain is both and taught.head is both.taught_head
    again = taught.configured(NoiseTools(prior_weight=0.5))
    assert again.prior_weight == 0.5 and again.head is both.head
    assert again.taught.head is taught.head and taught.configured(NoiseTools(taught=True)) is taught
    assert np.array_equal(again.encoder(sound)[6], both.encoder(sound)[6])
    assert random_network().configured(NoiseTools(taught=True)).head.changes is None


def test_a_model_with_both_heads_survives_its_folder(both: NetworkModel, tmp_path) -> None:
    write_model(tmp_path / "model", both)
    model = ModelFolder.open(tmp_path / "model").acoustic_model()
    assert isinstance(model, NetworkModel)
    sound = np.random.default_rng(1).normal(0, 0.1, 20_000).astype(np.float32)
    for one, other in ((model, both), (model.taught, both.taught)):
        assert np.array_equal(one.head(one.encoder(sound)), other.head(other.encoder(sound)))
    assert "97,344 that change them" in model.describe()["encoder"]
    assert "frozen" in random_network().describe()["encoder"]


def test_commands_have_the_head_taught_in_noise_and_detectors_the_other() -> None:
    """The heads that ship, on a real order."""
    encoder()
    recognizer = Recognizer.load("en-us-network", grammar=ROOT / "lm" / "smart_home.yaml")
    assert isinstance(recognizer.model, NetworkModel) and recognizer.options.taught
    assert recognizer.model.head.changes is not None and recognizer.model.plain.head.changes is None
    sound = recognizer.read(ROOT / "examples" / "audio" / "kitchen_light_on.wav")
    assert recognizer.transcribe(sound, sample_rate=16_000).text == "turn on the kitchen light"
    shared = SharedStream(recognizer, [VoicingDetector()])
    found = shared.accept(sound) + shared.finish()
    assert [each.text for each in found if isinstance(each, Transcript)] == [
        "turn on the kitchen light"]
    options = replace(recognizer.options, taught=False)
    plain = Recognizer(recognizer.model, recognizer.graph, options)
    assert isinstance(plain.model, NetworkModel) and plain.model.head.changes is None
    assert not Bundle.find("en-us-network").dictation.taught


def test_detectors_have_the_frames_of_the_encoder_as_it_comes(changed: NetworkModel) -> None:
    sound = np.random.default_rng(2).normal(0, 0.1, 20_000).astype(np.float32)
    plain = NetworkModel(encoder(), random_head(1))
    streams = [FrameStream(model) for model in (changed, plain)]
    found, wanted = ([*each.accept(sound), *each.finish()] for each in streams)
    for one, other in zip(found, wanted, strict=True):
        assert np.array_equal(one.log_probs, other.log_probs)
        assert np.array_equal(one.hidden, other.hidden)


@pytest.mark.parametrize(("name", "value", "message"), [
    ("down_conv2", None, "lacks down_conv2"),
    ("up_3_out", np.zeros((4, 288)), "do not fit"),
    ("down_conv3", np.zeros((1728, 70)), "do not fit"),
    ("up_0_wide", np.full((RANK, 1152), np.nan), "finite"),
    ("group_norm", np.zeros(5), "must be a matrix"),
    ("version", np.int32(3), "reads 1 and 2"),
])
def test_changes_that_do_not_fit_are_named(changed, tmp_path, name, value, message) -> None:
    write_head(tmp_path / "head.npz", changed.head)
    values = {**read_arrays(tmp_path / "head.npz"), name: value}
    if value is None:
        del values[name]
    with pytest.raises(FormatError, match=message):
        head_of(values)


@pytest.mark.parametrize("changes", [
    Changes({"9_out": (np.zeros((288, 1), "f4"), np.zeros((1, 288), "f4"))}),
    Changes({"conv2": (np.zeros((288, 1), "f4"), np.zeros((1, 288), "f4"))}),
    Changes(group_norm=np.zeros((3, 288), "f4")),
])
def test_changes_of_another_encoder_are_refused(changes: Changes, tmp_path) -> None:
    taught = replace(random_head(), changes=changes)
    model = NetworkModel(encoder(), random_head(), taught_head=taught)
    write_model(tmp_path / "model", model)
    with pytest.raises(FormatError, match="do not make a model"):
        ModelFolder.open(tmp_path / "model").acoustic_model()

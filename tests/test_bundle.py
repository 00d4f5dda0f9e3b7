"""Models on disk: written whole, read back to the bit, refused when they are not as written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from support.models import LEXICON, small_model, unigrams

from factored_asr import Recognizer
from factored_asr.acoustic import GmmModel, TiedMixtures
from factored_asr.acoustic.gmm.tree import LEAF, LEFT, DecisionTree
from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.graph import BackgroundOptions, GraphOptions
from factored_asr.lexicon import Lexicon
from factored_asr.models.bundle import Bundle
from factored_asr.models.folder import About, ModelFolder, write_model
from factored_asr.models.kinds import KINDS
from factored_asr.models.settings import COMMANDS, DICTATION, AsBefore, DecodeOptions
from factored_asr.storage.reading import read_array


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", small_model(), lexicon=LEXICON, lm=unigrams())


# --- writing and reading ----------------------------------------------------


@pytest.mark.parametrize("kind", ["diagonal", "tied"])
def test_a_model_comes_back_to_the_bit(tmp_path: Path, kind: str) -> None:
    model = small_model(kind)
    write_model(tmp_path / "m", model)
    read = Bundle.find(tmp_path / "m").acoustic_model()
    assert (read.phones, read.fillers, read.features) == (
        model.phones, model.fillers, model.features,
    )
    frames = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
    np.testing.assert_array_equal(read.log_likelihoods(frames), model.log_likelihoods(frames))
    np.testing.assert_array_equal(read.hmm_loop_log_probs, model.hmm_loop_log_probs)


def test_a_new_kind_of_model_is_one_module_and_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Oracle:
        answer = 42

    def read(folder: Path, facts: dict[str, Any]) -> Oracle:
        assert facts["answer"] == read_array(folder / "answer.npy").item()
        return Oracle()

    def write(folder: Path, model: Oracle) -> dict[str, Any]:
        np.save(folder / "answer.npy", np.array([model.answer]))
        return {"answer": model.answer}

    module = ModuleType("oracles")
    vars(module).update(MODEL=Oracle, read=read, write=write)
    monkeypatch.setitem(sys.modules, "oracles", module)
    monkeypatch.setitem(KINDS, "oracle", "oracles")
    folder = write_model(tmp_path / "m", Oracle())  # type: ignore[arg-type]
    assert isinstance(Bundle.find(folder).acoustic_model(), Oracle)
    edit(folder, lambda manifest: manifest["acoustic"].update(kind="ouija"))
    known = "of kind 'ouija', known are gmm, network, chain, hybrid, oracle"
    with pytest.raises(FormatError, match=known):
        Bundle.find(folder).acoustic_model()
    edit(folder, lambda manifest: manifest["acoustic"].update(kind={}))
    with pytest.raises(FormatError, match="of kind {}, known"):
        Bundle.find(folder).acoustic_model()
    known = "a str cannot be written: known are gmm, network, chain, hybrid, or"
    with pytest.raises(OptionError, match=known):
        write_model(tmp_path / "n", "no model")  # type: ignore[arg-type]
    assert not (tmp_path / "n").exists()


def test_a_manifest_without_a_kind_is_of_mixtures(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["acoustic"].pop("kind"))
    assert isinstance(Bundle.find(folder).acoustic_model(), GmmModel)


def test_renamed_options_leave_the_key_of_a_graph_as_it_was() -> None:
    assert repr(AsBefore(GraphOptions(prefixes=("no",)))) == (
        "GraphOptions(silence_probability=0.005, filler_probability=1e-08, transition_scale=1.0, "
        "word_penalty=0.0, empty_cost=0.0, lead_ins=('no',), lead_in_cost=7.0, "  # old name
        "memory_limit=6.0)"
    )


def test_a_transform_goes_with_the_model(tmp_path: Path) -> None:
    model = small_model()
    affine = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    write_model(tmp_path / "m", replace(model, transform=affine))
    read = Bundle.find(tmp_path / "m").acoustic_model()
    assert read.transform is not None
    np.testing.assert_array_equal(read.transform, affine)


def test_a_tree_goes_with_the_model(tmp_path: Path) -> None:
    tree = DecisionTree(
        phones=("SIL", "AH", "N"), roots=[[0, 1], [2, 5], [6, 7]],
        asks=[LEAF, LEAF, LEFT, LEAF, LEAF, LEAF, LEAF, LEAF],
        members=[[0] * 4, [0] * 4, [0, 0, 1, 0], *[[0] * 4] * 5],
        branches=[[-1, -1], [-1, -1], [3, 4], *[[-1, -1]] * 5],
        leaf_pdf=[0, 1, -1, 2, 2, 3, 4, 5], frames=np.ones(8), gain=np.zeros(8),
    )
    write_model(tmp_path / "m", replace(small_model(), tree=tree))
    read = Bundle.find(tmp_path / "m").acoustic_model().tree
    assert read is not None
    assert read.describe("AH") == tree.describe("AH")


def test_settings_survive_a_manifest_also_an_older_one() -> None:
    graph = replace(COMMANDS.graph, prefixes=("no", "please don't"))
    settings = replace(COMMANDS, graph=graph, background=BackgroundOptions(phone_cost=0.4))
    values = json.loads(json.dumps(settings.to_dict()))
    assert DecodeOptions.from_dict(values) == settings
    assert DecodeOptions.from_dict(DICTATION.to_dict()).background is None
    values["graph"]["background_cost"] = 0.25  # of the phones that once stood in the graph itself
    assert DecodeOptions.from_dict(values) == settings


def test_what_goes_with_a_model_is_found(tmp_path: Path) -> None:
    (tmp_path / "speller.fst").write_bytes(b"spelling")
    settings = DecodeOptions(acoustic_scale=0.07, graph=replace(DICTATION.graph, word_penalty=2.0))
    about = About(
        "a corpus", {"corpus": "CC BY 4.0"}, {"seed": 1}, {"dictation": settings.to_dict()},
        [{"stage": "mono", "frames": 100}],
    )
    folder = write_model(
        tmp_path / "m", small_model(), lexicon=LEXICON, lm=unigrams(),
        g2p=tmp_path / "speller.fst", calibration={"slope": 2.0}, about=about,
    )
    bundle = Bundle.find(folder)
    assert bundle.lexicon is not None and bundle.lm is not None and bundle.folder is not None
    assert Lexicon.read(bundle.lexicon)["on"] == LEXICON["on"]
    assert (bundle.dictation, bundle.commands) == (settings, COMMANDS)
    assert bundle.conversation == COMMANDS.for_conversation()
    assert bundle.folder.about.licences == {"corpus": "CC BY 4.0"}
    assert bundle.folder.about.training[0]["stage"] == "mono"
    assert bundle.folder.files["g2p"].read_bytes() == b"spelling"
    assert json.loads(bundle.folder.files["calibration"].read_text()) == {"slope": 2.0}


def test_a_model_may_have_settings_of_its_own_for_conversations(tmp_path: Path) -> None:
    own = replace(COMMANDS, acoustic_scale=0.07)
    about = About(settings={"conversation": own.to_dict()})
    bundle = Bundle.find(write_model(tmp_path / "m", small_model(), about=about))
    assert (bundle.conversation, bundle.commands) == (own, COMMANDS)
    network = Bundle.find("en-us-network")
    assert network.commands.taught and not network.conversation.taught


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_model(tmp_path / name, small_model(), lexicon=LEXICON, lm=unigrams())
    first, second = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in "ab"
    )
    assert first == second


def test_a_model_of_our_own_decodes_like_any_other(folder: Path, graph_cache: Path) -> None:
    recognizer = Recognizer.load(folder)
    noise = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    assert recognizer.transcribe(noise, sample_rate=16000).reason == "no speech"
    assert {"on", "an"} <= set(recognizer.graph.words)


def test_a_model_without_an_lm_asks_for_one(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", small_model(), lexicon=LEXICON)
    with pytest.raises(MissingError, match="brings no language model: give one, or a grammar"):
        Recognizer.load(folder)


def test_info_reads_a_model_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = About("made up", {"nothing": "CC0"}, training=[{"stage": "mono", "pdfs": 6}])
    write_model(tmp_path / "m", small_model(), lexicon=LEXICON, about=about)
    assert main(["info", str(tmp_path / "m")]) == 0
    said = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert (said["origin"], said["licence of nothing"]) == ("made up", "CC0")
    assert (said["phones"], said["gaussians"]) == ("3: SIL AH N", "12")
    assert said["language"] == "none: give one by --lm, or a grammar"
    assert said["trained"] == "stage mono, pdfs 6"


# --- writing whole ----------------------------------------------------------


def test_a_model_is_replaced_and_nothing_else_is(folder: Path, tmp_path: Path) -> None:
    write_model(folder, small_model("tied"))
    assert isinstance(Bundle.find(folder).acoustic_model().densities, TiedMixtures)
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to_ann.txt").write_text("dear Ann")
    with pytest.raises(OptionError, match="is there and no model, will not be replaced"):
        write_model(tmp_path / "letters", small_model())


def test_a_write_that_breaks_leaves_the_old_model(folder: Path, tmp_path: Path) -> None:
    before = Bundle.find(folder).acoustic_model()
    with pytest.raises(OptionError, match="cannot be written"):
        write_model(folder, small_model("tied"), lm=tmp_path / "absent.arpa")
    assert type(Bundle.find(folder).acoustic_model().densities) is type(before.densities)
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


# --- what is refused --------------------------------------------------------


def test_a_tampered_file_is_named(folder: Path) -> None:
    file = folder / "density.means.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(FormatError, match=r"density.means.npy: .* damaged or edited"):
        Bundle.find(folder)


def test_a_lost_file_is_named(folder: Path) -> None:
    (folder / "model.hmm_pdfs.npy").unlink()
    with pytest.raises(MissingError, match="model.hmm_pdfs.npy: the model needs this file"):
        Bundle.find(folder)


def test_another_version_is_refused(folder: Path) -> None:
    edit(folder, lambda manifest: manifest.update(version=2))
    with pytest.raises(FormatError, match="is of version 2, this program reads version 1"):
        Bundle.find(folder)


@pytest.mark.parametrize("name", ["../secret.npy", "/etc/passwd", "a/b.npy", "..", "a\\b"])
def test_a_path_outside_of_the_folder_is_refused(folder: Path, name: str) -> None:
    edit(folder, lambda m: m["files"].update({name: {"sha256": "0", "bytes": 1}}))
    with pytest.raises(FormatError, match="lies outside of the folder"):
        Bundle.find(folder)
    edit(folder, lambda m: m["parts"].update(lm=name) or m["files"].pop(name))
    with pytest.raises(FormatError, match="'files' does not list"):
        Bundle.find(folder)


def relabel(manifest: dict[str, Any], path: str, value: object) -> None:
    *inner, last = path.split(".")
    for name in inner:
        manifest = manifest[name]
    manifest[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "other", "must be a manifest of the format"),
        ("files", [], "'files' must be there and a dict"),
        ("parts", {"poem": "x"}, "'parts' has 'poem'"),
        ("settings", {"dictation": {"speed": 1}}, "unexpected keyword argument 'speed'"),
        ("settings", {"dictation": {"acoustic_scale": -1}}, "acoustic_scale must be above 0"),
        ("settings", {"song": {}}, "settings of no known kind: 'song'"),
        ("acoustic.features.n_mels", "many", "FeatureOptions: "),
        ("acoustic.features.colour", 1, "unexpected keyword argument 'colour'"),
        ("acoustic.features", [], "features must be a JSON object, is "),
        ("acoustic.features.initial_mean", ["a"] * 4, r"initial_mean \('a', .* finite numbers"),
        ("acoustic.densities", "neural", "do not make a model: 'neural'"),
        ("acoustic.densities", 3, "densities must be a text, is 3"),
        ("acoustic.phones", "SIL AH", "phones must be a list of texts, is 'SIL AH'"),
        ("acoustic.phones", ["SIL", 2], r"phones must be a list of texts, is \['SIL', 2\]"),
        ("acoustic.fillers", None, "fillers must be a list of texts, is None"),
        ("acoustic.silence", True, "silence must be a text, is True"),
        ("acoustic.phones", ["SIL", "AH"], "do not make a model"),
        ("acoustic", {}, "do not make a model: densities is missing, must be a text"),
    ],
)
def test_a_broken_manifest_says_what_is_wrong(
    folder: Path, path: str, value: object, message: str
) -> None:
    edit(folder, lambda manifest: relabel(manifest, path, value))
    with pytest.raises(FormatError, match=message):
        Bundle.find(folder).acoustic_model()


def test_pickled_arrays_are_never_read(folder: Path) -> None:
    import hashlib

    file = folder / "model.hmm_pdfs.npy"
    np.save(file, np.array([{"a": 1}]), allow_pickle=True)
    facts = {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "bytes": file.stat().st_size,
    }
    edit(folder, lambda manifest: manifest["files"].update({file.name: facts}))
    with pytest.raises(FormatError, match="model.hmm_pdfs.npy: an array of Python objects"):
        Bundle.find(folder).acoustic_model()


def test_an_unknown_model_is_told_what_would_be_one(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="a model folder holds a file manifest.json, or mdef"):
        Bundle.find(tmp_path)
    assert not ModelFolder.is_one(tmp_path)

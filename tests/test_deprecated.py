"""Old public names warn, and are the new objects."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from factored_asr._deprecated import MODULES, NAMES, PACKAGE, install
from factored_asr.acoustic.gmm.tools import NoiseOptions, SnrScale
from factored_asr.models.settings import DecodeOptions

USED = {
    "acoustic": "AcousticModel DiagonalMixtures",
    "audio": "read_audio",
    "batch": "transcribe_files",
    "bundle": "Bundle Recipe",
    "decoder": "BeamOptions ConfusionNetwork Lattice Search SecondPassOptions decode nbest",
    "decoder.lattice": "Lattice",
    "decoder.second_pass": "SecondPassOptions ConfidenceOptions",
    "evaluation.evaluate": "evaluate",
    "explain": "ExplainOptions",
    "features": "FeatureOptions FrontEnd",
    "graph": "ARC Graph GraphOptions build_graph",
    "language": "EstimateOptions Grammar NGramModel estimate read_lm",
    "lexicon": "Lexicon Pronunciation",
    "mixing": "mix",
    "model_folder": "About write_model",
    "recognizer": "Recognizer",
    "results": "Transcript Word",
    "settings": "COMMANDS DecodeOptions EN_US_COMMANDS",
    "speaker": "SpeakerOptions",
    "stream": "Stream",
    "training.corpus": "Corpus",
    "training.data": "TrainingData load_data",
    "training.run": "train",
    "training.utterance": "Utterance",
    "understanding": "Dialogue Reader Understander World",
    "understanding.dialogue": "Dialogue",
    "understanding.parse": "Understander",
    "understanding.reader": "Reader",
    "understanding.world": "World",
}
"""What the pages, the README and the examples imported before the modules moved."""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """As in a new process: no module is known by its old name yet."""
    def forget() -> None:
        for old in MODULES:
            parent, _, name = (PACKAGE + old).rpartition(".")
            if sys.modules.pop(PACKAGE + old, None) and parent in sys.modules:
                vars(sys.modules[parent]).pop(name, None)

    forget()
    yield
    forget()


@pytest.mark.filterwarnings("ignore:factored_asr:DeprecationWarning")
@pytest.mark.parametrize(("module", "names"), USED.items(), ids=USED)
def test_what_the_pages_imported_is_still_there(module: str, names: str) -> None:
    found = import_module(PACKAGE + module)
    for name in names.split():
        assert getattr(found, name) is not None


@pytest.mark.parametrize(("old", "new"), MODULES.items(), ids=MODULES)
def test_an_old_module_warns_and_is_the_new_one(old: str, new: str) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = import_module(PACKAGE + old)
        import_module(PACKAGE + old)
    assert found is import_module(PACKAGE + new) and found.__name__ == PACKAGE + new
    text = f"{PACKAGE}{old} is now {PACKAGE}{new};"
    assert [each.category for each in told if text in str(each.message)] == [DeprecationWarning]


MOVED = [
    (module, home, *pair.partition("=")[::2])
    for module, homes in NAMES.items() for home, pairs in homes.items() for pair in pairs.split()
]


@pytest.mark.parametrize(("module", "home", "old", "new"), MOVED)
def test_an_old_name_warns_and_is_the_new_one(module: str, home: str, old: str, new: str) -> None:
    found = import_module(PACKAGE + module)
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is now {PACKAGE}{home}.") as told:
        value = getattr(found, old)
    assert value is getattr(import_module(PACKAGE + home), new or old)
    assert [each.filename for each in told] == [__file__]


def test_the_warning_names_the_line_that_imports(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("\nfrom factored_asr.bundle import Bundle\n")
    run = subprocess.run(
        [sys.executable, "-W", "always", "old.py"], cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    told = "old.py:2: DeprecationWarning: factored_asr.bundle is now factored_asr.models.bundle"
    assert told in run.stderr


def test_other_names_are_unknown_as_ever() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Tortoise' from 'factored_asr.dec"):
        from factored_asr.decoder import Tortoise  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match="factored_asr.tortoise"):
        import_module("factored_asr.tortoise")


def test_the_finder_is_installed_once() -> None:
    before = list(sys.meta_path)
    install()
    assert sys.meta_path == before


def test_old_fields_of_options_warn_and_are_the_new_ones() -> None:
    scale, moved = SnrScale(least=0.5), NoiseOptions(static_weight=0.25, delta_weight=0.5)
    for options, new in (
        (lambda: NoiseOptions(trust=0.25, delta_trust=0.5), moved),
        (lambda: replace(NoiseOptions(), trust=0.25, delta_trust=0.5), moved),
        (lambda: DecodeOptions(trust=scale), DecodeOptions(snr_scale=scale)),
    ):
        with pytest.warns(DeprecationWarning, match="is now called"):
            assert options() == new
    with pytest.warns(DeprecationWarning, match="trust is now called static_weight"):
        assert NoiseOptions().trust == NoiseOptions().static_weight

"""Old public names, kept for one release: each warns and gives the new object.

To rename a module, add it to `_MOVED`. To rename or move a name, add it to `NAMES`; the module
that had it needs ``__getattr__ = old_names(__name__)``. To rename a field of an options class,
decorate the class by `renamed_fields`.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar

PACKAGE = "factored_asr."
T = TypeVar("T")

_MOVED = {
    "acoustic acoustic.gmm": "adaptation fmllr noise_adaptation=compensation posteriors=statistics "
    "snr_trust=tools transforms tree",
    "decoder lattice": "confidence lattice lattice_files=files paths posteriors rescore "
    "rival=rejection sausage=confusion second_pass strings=nbest viterbi_path=path",
    "evaluation training": "make tune",
    "explain explain": "beside=background muted=ablation path_states=transitions "
    "rivals=competitors",
    "importers models.importers": "kaldi sphinx",
    "training corpus": "augment corpus layouts utterance",
    "training training": "speech=blocks stages=run statistics=update",
    "understanding dialogue": "acts dialogue memory reader rules scene turn world",
    ". audio": "audio_headers=wav mixing",
    ". models": "bundle importers model_folder=folder model_zip=zipped settings",
    ". recognizer": "alignment speaker stream",
    ". results": "formats numbers",
    ". storage": "cache files=reading",
}
"""Old and new package, without the name of ours: their modules, ``old=new`` if renamed."""
MODULES = {
    f"{before}.{pair.partition('=')[0]}".lstrip("."): f"{after}.{pair.rpartition('=')[2]}"
    for before, after, pairs in ((*key.split(), pairs) for key, pairs in _MOVED.items())
    for pair in pairs.split()
}
"""Old module: new module, both without the package's name."""

NAMES: dict[str, dict[str, str]] = {
    "acoustic": {"acoustic.gmm.model": "AcousticModel=GmmModel"},
    "acoustic.gmm": {"acoustic.gmm.mixtures": "DiagonalMixtures TiedMixtures"},
    "batch": {"batch.run": "transcribe_inputs=transcribe_files"},
    "decoder": {
        "lattice": "Calibration ConfidenceOptions ConfusionNetwork Lattice LatticePath Path "
        "PhoneSegment RescoreOptions SecondPass SecondPassOptions WordSegment WordString "
        "arc_posteriors best_path confusion_network fit_calibration nbest "
        "normalised_cross_entropy prune reliability rescore second_pass with_lm word_features "
        "word_strings",
        "lattice.rejection": "NO_COMMAND",
    },
    "acoustic.gmm.tools": {"acoustic.gmm.tools": "SnrTrust=SnrScale"},
    "explain": {
        "explain.ablation": "MUTABLE=FACTORS_TO_LEAVE_OUT Muted=Ablation",
        "explain.background": "Beside=BackgroundShare",
        "explain.competitors": "Rival=Competitor",
    },
    "language.grammar": {"language.grammar.normalisation": "spoken=normalise_text"},
    "models.bundle": {
        "models.recipe": "GRAPH_VERSION MAX_TOLD Progress Recipe Words",
        "lexicon.g2p": "GuessWarning",
    },
    "models.importers.sphinx": {"models.en_us": "pocketsphinx_model_path"},
    "models.settings": {"models.en_us": "EN_US_COMMANDS EN_US_FRONT_END EN_US_MEAN"},
    "results": {"results.transcript": "SCHEMA_VERSION words_of"},
    "storage.cache": {
        "models.recipe": "G2P_VERSION cached_g2p cached_graph cached_language",
        "models.grammars": "cached_grammar read_understander",
    },
    "understanding": {
        "dialogue": "Act Deed Dialogue Kind Memory Outcome Reader Scene Utterance World step",
    },
}
"""Module that had a name: module that has it now: the names, ``old=new`` if renamed."""


def old_names(module: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module for the names that left it."""
    short = module.removeprefix(PACKAGE)
    homes = {
        pair.partition("=")[0]: (home, pair.rpartition("=")[2])
        for home, pairs in NAMES[short].items() for pair in pairs.split()
    }

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, new = homes[name]
        _warn(f"{short}.{name}", f"{home}.{new}", 3)
        return getattr(import_module(PACKAGE + home), new)

    return find


def renamed_fields(names: Mapping[str, str]) -> Callable[[type[T]], type[T]]:
    """Let a class of options take, and give, fields by their old names, given as old: new."""

    def warned(old: str) -> str:
        warnings.warn(f"{old} is now called {names[old]}", DeprecationWarning, stacklevel=3)
        return names[old]

    def change(options: type[T]) -> type[T]:
        make: Callable[..., None] = options.__init__

        @functools.wraps(make)
        def _make(self: T, *args: Any, **given: Any) -> None:
            former = {warned(old): given.pop(old) for old in names if old in given}
            make(self, *args, **{**given, **former})  # `replace` gives the new names as well

        options.__init__ = _make  # type: ignore[assignment, method-assign]
        for old, new in names.items():
            get = functools.partial(lambda old, self: getattr(self, warned(old)), old)
            setattr(options, old, property(get, doc=f"Former name of `{new}`."))
        return options

    return change


class _Finder:
    """Gives new modules under their old names; asked before the files are looked through."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        known = fullname.startswith(PACKAGE) and fullname.removeprefix(PACKAGE) in MODULES
        return ModuleSpec(fullname, self) if known else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None  # an empty one, which exec_module replaces

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__.removeprefix(PACKAGE)
        _warn(old, MODULES[old], 3)
        sys.modules[module.__name__] = import_module(PACKAGE + MODULES[old])


def install() -> None:
    """Let old modules be imported from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _warn(old: str, new: str, stacklevel: int) -> None:
    warnings.warn(
        f"{PACKAGE}{old} is now {PACKAGE}{new}; the old name goes away in version 0.3.0",
        DeprecationWarning, stacklevel=stacklevel,
    )

"""The kinds of acoustic models on disk: a new kind is one module, and one entry here."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from factored_asr.acoustic.model import AcousticModel
from factored_asr.errors import FormatError, OptionError

MANIFEST = "manifest.json"
KINDS = {"gmm": "factored_asr.models.importers.gmm",
         "network": "factored_asr.models.importers.network",
         "chain": "factored_asr.models.importers.nnet3",
         "hybrid": "factored_asr.models.importers.hybrid"}
"""By the kind that a manifest names: a module with ``MODEL``, the class, ``read(folder, facts)``,
and ``write(folder, model)``, which returns facts for the manifest: what of it is no array."""
IMPORTERS = {"mdef": "factored_asr.models.importers.sphinx:read_sphinx_model",
             "final.mdl": "factored_asr.models.importers.kaldi:read_kaldi_model"}
"""By a file that such a folder holds: the function that reads the folder of another toolkit."""

Importer = Callable[[Path, Mapping[str, Any]], AcousticModel]
"""Takes the folder, and options of the front end that its files do not name."""


def read_acoustic(folder: Path, facts: Mapping[str, Any]) -> AcousticModel:
    """Read an acoustic model of any kind: arrays in a folder, and the facts of `write_acoustic`.

    The kind is ``gmm`` where they do not name it. Raises FormatError if the kind is not known, or
    arrays and facts do not make a model.
    """
    name = facts.get("kind", "gmm")
    if not isinstance(name, str) or name not in KINDS:
        raise FormatError(f"acoustic model of kind {name!r}, known are {', '.join(KINDS)}", folder)
    try:
        model: AcousticModel = import_module(KINDS[name]).read(folder, facts)
        return model
    except FormatError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise FormatError(f"its parts do not make a model: {error}", folder) from error


def write_acoustic(folder: Path, model: AcousticModel) -> dict[str, Any]:
    """Write an acoustic model of any kind; return the facts for the manifest.

    Raises OptionError where no kind writes such models.
    """
    for name, place in KINDS.items():
        kind = import_module(place)
        if isinstance(model, kind.MODEL):
            return {"kind": name, **kind.write(folder, model)}
    raise OptionError(f"a {type(model).__name__} cannot be written: known are {', '.join(KINDS)}")


def importer_of(folder: Path) -> Importer | None:
    """Return the function that reads a folder of another toolkit; None where none does."""
    for marker, place in IMPORTERS.items():
        if (folder / marker).is_file():
            importer: Importer = pkgutil.resolve_name(place)
            return importer
    return None

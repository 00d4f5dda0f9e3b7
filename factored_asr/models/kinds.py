"""The kinds of acoustic models on disk: a new kind is one module, and one entry here."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from factored_asr.acoustic import GmmModel
from factored_asr.errors import FormatError, OptionError

MANIFEST = "manifest.json"
KINDS = {"gmm": "factored_asr.models.importers.gmm"}
"""By the kind that a manifest names: the module that reads and writes its arrays."""
IMPORTERS = {"mdef": "factored_asr.models.importers.sphinx:read_sphinx_model"}
"""By a file that such a folder holds: the function that reads the folder of another toolkit."""

Importer = Callable[[Path, Mapping[str, Any]], GmmModel]
"""Takes the folder, and options of the front end that its files do not name."""


class Kind(Protocol):
    """What the module of a kind offers."""

    MODEL: type

    def read(self, folder: Path, facts: Mapping[str, Any]) -> GmmModel:
        """Read a model: its arrays from the folder, the facts from the manifest."""

    def write(self, folder: Path, model: Any) -> dict[str, Any]:
        """Write the arrays of a model into a folder; return the facts for the manifest."""


def read_acoustic(folder: Path, facts: Mapping[str, Any]) -> GmmModel:
    """Read an acoustic model of any kind.

    Parameters
    ----------
    folder
        Holds its arrays.
    facts
        What `write_acoustic` returned; its kind is ``gmm`` where they do not name it.

    Raises
    ------
    FormatError
        The kind is not known, or arrays and facts do not make a model.
    """
    name = facts.get("kind", "gmm")
    if name not in KINDS:
        raise FormatError(f"acoustic model of kind {name!r}, known are {', '.join(KINDS)}", folder)
    try:
        return _kind(name).read(folder, facts)
    except FormatError:
        raise
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise FormatError(f"its parts do not make a model: {error}", folder) from error


def write_acoustic(folder: Path, model: GmmModel) -> dict[str, Any]:
    """Write an acoustic model of any kind; return the facts for the manifest.

    Raises OptionError where no kind writes such models.
    """
    for name in KINDS:
        if isinstance(model, _kind(name).MODEL):
            return {"kind": name, **_kind(name).write(folder, model)}
    raise OptionError(f"a {type(model).__name__} cannot be written: known are {', '.join(KINDS)}")


def importer_of(folder: Path) -> Importer | None:
    """Return the function that reads a folder of another toolkit; None where none does."""
    for marker, place in IMPORTERS.items():
        if (folder / marker).is_file():
            importer: Importer = pkgutil.resolve_name(place)
            return importer
    return None


def _kind(name: str) -> Kind:
    kind: Kind = pkgutil.resolve_name(KINDS[name])
    return kind

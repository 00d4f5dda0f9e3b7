"""A model on disk: a folder of plain arrays, a dictionary, and a manifest that says what they are.

``manifest.json`` gives origin, licences, phones, front end, settings, the log of training, and the
sha256 of every other file. Arrays are ``.npy``, never unpickled. A folder is written whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factored_asr import __version__
from factored_asr.acoustic.model import AcousticModel
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.graph import Graph
from factored_asr.language import NGramModel, write_arpa
from factored_asr.lexicon import Lexicon
from factored_asr.models.kinds import MANIFEST, read_acoustic, write_acoustic
from factored_asr.storage.reading import as_record, is_file, read_json
from factored_asr.storage.writing import whole_folder

FORMAT, VERSION = "factored_asr model", 1
GRAPH = "graph"
"""Folder of a graph of dictation that came with the model; it has a seal of its own."""
ROLES = ("lexicon", "lm", "g2p", "calibration")
"""Files besides the arrays, each of which may be absent."""

_LM_SUFFIXES = (".arpa", ".lm", ".bin", ".gz")

Json = dict[str, Any]


@dataclass(frozen=True)
class About:
    """The facts about a model in its manifest, for people and for the recogniser."""

    origin: str = ""
    """Where it comes from: a corpus, another model, an address."""
    licences: Mapping[str, str] = field(default_factory=dict)
    """By source: its licence."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of its training."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`DecodeOptions` that suit it, as plain values: ``dictation``, ``commands``, and
    ``conversation`` where that is more than commands."""
    training: Sequence[Mapping[str, Any]] = ()
    """Log of its training, one entry a stage."""


@dataclass(frozen=True)
class ModelFolder:
    """A model's folder, checked against its manifest."""

    path: Path
    about: About
    acoustic: Json
    """Facts about the acoustic model; see `read_acoustic`."""
    files: Mapping[str, Path]
    """By role (see ROLES): the files besides the arrays, as far as there are any."""
    n_bytes: int
    """Size on disk without the manifest and a graph."""

    @staticmethod
    def is_one(folder: str | Path) -> bool:
        """Return whether a folder holds a manifest."""
        return (Path(folder) / MANIFEST).is_file()

    @staticmethod
    def open(folder: str | Path) -> ModelFolder:
        """Read the manifest, and check every file against it.

        Raises MissingError if the manifest, or a file that it lists, is not there. FormatError if
        it breaks its format, is of another version, lists a file outside of the folder, or a file
        was changed after the model was written.
        """
        path = Path(folder)
        manifest = _read_manifest(path / MANIFEST)
        facts = {field.name: manifest[field.name] for field in dataclasses.fields(About)}
        about = as_record(About, facts, path)
        files = {role: path / name for role, name in manifest["parts"].items()}
        listed: Mapping[str, Any] = manifest["files"]
        unlisted = [file.name for file in files.values() if file.name not in listed]
        if unlisted:
            raise FormatError(f"'files' does not list {unlisted[0]!r}", path / MANIFEST)
        n_bytes = sum(_check_file(path, name, facts) for name, facts in listed.items())
        return ModelFolder(path, about, manifest["acoustic"], files, n_bytes)

    @property
    def graph(self) -> Path | None:
        """The folder of the graph that came with the model; None if there is none."""
        return self.path / GRAPH if (self.path / GRAPH).is_dir() else None

    def acoustic_model(self) -> AcousticModel:
        """Read the acoustic model; FormatError if arrays or options do not make one."""
        return read_acoustic(self.path, self.acoustic)


def write_model(
    folder: str | Path, model: AcousticModel, *, lexicon: Lexicon | None = None,
    lm: str | Path | NGramModel | None = None, g2p: str | Path | None = None,
    calibration: Mapping[str, Any] | None = None, about: About | None = None,
    graph: Graph | None = None,
) -> Path:
    """Write a model folder, whole or not at all; return the folder.

    Parameters
    ----------
    folder
        A model that is there already is replaced; OptionError for anything else that is there.
    lexicon, lm, g2p, calibration
        Files to go with it: pronunciations, a language model, a G2P model, and the calibration
        of confidences. None (default) for none.
    about
        Facts for the manifest.
    graph
        Of dictation, where there is no language model to compile one from.
    """
    check_target(folder)
    with whole_folder(folder) as place:
        acoustic = write_acoustic(place, model)
        parts = {}
        if lexicon is not None:
            parts["lexicon"] = "lexicon.dict"
            lexicon.write(place / parts["lexicon"])
        if lm is not None:
            parts["lm"] = _write_lm(place, lm)
        if g2p is not None:
            parts["g2p"] = "g2p" + "".join(Path(g2p).suffixes)
            shutil.copyfile(g2p, place / parts["g2p"])
        if calibration is not None:
            parts["calibration"] = "calibration.json"
            _write_json(place / parts["calibration"], dict(calibration))
        files = {file.name: _facts(file) for file in sorted(place.iterdir())}
        if graph is not None:
            graph.write(place / GRAPH)
        manifest = {
            "format": FORMAT, "version": VERSION, "written_by": f"factored_asr {__version__}",
            **dataclasses.asdict(about or About()), "acoustic": acoustic, "parts": parts,
            "files": files,
        }
        _write_json(place / MANIFEST, manifest)
    return Path(folder)


def _write_lm(place: Path, lm: str | Path | NGramModel) -> str:
    if isinstance(lm, NGramModel):
        write_arpa(lm, place / "lm.arpa")
        return "lm.arpa"
    name = "lm" + "".join(suffix for suffix in Path(lm).suffixes if suffix in _LM_SUFFIXES)
    shutil.copyfile(lm, place / name)
    return name


def check_target(folder: str | Path) -> None:
    """Raise OptionError where a folder holds something other than a model."""
    folder = Path(folder)
    if folder.exists() and not ModelFolder.is_one(folder):
        if not folder.is_dir() or any(folder.iterdir()):
            raise OptionError(f"{folder}: is there and no model, will not be replaced")


def _read_manifest(file: Path) -> Json:
    if not file.is_file():
        raise MissingError(f"{file}: a model's folder needs this file")
    manifest = read_json(file)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise FormatError(f"must be a manifest of the format {FORMAT!r}", file)
    if manifest.get("version") != VERSION:
        found = manifest.get("version")
        raise FormatError(f"is of version {found!r}, this program reads version {VERSION}", file)
    dicts = ("acoustic", "parts", "files", "licences", "settings", "options")
    kinds: dict[str, type] = {**dict.fromkeys(dicts, dict), "training": list, "origin": str}
    for name, kind in kinds.items():
        if not isinstance(manifest.get(name), kind):
            raise FormatError(f"{name!r} must be there and a {kind.__name__}", file)
    for role, name in manifest["parts"].items():
        if role not in ROLES or not isinstance(name, str):
            raise FormatError(f"'parts' has {role!r}: {name!r}, knows {', '.join(ROLES)}", file)
    return manifest


def _check_file(folder: Path, name: str, facts: object) -> int:
    """Check one file against the manifest; return its size."""
    manifest = folder / MANIFEST
    if Path(name).name != name or name in ("", ".", "..") or "\\" in name:
        raise FormatError(f"lists {name!r}, which lies outside of the folder", manifest)
    if not isinstance(facts, dict) or not {"sha256", "bytes"} <= facts.keys():
        raise FormatError(f"must give sha256 and bytes of {name!r}", manifest)
    if not is_file(folder / name):
        raise MissingError(f"{folder / name}: the model needs this file")
    found = _facts(folder / name)
    if found != {key: facts[key] for key in found}:
        raise FormatError(
            f"{found['bytes']} bytes with sha256 {found['sha256'][:12]}…, the manifest says "
            f"{facts['bytes']} with {str(facts['sha256'])[:12]}…: damaged or edited", folder / name
        )
    return int(found["bytes"])


def _facts(file: Path) -> Json:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"sha256": digest, "bytes": file.stat().st_size}


def _write_json(file: Path, value: Json) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

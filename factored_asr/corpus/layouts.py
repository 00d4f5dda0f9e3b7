"""The ways corpora are laid out on disk, each turned into a list of utterances.

A reader reads lists only. A broken line is an error that names it; an utterance whose sound or
text is not listed is kept without it, and `check` names it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from factored_asr.corpus.utterance import NO_PATH, Utterance
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.storage.reading import exists, is_file, read_text

SOUNDS = (".wav", ".flac", ".sph", ".ogg", ".mp3", ".raw")
MARKS = frozenset(("<s>", "</s>", "<sil>", "<SIL>"))
"""Words of texts that stand for silence, which a model has without them."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

_ID = re.compile(r"[^()\s]+\)")
_TAKE = re.compile(r"(.+)_([^_]+)_(\d+)$")

Line = tuple[int, str]


def read_layout(path: Path, layout: str) -> list[Utterance]:
    """Read the lists of a corpus; see `Corpus.read`."""
    readers = {"tsv": read_manifest, "kaldi": read_kaldi_folder, "sphinx": read_sphinx_corpus,
               "librispeech": read_librispeech, "names": read_named_files}
    if layout == "auto":
        layout = _layout_of(path)
    if layout not in readers:
        raise OptionError(f"layout is {layout!r}, must be one of auto, {', '.join(readers)}")
    return readers[layout](path)


def read_manifest(path: Path, needed: Collection[str] = ("path", "text")) -> list[Utterance]:
    """Read a table with a header and the columns ``path`` and ``text``, tabs between.

    ``id`` (default: the path without its ending), ``speaker`` (default: the file's folder),
    ``start`` and ``end`` (seconds) may be there; other columns are not looked at. Paths are
    relative to the manifest.
    """
    file = _one(path, filter(_is_manifest, path.glob("*.tsv"))) if path.is_dir() else path
    lines = list(_lines(file, strip=False))
    columns = [name.strip() for name in lines[0][1].split("\t")] if lines else []
    if not set(needed) <= set(columns):
        raise FormatError(f"the header must name {' and '.join(needed)}, has {columns}", file, 1)
    return [_manifest_row(file, number, columns, text) for number, text in lines[1:]]


def _manifest_row(file: Path, number: int, columns: list[str], text: str) -> Utterance:
    values = text.split("\t")
    if len(values) != len(columns):
        raise FormatError(f"{len(values)} columns, the header has {len(columns)}", file, number)
    row = dict(zip(columns, map(str.strip, values), strict=True))
    sound = file.parent / row["path"] if row["path"] else NO_PATH
    return Utterance(
        row.get("id") or str(Path(row["path"]).with_suffix("")),
        row.get("speaker") or sound.parent.name, _words(row.get("text", "")), sound,
        _number(row.get("start") or "0", "start", file, number),
        _number(row["end"], "end", file, number) if row.get("end") else None,
        f"{file}:{number}",
    )


def read_kaldi_folder(path: Path) -> list[Utterance]:
    """Read a data folder of Kaldi: ``text``, ``utt2spk``, ``wav.scp`` (with ``segments``) or
    ``feats.scp``, which goes first. Relative paths count from the folder that is worked in, as in
    Kaldi, else from the data folder. Commands in ``wav.scp`` are not run."""
    texts = _table(path / "text")
    speakers = _table(path / "utt2spk") if (path / "utt2spk").is_file() else {}
    sounds = _kaldi_sounds(path)
    utterances = []
    for name in dict.fromkeys((*texts, *sounds)):
        number, text = texts.get(name, (0, ""))
        sound, start, end = sounds.get(name, (NO_PATH, 0.0, None))
        speaker = speakers[name][1] if name in speakers else sound.parent.name
        source = f"{path / 'text'}:{number}" if number else str(path / "text")
        utterances.append(Utterance(name, speaker, _words(text), sound, start, end, source))
    return utterances


def _kaldi_sounds(path: Path) -> dict[str, tuple[Path, float, float | None]]:
    """Return the file and the stretch of each utterance."""
    features = path / "feats.scp"
    file = features if features.is_file() else path / "wav.scp"
    files = {}
    for name, (number, place) in _table(file).items():
        if place.endswith("|"):
            raise FormatError(f"a command, {place!r}: only files are read", file, number)
        near, here = path / place, Path(place)
        files[name] = near if not exists(here) and exists(near.parent) else here
    if file == features or not (path / "segments").is_file():
        return {name: (sound, 0.0, None) for name, sound in files.items()}
    segments = {}
    for name, (number, text) in _table(path / "segments").items():
        fields, where = text.split(), path / "segments"
        if len(fields) != 3:
            raise FormatError("must be: id, recording, start, end", where, number)
        end = _number(fields[2], "end", where, number)
        start = _number(fields[1], "start", where, number)
        segments[name] = (files.get(fields[0], NO_PATH), start, None if end < 0 else end)
    return segments


def read_sphinx_corpus(path: Path) -> list[Utterance]:
    """Read Sphinx's layout: ``etc/NAME.fileids``, ``etc/NAME.transcription``, and files below
    ``feat`` or ``wav``. The speaker is the folder that a fileid lies in."""
    if not path.exists():
        raise MissingError(f"{path}: there is no such corpus")
    listing = _one(path, path.glob("etc/*.fileids")) if path.is_dir() else path
    root = listing.parent.parent
    transcription = listing.with_suffix(".transcription")
    spoken: dict[str, Line] = {}
    for number, text in _lines(transcription):
        words, _, name = text.rpartition("(")
        if not _ID.fullmatch(name):
            raise FormatError("must end with the utterance's id in brackets", transcription, number)
        spoken[name[:-1]] = number, words.strip()
    utterances = []
    for number, name in _lines(listing):
        place = Path(name)
        line, text = spoken.get(name) or spoken.get(place.name) or (0, "")
        source = f"{transcription}:{line}" if line else f"{listing}:{number}"
        utterances.append(Utterance(
            name, place.parent.name or place.name, _words(text), _sphinx_sound(root, name),
            source=source,
        ))
    return utterances


def _sphinx_sound(root: Path, name: str) -> Path:
    """Return the file of a fileid; its place for ready-made features if there is none."""
    places = [root / "feat" / f"{name}.mfc", *(root / "wav" / f"{name}{end}" for end in SOUNDS)]
    return next((place for place in places if is_file(place)), places[0])


def read_librispeech(path: Path) -> list[Utterance]:
    """Read folders ``SPEAKER/CHAPTER`` with sounds and a file ``SPEAKER-CHAPTER.trans.txt``."""
    utterances = []
    for file in sorted(path.rglob("*.trans.txt")):
        for name, (number, text) in _table(file).items():
            sounds = [file.parent / f"{name}{end}" for end in (".flac", ".wav")]
            sound = next((sound for sound in sounds if is_file(sound)), sounds[0])
            speaker, place = name.split("-")[0], f"{file}:{number}"
            utterances.append(Utterance(name, speaker, _words(text), sound, source=place))
    return utterances


def read_named_files(path: Path) -> list[Utterance]:
    """Read sounds named ``TEXT_SPEAKER_TAKE.wav``, such as ``7_jackson_12.wav``; underscores in
    the text part words, digits are spelled out."""
    utterances = []
    for file in sorted(path.iterdir()):
        match = _TAKE.match(file.stem)
        if file.suffix in SOUNDS and match:
            text = match[1].split("_")
            words = tuple(DIGITS[int(w)] if re.fullmatch("[0-9]", w) else w for w in text)
            utterances.append(Utterance(file.stem, match[2], words, file, source=str(file)))
    return utterances


def _layout_of(path: Path) -> str:
    if not path.exists():
        raise MissingError(f"{path}: there is no such corpus")
    if path.is_file():
        return "sphinx" if path.suffix == ".fileids" else "tsv"
    if (path / "text").is_file():
        return "kaldi"
    if any((path / "etc").glob("*.fileids")):
        return "sphinx"
    if any(_is_manifest(file) for file in path.glob("*.tsv")):
        return "tsv"
    if next(path.rglob("*.trans.txt"), None):
        return "librispeech"
    if any(file.suffix in SOUNDS and _TAKE.match(file.stem) for file in path.iterdir()):
        return "names"
    raise MissingError(
        f"{path}: no corpus in a known layout: a table *.tsv with path and text, text and wav.scp "
        "of Kaldi, etc/*.fileids of Sphinx, *.trans.txt of LibriSpeech, TEXT_SPEAKER_TAKE.wav"
    )


def _one(folder: Path, lists: Iterable[Path]) -> Path:
    """Return the one list of a corpus."""
    found = sorted(lists)
    if not found:
        raise MissingError(f"{folder}: no list of utterances in this layout")
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise OptionError(f"{folder} has several lists, name the one that is meant: {names}")
    return found[0]


def _is_manifest(file: Path) -> bool:
    with file.open(encoding="utf-8", errors="replace") as lines:
        return {"path", "text"} <= set(lines.readline().strip().split("\t"))


def _table(file: Path) -> dict[str, Line]:
    """Read lines of a name and a value; the value may be empty."""
    table: dict[str, Line] = {}
    for number, text in _lines(file):
        name, _, value = text.partition(" ") if "\t" not in text else text.partition("\t")
        if name in table:
            raise FormatError(f"{name!r} is there already in line {table[name][0]}", file, number)
        table[name] = number, value.strip()
    return table


def _lines(file: Path, strip: bool = True) -> Iterator[Line]:
    """Yield numbered lines that are not empty."""
    for number, text in enumerate(read_text(file).split("\n"), 1):
        if text.strip():
            yield number, text.strip() if strip else text


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split() if word not in MARKS)


def _number(text: str, name: str, file: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise FormatError(f"{name} must be a number of seconds, is {text!r}", file, line)
    return value

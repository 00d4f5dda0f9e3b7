"""The ways corpora are laid out on disk, each turned into a list of utterances.

A reader reads lists only. A broken line is an error that names it; an utterance whose sound or
text is not listed is kept without it, and `check` names it.

`tsv`          a table with a header: tabs between, or CSV as spreadsheets write it; or records of
               JSON, as of NeMo and Hugging Face
`kaldi`        ``text``, ``wav.scp`` and the like
`sphinx`       ``etc/NAME.fileids`` and ``etc/NAME.transcription``
`librispeech`  folders with sounds and ``*.trans.txt``
`ljspeech`     ``metadata.csv`` with bars between, and ``wavs/``
`commonvoice`  a table of Common Voice with ``path`` and ``sentence``, and ``clips/``
`mfa`          of the Montreal Forced Aligner: a ``.lab``, ``.txt`` or ``.TextGrid`` next to each
               sound, a folder for each speaker
`names`        sounds named ``TEXT_SPEAKER_TAKE.wav``

The texts of `ljspeech`, `commonvoice` and `mfa` are prose, which the normaliser of
`language.written` reads; those of the others are words with blanks between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path

from factored_asr.corpus.textgrid import Tier, read_textgrid
from factored_asr.corpus.utterance import NO_PATH, Utterance
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language.written import Known, spoken_words
from factored_asr.storage.reading import exists, files_in, is_file, lines_with_text, read_text
from factored_asr.storage.tables import SUFFIXES as TABLES
from factored_asr.storage.tables import Row, header_of, read_table

SOUNDS = (".wav", ".flac", ".sph", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".raw")
"""Endings of sounds, in small or capital letters."""
RECORDS = (".jsonl", ".json")
"""Endings of tables of JSON."""
TEXTS = (".lab", ".txt", ".textgrid")
"""Endings of the texts next to sounds."""
MARKS = frozenset(("<s>", "</s>", "<sil>", "<SIL>"))
"""Words of texts that stand for silence, which a model has without them."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

_ID = re.compile(r"[^()\s]+\)")
_TAKE = re.compile(r"(.+)_([^_]+)_(\d+)$")
_OF_TIMIT = re.compile(r"^0 \d{4,6} (?=\D)")
"""First and last sample, before the texts of TIMIT."""
_OF_PHONES = re.compile(r"(?:^|\W)phones?$", re.I)
_OF_WORDS = re.compile(r"(?:^|\W)words?$", re.I)

Line = tuple[int, str]


def read_layout(path: Path, layout: str, known: Known | None = None) -> list[Utterance]:
    """Read the lists of a corpus; see `Corpus.read`."""
    readers: dict[str, Callable[[Path], list[Utterance]]] = {
        "tsv": read_manifest, "kaldi": read_kaldi_folder, "sphinx": read_sphinx_corpus,
        "librispeech": read_librispeech, "ljspeech": partial(read_ljspeech, known=known),
        "commonvoice": partial(read_manifest, prose=True, known=known),
        "mfa": partial(read_mfa_folder, known=known), "names": read_named_files,
    }  # fmt: skip
    if layout == "auto":
        layout = _layout_of(path)
    if layout not in readers:
        raise OptionError(f"layout is {layout!r}, must be one of auto, {', '.join(readers)}")
    return readers[layout](path)


def read_manifest(
    path: Path, needed: Collection[str] = ("path", "text"), *, prose: bool = False,
    known: Known | None = None,
) -> list[Utterance]:
    """Read a table with a header and the columns ``path`` and ``text``: tabs between, or CSV.

    ``id`` (default: the path without its ending, with the start if that is not 0), ``speaker``
    (default: the file's folder), ``start`` and ``end`` (seconds) may be there. Other columns are
    not looked at. Paths are relative to the manifest, or to a folder ``clips`` next to it. `prose`:
    texts are read as people write them; `known` says which spellings are words.
    """
    if path.is_dir():
        tables = (file for end in (*TABLES, *RECORDS) for file in files_in(path, f"*{end}"))
        path = _one(path, filter(_is_manifest, tables))
    words = partial(spoken_words, known=known) if prose else _words
    return [_manifest_row(path, row, words) for row in read_table(path, needed).rows]


def _manifest_row(file: Path, row: Row, words: Callable[[str], tuple[str, ...]]) -> Utterance:
    value = row.values.get
    name = row.values["path"]
    sound = _near(file.parent, name) if name else NO_PATH
    start = _number(value("start") or "0", "start", file, row.number)
    plain = str(Path(name).with_suffix("") if Path(name).name else name)
    return Utterance(
        value("id") or (f"{plain}-{start:g}" if start else plain),
        value("speaker") or sound.parent.name, words(value("text") or ""), sound, start,
        _number(row.values["end"], "end", file, row.number) if value("end") else None,
        f"{file}:{row.number}",
    )


def _near(folder: Path, name: str) -> Path:
    """Return the file of a table: in its folder, or in ``clips``, perhaps with ``.mp3`` added.

    Names may begin with ``file://``, or part their folders by backslashes as on Windows.
    """
    first = folder / name.removeprefix("file://")
    if is_file(first):
        return first
    slashes = name.replace("\\", "/")
    there = (folder / slashes, folder / "clips" / slashes, folder / "clips" / f"{name}.mp3")
    return next((place for place in there if is_file(place)), first)


def read_kaldi_folder(path: Path) -> list[Utterance]:
    """Read a data folder of Kaldi: ``text``, ``utt2spk``, ``wav.scp`` (with ``segments``) or
    ``feats.scp``, which goes first. Relative paths count from the folder that is worked in, as in
    Kaldi, else from the data folder. Commands in ``wav.scp`` are not run."""
    texts = _table(path / "text")
    speakers = _table(path / "utt2spk") if exists(path / "utt2spk") else {}
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
    file = features if exists(features) else path / "wav.scp"
    files = {}
    for name, (number, place) in _table(file).items():
        if place.endswith("|"):
            raise FormatError(f"a command, {place!r}: only files are read", file, number)
        near, here = path / place, Path(place)
        files[name] = near if not exists(here) and exists(near.parent) else here
    if file == features or not exists(path / "segments"):
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
    listing = _one(path, files_in(path, "etc/*.fileids")) if path.is_dir() else path
    root = listing.parent.parent
    transcription = listing.with_suffix(".transcription")
    spoken: dict[str, Line] = {}
    for number, text in _lines(transcription):
        words, _, name = text.rpartition("(")
        if not _ID.fullmatch(name):
            raise FormatError("must end with the utterance's id in brackets", transcription, number)
        spoken[name[:-1]] = number, words.strip()
    small = {name.lower(): line for name, line in spoken.items()}
    utterances, found = [], _Folders()
    for number, name in _lines(listing):
        place = Path(name)
        if place.suffix.lower() in SOUNDS:
            place = place.with_suffix("")
        names = (name, str(place), place.name)
        lines = (table.get(key) for table, keys in (
            (spoken, names), (small, [each.lower() for each in names])) for key in keys)
        line, text = next(filter(None, lines), (0, ""))
        source = f"{transcription}:{line}" if line else f"{listing}:{number}"
        sound = found.sound(root / "wav" / place) or found.file(root / "wav" / name)
        features = root / "feat" / f"{place}.mfc"
        utterances.append(Utterance(
            name, place.parent.name or place.name, _words(text),
            features if is_file(features) or not sound else sound, source=source,
        ))
    return utterances


class _Folders:
    """Finds files in any case; each folder is listed once."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, Path]] = {}

    def file(self, place: Path) -> Path | None:
        """Return the file of this name, in any case."""
        folder = place.parent
        if folder not in self._names:
            try:
                self._names[folder] = {each.name.lower(): each for each in files_in(folder)}
            except (OSError, ValueError):
                self._names[folder] = {}
        return place if is_file(place) else self._names[folder].get(place.name.lower())

    def sound(self, place: Path, ends: Iterable[str] = SOUNDS) -> Path | None:
        """Return the sound of a name without its ending."""
        found = (self.file(place.with_name(place.name + end)) for end in ends)
        return next(filter(None, found), None)


def read_librispeech(path: Path) -> list[Utterance]:
    """Read folders ``SPEAKER/CHAPTER`` with sounds and a file ``SPEAKER-CHAPTER.trans.txt``."""
    utterances, found = [], _Folders()
    for file in files_in(path, "**/*.trans.txt"):
        for name, (number, text) in _table(file).items():
            sound = found.sound(file.parent / name) if "/" not in name else None
            speaker, place = name.split("-")[0], f"{file}:{number}"
            utterances.append(Utterance(name, speaker, _words(text),
                                        sound or file.parent / f"{name}.flac", source=place))
    return utterances


def read_ljspeech(path: Path, known: Known | None = None) -> list[Utterance]:
    """Read ``metadata.csv``: id, text and, if it is there, the text without numerals, with bars
    between; the sounds lie in ``wavs``. The speaker is the corpus's folder."""
    file = path / "metadata.csv" if path.is_dir() else path
    utterances, found = [], _Folders()
    for number, line in _lines(file):
        name, *texts = (field.strip() for field in line.split("|"))
        if not name or not texts:
            raise FormatError("must be: id|text, or id|text|text as it is spoken", file, number)
        text = texts[1] if len(texts) > 1 and texts[1] else texts[0]
        places = (file.parent / "wavs" / name, file.parent / name)
        sound = next(filter(None, (found.file(each) or found.sound(each) for each in places)),
                     places[0].with_name(places[0].name + ".wav"))
        utterances.append(Utterance(name, file.parent.name, spoken_words(text, known=known), sound,
                                    source=f"{file}:{number}"))
    return utterances


def read_mfa_folder(path: Path, known: Known | None = None) -> list[Utterance]:
    """Read sounds with a ``.lab``, ``.txt`` or ``.TextGrid`` next to each.

    The speaker is the sound's folder. Each tier of a TextGrid is a speaker's, and each of its
    intervals with a text an utterance, but for tiers of words and phones.
    """
    utterances: list[Utterance] = []
    found = _Folders()
    for sound in (each for each in files_in(path, "**/*") if each.suffix.lower() in SOUNDS):
        name = sound.relative_to(path).with_suffix("").as_posix()
        file = found.sound(sound.with_suffix(""), TEXTS)
        if file is not None and file.suffix.lower() == ".textgrid":
            utterances += _of_textgrid(name, sound, file, known)
            continue
        text = "" if file is None else " ".join(read_text(file).split("\n"))
        text = _OF_TIMIT.sub("", text)
        utterances.append(Utterance(name, sound.parent.name, spoken_words(text, known=known),
                                    sound, source=str(file or sound)))
    return utterances


def _of_textgrid(name: str, sound: Path, file: Path, known: Known | None) -> Iterator[Utterance]:
    """Yield the utterances of a TextGrid."""
    tiers = [tier for tier in read_textgrid(file) if not _OF_PHONES.search(tier.name)]
    whole = [tier for tier in tiers if _OF_WORDS.search(tier.name)]
    if len(whole) == len(tiers):  # words with times, such as an aligner writes
        for number, tier in enumerate(tiers, start=1):
            text = " ".join(each.text for each in tier.intervals)
            end = "" if len(tiers) == 1 else f"-{number}"
            yield Utterance(name + end, _speaker(tier, sound), spoken_words(text, known=known),
                            sound, source=str(file))
        return
    for tier in tiers:
        for each in tier.intervals:
            if each.text and each.end > each.start and tier not in whole:
                place = f"{name}-{tier.name or 'tier'}-{each.start:.3f}"
                yield Utterance("_".join(place.split()), _speaker(tier, sound),
                                spoken_words(each.text, known=known), sound, each.start, each.end,
                                str(file))


def _speaker(tier: Tier, sound: Path) -> str:
    """Return the speaker of a tier: its name, but for tiers that have the usual names."""
    name = _OF_WORDS.sub("", tier.name).strip(" -_")
    plain = name.lower() in ("", "text", "utterance", "utterances", "sentence", "sentences",
                             "transcript", "transcription", "orthography", "ort")
    return sound.parent.name if plain else name


def read_named_files(path: Path) -> list[Utterance]:
    """Read sounds named ``TEXT_SPEAKER_TAKE.wav``, such as ``7_jackson_12.wav``; underscores in
    the text part words, digits are spelled out."""
    utterances = []
    for file in files_in(path):
        match = _TAKE.match(file.stem)
        if file.suffix.lower() in SOUNDS and match:
            text = match[1].split("_")
            words = tuple(DIGITS[int(w)] if re.fullmatch("[0-9]", w) else w for w in text)
            utterances.append(Utterance(file.stem, match[2], words, file, source=str(file)))
    return utterances


def _layout_of(path: Path) -> str:
    if not path.exists():
        raise MissingError(f"{path}: there is no such corpus")
    if path.is_file():
        return "sphinx" if path.suffix == ".fileids" else _table_layout(path)
    if (path / "text").is_file():
        return "kaldi"
    if files_in(path, "etc/*.fileids"):
        return "sphinx"
    if is_file(path / "metadata.csv") and not _is_manifest(path / "metadata.csv"):
        return "ljspeech"
    for end in (*TABLES, *RECORDS):
        for file in files_in(path, f"*{end}"):
            if _is_manifest(file):
                return _table_layout(file)
    if files_in(path, "**/*.trans.txt"):
        return "librispeech"
    if any(file.suffix.lower() in SOUNDS and _TAKE.match(file.stem) for file in files_in(path)):
        return "names"
    found = _Folders()
    if any(each.suffix.lower() in SOUNDS and found.sound(each.with_suffix(""), TEXTS)
           for each in files_in(path, "**/*")):
        return "mfa"
    raise MissingError(
        f"{path}: no corpus in a known layout: a table *.tsv or *.csv with path and text, text and "
        "wav.scp of Kaldi, etc/*.fileids of Sphinx, *.trans.txt of LibriSpeech, metadata.csv of "
        "LJSpeech, a .lab, .txt or .TextGrid next to each sound, TEXT_SPEAKER_TAKE.wav"
    )


def _table_layout(file: Path) -> str:
    """Return the layout of a table: Common Voice names its texts sentences."""
    if file.name == "metadata.csv" and not _is_manifest(file):
        return "ljspeech"
    first = read_text(file).split("\n", 1)[0].lower()
    return "commonvoice" if "client_id" in first and "sentence" in first else "tsv"


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
    return {"path", "text"} <= set(header_of(file))


def _table(file: Path) -> dict[str, Line]:
    """Read lines of a name and a value; the value may be empty."""
    table: dict[str, Line] = {}
    for number, text in _lines(file):
        name, *value = text.split(None, 1)
        if name in table:
            raise FormatError(f"{name!r} is there already in line {table[name][0]}", file, number)
        table[name] = number, "".join(value)
    return table


def _lines(file: Path) -> Iterator[Line]:
    """Yield numbered lines that are not empty, of a plain file of a corpus."""
    if exists(file) and not is_file(file):
        raise FormatError("must be a plain file, is a pipe or a folder", file)
    for number, text in lines_with_text(file):
        yield number, text.strip()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split() if word not in MARKS)


def _number(text: str, name: str, file: Path, line: int) -> float:
    try:
        value = float(text.replace(",", ".", 1))  # as spreadsheets of many languages write it
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise FormatError(f"{name} must be a number of seconds, is {text!r}", file, line)
    return value

"""Where the files of a Vosk model are; its files of text: options, symbols, places of phones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from factored_asr.acoustic.topology import BEGIN, END, INTERNAL, SINGLE
from factored_asr.errors import FormatError, MissingError
from factored_asr.models.importers.kaldi_nnet3 import is_nnet3
from factored_asr.storage.reading import lines_with_text, read_text, whole_number

NONWORD = "nonword"
WORD_PLACES = {"begin": BEGIN, "end": END, "internal": INTERNAL, "singleton": SINGLE}
_IGNORED = ("rescore", "rnnlm")


@dataclass(frozen=True)
class VoskFiles:
    """Where the files of such a folder are; those that may lack are None."""

    folder: Path
    model: Path
    mfcc: Path
    conf: Path | None
    lookahead: Path
    grammar: Path
    static: Path
    ivector: Path | None
    phones: Path | None
    words: Path | None
    word_boundary: Path | None
    align_lexicon: Path | None
    """Words and their phones, as numbers."""
    align_lexicon_text: Path | None
    """The same in words."""
    silence: Path | None
    """The numbers of the phones of silence."""
    ignored: tuple[Path, ...] = field(default=())
    """Of a second pass, which is not read."""

    @staticmethod
    def find(folder: str | Path) -> VoskFiles | None:
        """Return the files of a folder; None where it holds no chain model."""
        folder = Path(folder)
        for am, conf, graph, phones in (("am", "conf", "graph", "graph/phones"), (".",) * 4):
            model = folder / am / "final.mdl"
            if not model.is_file() or not is_nnet3(model):
                continue

            def there(*names: str) -> Path | None:
                return next((folder / name for name in names if (folder / name).exists()), None)

            return VoskFiles(
                folder, model, folder / conf / "mfcc.conf", there(f"{conf}/model.conf"),
                folder / graph / "HCLr.fst", folder / graph / "Gr.fst",
                folder / graph / "HCLG.fst", there("ivector", "extractor", "ivector_extractor"),
                there(f"{graph}/phones.txt"), there(f"{graph}/words.txt"),
                there(f"{phones}/word_boundary.int"),
                there(f"{phones}/align_lexicon.int"), there(f"{phones}/align_lexicon.txt"),
                there(f"{phones}/silence.csl"),
                tuple(folder / name for name in _IGNORED if (folder / name).exists()),
            )
        return None

    def stamps(self) -> list[tuple[str, int, int]]:
        """Return name, size and time of change of every file: what the folder is known by."""
        files = sorted(file for file in self.folder.rglob("*") if file.is_file())
        stats = [(file.resolve(), file.stat()) for file in files]
        return [(str(file), stat.st_size, stat.st_mtime_ns) for file, stat in stats]


def read_options(path: Path) -> dict[str, str]:
    """Read a configuration file of Kaldi, ``--name=value`` on each line."""
    found = {}
    for line, text in lines_with_text(path):
        text = text.partition("#")[0].strip()
        if not text:
            continue
        name, equals, value = text.partition("=")
        if not name.startswith("--"):
            raise FormatError(f"must be --name=value, is {text!r}", path, line)
        found[name[2:]] = value if equals else "true"
    return found


def silences_of(files: VoskFiles, options: Mapping[str, str]) -> tuple[int, ...]:
    """Return the phones of silence and noise, that of pauses first; empty where no file has them.

    They stand in ``endpoint.silence-phones`` of the options, or in ``silence.csl``.
    """
    text = options.get("endpoint.silence-phones", "")
    if not text and files.silence:
        text = read_text(files.silence).strip()
    numbers = [whole_number(part) for part in text.replace(",", ":").split(":") if part]
    return tuple(number for number in numbers if number)


def whole(options: Mapping[str, str], name: str, default: int, path: Path | None,
          lowest: int = 0, highest: int = 100_000) -> int:  # fmt: skip
    """Return an option that is a whole number."""
    value = whole_number(options[name]) if name in options else default
    if value is None or not lowest <= value <= highest:
        raise FormatError(f"--{name} must be {lowest} to {highest}, is {options[name]!r}", path)
    return value


def read_boundaries(path: Path) -> dict[int, str]:
    """Read the place in a word that each phone stands for."""
    found = {}
    for line, text in lines_with_text(path):
        fields = text.split()
        number = whole_number(fields[0])
        if len(fields) != 2 or number is None or fields[1] not in (NONWORD, *WORD_PLACES):
            raise FormatError(f"must be a phone and its place, is {text!r}", path, line)
        found[number] = fields[1]
    return found


def read_symbols(path: Path | None) -> dict[int, str]:
    """Read a table of symbols: number → name. MissingError without a path."""
    if path is None:
        raise MissingError("the model has no table of words: words.txt, or one in Gr.fst")
    found = {}
    for line, text in lines_with_text(path):
        fields = text.split()
        number = whole_number(fields[-1])
        if len(fields) != 2 or number is None:
            raise FormatError(f"must be a symbol and its number, is {text!r}", path, line)
        found[number] = fields[0]
    return found

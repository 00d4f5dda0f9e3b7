"""Every reader of files and texts, with its seeds, and with a first use of what it reads.

What is read is used at once: a reader that lets a broken graph or model pass has failed if the
search or the scores then stumble over it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from support import odd_sounds

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.model import AcousticModel
from factored_asr.acoustic.network import read_head
from factored_asr.audio.reading import as_samples, describe, read_audio, read_blocks
from factored_asr.corpus.corpus import Corpus, check
from factored_asr.corpus.textgrid import read_textgrid
from factored_asr.decoder import decode
from factored_asr.dialogue import Dialogue, Reader, World
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.evaluation.normalise import Rules
from factored_asr.evaluation.report import score_files
from factored_asr.evaluation.transcripts import Transcripts
from factored_asr.features.files import read_feature_file
from factored_asr.graph import Graph
from factored_asr.language import (
    KenLMScorer,
    NGramModel,
    NGramScorer,
    prune_to,
    read_columns,
    read_lm,
    read_sentences,
    read_vocabulary,
    score_text,
)
from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.compiled import CompiledGrammar
from factored_asr.language.written import GRAMMAR_RULES, TextRules, read_written
from factored_asr.lattice import Calibration, nbest
from factored_asr.lattice.files import read_kaldi, read_slf, slf_text
from factored_asr.lattice.posteriors import arc_posteriors
from factored_asr.lexicon import Lexicon
from factored_asr.lexicon.g2p import G2P
from factored_asr.models.bundle import Bundle
from factored_asr.models.importers.kaldi import read_kaldi_model
from factored_asr.models.importers.sphinx import read_sphinx_model
from factored_asr.models.importers.vosk import VoskFiles, read_vosk_model
from factored_asr.models.settings import DecodeOptions
from factored_asr.results.subtitles import cues, lines
from factored_asr.results.transcript import Transcript, Word
from factored_asr.storage.reading import read_text
from factored_asr.training.checkpoint import Checkpoint
from factored_asr.training.data import seconds_of
from factored_asr.understanding import Understander
from fuzz import seeds
from fuzz.mutate import Files, spoil

Write = Callable[[Path], None]
Spoil = Callable[[Files, random.Random], dict[str, bytes | None]]


@dataclass(frozen=True)
class Kind:
    """One reader, and what is given to it."""

    name: str
    seeds: tuple[Write, ...]
    """Each fills a folder with good files."""
    read: Callable[[Path], object]
    """Reads what is in a folder, and uses it."""
    mend: Callable[[dict[str, bytes | None], random.Random], dict[str, bytes | None]] | None = None
    """Makes checksums fit again after a change, for most cases."""
    spoil: Spoil = spoil
    share: float = 1.0
    """Cases, as a share of those of the others."""
    ffmpeg: bool = False
    """Whether the program ffmpeg, which takes its time, is at hand."""

    def good(self) -> list[Files]:
        """The seeds as files."""
        return [collected(write) for write in self.seeds]


def collected(write: Write) -> dict[str, bytes | None]:
    """What a seed writes."""
    with tempfile.TemporaryDirectory() as place:
        write(Path(place))
        return {
            file.relative_to(place).as_posix(): file.read_bytes()
            for file in sorted(Path(place).rglob("*"))
            if file.is_file()
        }


def lay(files: Files, folder: Path) -> None:
    """Write a case into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files.items():
        place = folder / name
        if data is None:
            place.mkdir(parents=True, exist_ok=True)
        elif not place.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


# --- uses -------------------------------------------------------------------


def _sound(folder: Path, name: str = "a.sound") -> None:
    samples, rate = read_audio(folder / name)
    assert samples.dtype == np.float32 and len(samples) and rate > 0
    assert np.isfinite(samples).all()
    read_audio(folder / name, sample_rate=16000)


def _blocks(folder: Path) -> None:
    for block in read_blocks(folder / "a.sound", sample_rate=16000):
        assert np.isfinite(block).all()
    with open(folder / "a.sound", "rb") as file:
        read_audio(file)


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def _stdin(folder: Path) -> None:
    import sys

    class Stdin:
        buffer = io.BytesIO(_content(folder / "a.sound"))

    before, sys.stdin = sys.stdin, Stdin()  # type: ignore[assignment]
    try:
        for block in read_blocks("-", sample_rate=8000):
            assert np.isfinite(block).all()
    finally:
        sys.stdin = before


class _Pipe(io.RawIOBase):
    """Standard input that comes in pieces and cannot seek."""

    def __init__(self, data: bytes):
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, n: int = -1) -> bytes:
        return self._data.read(min(n, 777) if n >= 0 else 777)


def _piped(folder: Path, array_rate: int | None = None) -> None:
    import sys

    class Stdin:
        buffer = _Pipe(_content(folder / "a.sound"))

    before, sys.stdin = sys.stdin, Stdin()  # type: ignore[assignment]
    try:
        for block in read_blocks("-", sample_rate=16000, array_rate=array_rate):
            assert np.isfinite(block).all()
    finally:
        sys.stdin = before


def _described(folder: Path) -> None:
    about = describe(folder / "a.sound")
    assert about.n_channels > 0 and about.seconds >= 0
    data = _content(folder / "a.sound")
    as_samples(data[: len(data) // 2 * 2])


def _cepstra(folder: Path, name: str) -> None:
    assert read_feature_file(folder / name, 13).shape[1] == 13


def _lexicon(folder: Path) -> None:
    lexicon = Lexicon.read(folder / "a.dict", fillers=folder / "a.dict")
    assert lexicon.phones and all(lexicon[word] for word in lexicon)
    lexicon.extend(lexicon).strip_stress().write(folder / "out")
    with contextlib.suppress(LookupError):
        lexicon.check_phones(["HH"])


def _language(model: NGramModel) -> None:
    words = [word for word in model.vocabulary if word not in ("<s>", "</s>")][:3]
    scorer, state = NGramScorer(model), NGramScorer(model).start()
    for word in words:
        state, log_prob = scorer.score_word(state, word)
        assert log_prob == log_prob
    scorer.finish(state)
    if words:
        score_text(model, [words, words[::-1]])
    prune_to(model, len(model.vocabulary))


def _lm(folder: Path) -> None:
    _language(read_lm(folder / "a.arpa"))


def _kenlm(folder: Path) -> None:
    scorer = KenLMScorer(folder / "a.arpa")
    state, _ = scorer.score_word(scorer.start(), "yes")
    scorer.finish(state)


def _sentences(folder: Path) -> None:
    list(read_sentences(folder / "a.txt"))
    read_vocabulary(folder / "a.txt")
    read_text(folder / "a.txt")


def _prose(folder: Path) -> None:
    text, known = read_text(folder / "a.txt")[:4000], {"wi-fi", "2nd", "rock'n'roll"}.__contains__
    if (folder / "a.txt").stat().st_size < 8000:
        list(read_sentences(folder / "a.txt", rules=TextRules(), known=known, skipped=Counter()))
    n = len(text) % 4  # in turn
    rules = (TextRules(), GRAMMAR_RULES, TextRules(numbers=False), TextRules(case=False))[n]
    for piece in read_written(text, rules, known):
        assert text[piece.start : piece.end] == piece.text and all(map(bool, piece.words))
    Rules.named(("all", "case,punctuation", "fillers", "digits")[n]).apply(text)
    words = [Word(word, i / 3, i / 3 + 0.3) for i, word in enumerate(text.split()[:200])]
    for cue in cues(words):
        lines(cue)


def _scored(folder: Path, name: str) -> None:
    layout = name.partition(".")[2]
    file = folder / name
    found = Transcripts.read(file, layout)
    if file.stat().st_size > 4000:
        return  # the alignment takes time with the square of the length
    with contextlib.suppress(OptionError, MissingError):
        score_files(found, [found]).to_json()


def _grammar(folder: Path) -> None:
    grammar = Grammar.read(folder)
    if grammar.estimate().arcs < 3e4 and grammar.words:
        ids = {word: n for n, word in enumerate(sorted(grammar.words), 1)}
        with contextlib.suppress(ValueError):  # nothing of it can be said
            grammar.acceptor(ids)
    Understander(grammar).parse("turn on the kitchen light please", {"area": "hall"})


def _compiled(folder: Path) -> None:
    grammar = CompiledGrammar.read(folder / "g.json")
    assert grammar.words is not None
    Understander(grammar).parse("turn on the kitchen light please", {"area": "hall"})


def _world(folder: Path) -> None:
    world = World.read(folder)
    grammar = Grammar.read(folder)
    dialogue = Dialogue(grammar, world, {"area": "hall"})
    for said in ("turn on the kitchen light", "no the hall"):
        dialogue.hear(said)
    Reader(Understander(grammar)).read("turn on the light")


def _graph(folder: Path, name: str = "g.fst") -> None:
    _searched(Graph.read(folder / name))


def _searched(graph: Graph) -> None:
    columns = int(graph.label_pdf.max(initial=0)) + 1
    if columns > 1000:
        return
    best = decode(graph, np.zeros((5, columns), np.float32)).best()
    best.segments if graph.has_phones else best.words  # noqa: B018


def _acoustic(model: GmmModel) -> None:
    features = np.zeros((3, model.features.n_features), np.float32)
    scores = model.log_likelihoods(features)
    assert scores.shape == (3, model.n_pdfs) and not np.isnan(scores).any()
    n = len(model.phones)
    index = model.hmm_index(np.arange(n), 0, n - 1, np.arange(n) % 4)
    assert (model.hmm_pdfs[index][:, 0] < model.n_pdfs).all()


def _sphinx(folder: Path) -> None:
    _acoustic(read_sphinx_model(folder / "model"))


def _kaldi(folder: Path) -> None:
    _acoustic(read_kaldi_model(folder / "model"))


def _vosk(folder: Path) -> None:
    files = VoskFiles.find(folder / "model")
    if files is None:
        raise FormatError("no chain model", folder)
    found = read_vosk_model(files)
    _chain_scores(found.acoustic)
    if found.lm is not None:
        _language(found.lm)
    if found.graph is not None:
        _searched(found.graph)


def _chain(folder: Path) -> None:
    _chain_scores(Bundle.find(folder / "model").acoustic_model())


def _chain_scores(model: AcousticModel) -> None:
    if model.sample_rate > 100_000 or model.n_pdfs > 1000 or model.look_ahead_seconds > 10:
        return  # long to compute, but right
    session = model.session(np.arange(model.n_pdfs), whole=False)
    session.accept(np.linspace(-1, 1, 4000, dtype=np.float32))
    for scores in session.finish():
        assert scores.shape[1:] == (model.n_pdfs,)


def _head(folder: Path) -> None:
    head = read_head(folder / "head.npz")
    frames = [np.linspace(-1, 1, 4 * 288, dtype=np.float32).reshape(4, 288)] * 8
    assert head(frames).shape == (4, len(head.phones))


def _model(folder: Path) -> None:
    bundle = Bundle.find(folder / "model")
    _acoustic(bundle.acoustic_model())
    if bundle.lexicon:
        Lexicon.read(bundle.lexicon)
    if bundle.lm:
        _language(read_lm(bundle.lm))


def _zipped(folder: Path) -> None:
    before = os.environ.get("FACTORED_ASR_CACHE")
    os.environ["FACTORED_ASR_CACHE"] = str(folder / "cache" / "of" / "models")
    try:
        _acoustic(Bundle.find(folder / "model.zip").acoustic_model())
    finally:
        del os.environ["FACTORED_ASR_CACHE"]
        if before:
            os.environ["FACTORED_ASR_CACHE"] = before
        there = {place.name for place in folder.parent.iterdir()}
        inside = {place.name for place in folder.iterdir()}
        assert there == {folder.name} and inside <= {"cache", "model.zip"}, "written outside"


def _g2p(folder: Path) -> None:
    model = G2P.read(folder / "a.g2p")
    with contextlib.suppress(LookupError):
        model.guess("state", 3)
    with contextlib.suppress(LookupError):
        model.guess("xyz" * 5)


def _checkpoint(folder: Path) -> None:
    found = Checkpoint.read(folder / "state.npz")
    _acoustic(found.trained.model)


def _lattice(folder: Path) -> None:
    for lattice in read_kaldi(folder / "a.lat", acoustic_scale=0.1, frame_seconds=0.01).values():
        _walk(lattice)


def _slf(folder: Path) -> None:
    _walk(read_slf(folder / "a.slf"))


def _walk(lattice: Any) -> None:
    arc_posteriors(lattice)
    nbest(lattice, 3)
    slf_text(lattice)


def _transcript(folder: Path) -> None:
    Transcript.from_json(read_text(folder / "a.json")).to_json()


def _plain(folder: Path) -> object:
    try:
        return json.loads((folder / "a.json").read_text())
    except (ValueError, RecursionError, OSError) as error:
        raise FormatError(str(error)) from None  # JSON itself is read elsewhere


def _calibration(folder: Path) -> None:
    Calibration.from_dict(_plain(folder))  # type: ignore[arg-type]


def _settings(folder: Path) -> None:
    DecodeOptions.from_dict(_plain(folder))  # type: ignore[arg-type]


def _corpus(folder: Path, name: str = "") -> None:
    corpus = Corpus.read(folder / name if name else folder)
    check(corpus, seconds=seconds_of())


# --- repairs ----------------------------------------------------------------


def rehashed(files: dict[str, bytes | None], rng: random.Random) -> dict[str, bytes | None]:
    """The model's manifest speaks of its files as they are now."""
    import hashlib

    name = "model/manifest.json"
    if rng.random() < 0.1 or not files.get(name):
        return files
    try:
        manifest = json.loads(files[name] or b"")
        for file, facts in manifest["files"].items():
            data = files.get(f"model/{file}") or b""
            facts |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        return {**files, name: json.dumps(manifest).encode()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return files


def one_of(texts: tuple[str, ...], good: Spoil) -> Spoil:
    """Now and then one of these texts in the place of the file, as it is or changed."""

    def spoilt(files: Files, rng: random.Random) -> dict[str, bytes | None]:
        if rng.random() > 0.15:
            return good(files, rng)
        bomb = {next(iter(files)): rng.choice(texts).encode()}
        return good(bomb, rng) if rng.random() < 0.5 else dict(bomb)

    return spoilt


def _seed(write: Callable[..., None], *rows: tuple) -> tuple[Write, ...]:
    return tuple(partial(_with, write, row) for row in rows)


def _with(write: Callable[..., None], row: tuple, folder: Path) -> None:
    write(folder, *row)


ODD = _seed(seeds.odd_sound, *((name,) for name in seeds.ODD))
FOREIGN = _seed(seeds.foreign_sound, *((name,) for name in seeds.FOREIGN))
KINDS = (
    Kind("audio", _seed(seeds.sound, *seeds.SOUNDS), _sound, share=3),
    Kind("audio in blocks", _seed(seeds.sound, *seeds.SOUNDS), _blocks, share=2),
    Kind("audio on stdin", _seed(seeds.sound, *seeds.SOUNDS[:9]), _stdin),
    Kind("audio from a pipe", _seed(seeds.sound, *seeds.SOUNDS), _piped),
    Kind("audio, odd WAV", ODD, _sound, share=2),
    Kind("audio, odd WAV from a pipe", ODD, _piped, share=2),
    Kind("audio or bare samples", _seed(seeds.sound, *seeds.SOUNDS[:9]),
         partial(_piped, array_rate=8000)),
    Kind("audio headers", _seed(seeds.sound, *seeds.SOUNDS), _described),
    *([Kind("sound by ffmpeg", FOREIGN, _sound, share=0.03, ffmpeg=True),
       Kind("sound by ffmpeg from a pipe", FOREIGN, _piped, share=0.03, ffmpeg=True)]
      if odd_sounds.FFMPEG else []),
    Kind("bare samples", (seeds.bare_sound,), partial(_sound, name="a.raw"), share=0.2),
    Kind("cepstra .mfc", (seeds.mfc,), partial(_cepstra, name="a.mfc"), share=0.5),
    Kind("cepstra .npy", (seeds.npy,), partial(_cepstra, name="a.npy")),
    Kind("cepstra .ark", (seeds.archive,), partial(_cepstra, name="a.ark:4"), share=0.5),
    Kind("dictionary", (seeds.cmudict, seeds.lexiconp, seeds.mfa_dictionary), _lexicon),
    Kind("ARPA", (seeds.arpa,), _lm, share=2),
    Kind("ARPA, gzip", (seeds.arpa_gz,), _lm, share=0.5),
    Kind("ARPA by KenLM", (seeds.arpa_strict,), _kenlm, share=0.3),
    Kind("packed n-grams", (seeds.packed,), _lm),
    Kind("Sphinx trie", _seed(seeds.sphinx_trie, (1,), (2,), (3,)), _lm),
    Kind("n-grams of the cache", (seeds.columns,),
         lambda folder: _language(read_columns(folder / "lm"))),
    Kind("text", (seeds.text,), _sentences, share=0.5),
    Kind("prose", (seeds.prose,), _prose, share=2),
    *(Kind(f"scored {name}", _seed(seeds.scored, (name,)), partial(_scored, name=name), share=0.3)
      for name in ("a.trn", "a.stm", "a.ctm", "a.kaldi", "a.json")),
    Kind("scored table", _seed(seeds.spreadsheet, (",", "utf-8"), ("\t", "utf-16")),
         partial(_scored, name="u.csv"), share=0.5),
    Kind("Home Assistant's YAML", _seed(seeds.grammar, (seeds.HOME,)), _grammar,
         spoil=one_of(seeds.BOMBS, spoil), share=2),
    Kind("JSGF", _seed(seeds.grammar, (seeds.JSGF, "g.jsgf")), _grammar,
         spoil=one_of(seeds.JSGF_BOMBS, spoil), share=2),
    Kind("compiled grammar", (seeds.compiled,), _compiled),
    Kind("world", _seed(seeds.grammar, (seeds.WORLD,)), _world, spoil=one_of(seeds.BOMBS, spoil)),
    Kind("OpenFst", _seed(seeds.openfst, ("const",), ("vector",)), _graph, share=2),
    Kind("graph folder", (seeds.graph_folder,), partial(_graph, name="graph")),
    Kind("Sphinx model", (seeds.sphinx, partial(seeds.sphinx, n_books=3, sizes=(6, 7)),
                          partial(seeds.sphinx, n_books=8), seeds.sphinx_checked,
                          seeds.sphinx_dump, seeds.sphinx_binary), _sphinx, share=3),
    Kind("Kaldi model", _seed(seeds.kaldi, ("text",), ("binary",)), _kaldi, share=2),
    Kind("Vosk model", (seeds.vosk,), _vosk, share=3),
    Kind("Vosk model with a static graph",
         _seed(seeds.static, ("const", "int"), ("vector", "txt")), _vosk, share=2),
    Kind("chain model folder", (seeds.chain,), _chain, rehashed),
    Kind("hybrid model folder", (seeds.hybrid,), _chain, rehashed, share=0.5),
    Kind("head of a network", (seeds.head,), _head, share=0.5),
    Kind("model folder", _seed(seeds.model, ("diagonal",), ("tied",)), _model, rehashed, share=2),
    Kind("zipped model", _seed(seeds.zipped, ("",), ("my/",)), _zipped, share=0.5),
    Kind("G2P model", (seeds.g2p,), _g2p),
    Kind("checkpoint", (seeds.checkpoint,), _checkpoint),
    Kind("Kaldi lattice", (seeds.lattice,), _lattice),
    Kind("HTK lattice", (seeds.slf,), _slf),
    Kind("transcript", (seeds.transcript,), _transcript, share=0.5),
    Kind("calibration", (seeds.calibration,), _calibration, share=0.3),
    Kind("settings", (seeds.settings,), _settings, share=0.5),
    Kind("corpus .tsv", (seeds.manifest,), partial(_corpus, name="u.tsv")),
    Kind("corpus .csv", _seed(seeds.spreadsheet, (",", "utf-8"), (";", "utf-8-sig"),
                              ("\t", "utf-16")), partial(_corpus, name="u.csv")),
    Kind("corpus .jsonl", (seeds.records,), partial(_corpus, name="m.jsonl"), share=0.5),
    Kind("corpus of MFA", (seeds.mfa_data,), _corpus),
    Kind("corpus of LJSpeech", (seeds.ljspeech,), _corpus, share=0.5),
    Kind("corpus of Common Voice", (seeds.common_voice,), _corpus, share=0.5),
    Kind("TextGrid", (seeds.textgrid, partial(seeds.textgrid, long=False)),
         lambda folder: read_textgrid(folder / "a.TextGrid")),
    Kind("corpus of Kaldi", (seeds.kaldi_data,), _corpus, share=0.5),
    Kind("corpus of Sphinx", (seeds.sphinx_data,), _corpus, share=0.5),
    Kind("corpus of LibriSpeech", (seeds.librispeech,), _corpus, share=0.5),
)


def quietly(kind: Kind, folder: Path) -> object:
    """Read, without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            return kind.read(folder)

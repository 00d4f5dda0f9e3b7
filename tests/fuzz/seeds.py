"""Small good files of every kind, made by the library itself where it writes that kind.

Each function writes into an empty folder.
"""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path

import naive_language as naive
import numpy as np
import soundfile
from support import odd_sounds
from support.files import ARPA, KALDI_LATTICE, KALDI_MODEL, SLF_LATTICE
from support.graphs import random_graph, word_graph
from support.hybrid import random_hybrid
from support.models import LEXICON, small_model, unigrams
from support.spelling import LEXICON as SPELLED
from support.sphinx import TINY_MDEF, tiny_model
from support.synthetic import lexicon, speak
from support.vosk_files import write_vosk
from support.vosk_static import write_static

from factored_asr.acoustic.network.head import BLANK, Head, Layer, write_head
from factored_asr.language import read_arpa, write_arpa, write_columns, write_packed
from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.compiled import write_compiled
from factored_asr.lexicon.g2p_training import G2POptions, train_g2p
from factored_asr.models.folder import About, write_model
from factored_asr.models.importers.vosk import VoskFiles, read_vosk_model
from factored_asr.models.settings import COMMANDS, DICTATION
from factored_asr.results.transcript import Transcript, Word
from factored_asr.training.em import Schedule
from factored_asr.training.monophone import MonoOptions
from factored_asr.training.run import train

TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(1600) / 16000)
SOUNDS = (
    ("wav", "PCM_16", 1), ("wav", "PCM_24", 2), ("wav", "FLOAT", 1), ("wav", "ULAW", 1),
    ("wav", "PCM_U8", 1), ("wav", "IMA_ADPCM", 1), ("flac", "PCM_16", 1), ("flac", "PCM_24", 2),
    ("ogg", "VORBIS", 1), ("ogg", "OPUS", 1), ("mp3", "MPEG_LAYER_III", 1), ("aiff", "PCM_16", 1),
    ("au", "PCM_16", 1), ("w64", "PCM_16", 1), ("rf64", "PCM_16", 1), ("caf", "PCM_16", 1),
    ("nist", "PCM_16", 1), ("voc", "PCM_16", 1),
)  # fmt: skip
"""libsndfile's formats by their name, coding and channels."""

ODD = {
    name: made for name, made in odd_sounds.wavs(TONE.astype(np.float32), 16000).items()
    if made[1].text is not None and "plus" not in name  # too much lacks of so short a sound
}
"""WAV files with odd headers."""
FOREIGN = ("a.m4a", "fast.m4a", "a.aac", "a.webm", "a.wma", "a.ac3", "a.avi", "a.flv", "a.wv")
"""Files of `by_ffmpeg`."""

DICT = ";;; what there is\nhello HH AH L OW\nhello(2) HH EH L OW\nworld W ER L D  # all\nß SS\n"
LEXICONP = "hello 0.75 HH AH L OW\nhello 0.25 HH EH L OW\nworld 1 W ER L D\n"

HOME = """\
language: en
intents:
  Light:
    data:
      - sentences:
          - "turn <state> [the] {room} light[s]"
          - {sentence: "(lights|lamps) {state:what} in ({room};please)", count: 3}
        slots: {domain: light}
        requires_context: {area: {value: [kitchen, hall], slot: true}}
        excludes_context: {mode: away}
        required_keywords: [light, lamps]
      - sentences: ["set brightness to {0..100:level} percent"]
        expansion_rules: {own: "go [on]"}
        lists: {mine: {values: [a, b]}}
  Note:
    data: [{sentences: ["note {text}"]}]
lists:
  room: {values: [kitchen, {in: "living [room]", out: lounge, context: {area: hall}, count: 2}]}
  state: {values: [{in: "on", out: "on"}, {in: "off", out: "off"}]}
  text: {wildcard: true}
  warmth: {range: {from: 5, to: 30, step: 5, fractions: halves, multiplier: 2}}
expansion_rules:
  state: "(on|off|<other>)"
  other: "up [a bit]"
skip_words: [please, "would you"]
"""
BOMBS = (
    "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{n}: &{n} [{','.join([f'*{m}'] * 9)}]\n"
        for m, n in zip("abcdefghi", "bcdefghij", strict=True)
    ) + "intents: {I: {data: [{sentences: *j}]}}\n",
    "a: &a {k: *a}\n",
    "x: &x {sentences: [hi], slots: {s: *x}}\nintents: {I: {data: [*x]}}\n",
    "intents: {I: {data: [{sentences: ['" + " ".join(["(a|b)"] * 40) + "']}]}}\n",
    "intents: {I: {data: [{sentences: ['" + "".join(["[a|b|c]"] * 30) + "']}]}}\n",
    "intents: {I: {data: [{sentences: ['<a> <b>']}]}}\nexpansion_rules: {a: <b>, b: <a>}\n",
    "intents: {I: {data: [{sentences: ['<r40>']}]}}\nexpansion_rules:\n  r0: a\n" + "".join(
        f"  r{n}: '<r{n - 1}> <r{n - 1}>'\n" for n in range(1, 41)
    ),
    "intents: {I: {data: [{sentences: ['{l}']}]}}\nlists: {l: {values: ['<r40>']}}\n"
    "expansion_rules:\n  r0: (a|b)\n"
    + "".join(f"  r{n}: '<r{n - 1}><r{n - 1}>'\n" for n in range(1, 41)),
    "intents: {I: {data: [{sentences: ['{-9999999999..9999999999:n}']}]}}\n",
    "intents: {I: {data: [{sentences: ['{l}']}]}}\nlists: {l: {range: {from: 0, to: 1" + "0" * 400
    + "}}}\n",
    "intents: {I: {data: [{sentences: ['" + ";".join("abcdefgh") + "']}]}}\n",
    "intents: {I: {data: [{sentences: ['" + "(" * 3000 + "a" + ")" * 3000 + "']}]}}\n",
    "intents: {I: {data: [{sentences: [a], slots: {x: !!python/object/apply:os.system [ls]}}]}}\n",
    "intents: {I: {data: [{sentences: [a], slots: {x: 2001-01-01, y: !!binary aG=, ? [1]: 2}}]}}\n",
    "? [a]\n: b\n", "- [" * 2000, "{" * 20000, "a: !!int 0x", "--- a\n--- b\n", "%YAML 9\n--- a\n",
)  # fmt: skip
JSGF = """\
#JSGF V1.0 UTF-8 en;
grammar home;
// what may be said
public <order> = /3/ turn <state> [the] (kitchen | hall) {room} | /1/ stop {intent=Stop};
<state> = (on | off) {state} | "up now" {state=up};
public <count> = (one | two)+ please* [<NULL>];
"""
JSGF_BOMBS = (
    "#JSGF V1.0;\ngrammar a;\nimport <a.*>;\npublic <x> = hi;\n",
    "#JSGF V1.0;\ngrammar a;\npublic <x> = <y>;\n<y> = <x>;\n",
    "#JSGF V1.0;\ngrammar a;\npublic <r40> = <r39> <r39>;\n<r0> = a;\n"
    + "".join(f"<r{n}> = <r{n - 1}> <r{n - 1}>;\n" for n in range(1, 40)),
    "#JSGF V1.0;\ngrammar a;\npublic <x> = " + "(" * 5000 + "a" + ")" * 5000 + ";\n",
    "#JSGF V1.0;\ngrammar a;\npublic <x> = " + "[a] " * 300 + ";\n",
    "#JSGF V1.0;\ngrammar a;\npublic <x> = a" + "+" * 3000 + ";\n",
    "#JSGF V1.0;\ngrammar a;\npublic <x> = a" + "{t}" * 3000 + ";\n",
    "#JSGF V1.0;\ngrammar a;\npublic <x> = ((a*)*)*;\n",
    "#JSGF V1.0;\ngrammar a;\npublic <x> = /1e999/ a | /0/ b;\n",
    "#JSGF V1.0;\ngrammar a;\npublic <x> = /1.2.3/ a | /./ b;\n",
    "#JSGF V1.0;\n" + "/* " * 20000, "#JSGF V1.0;\n" + '"' * 20001, "#JSGF V1.0;\n{" + "\\" * 9999,
)
WORLD = HOME + """\
world:
  light: {places: [kitchen, hall], acts: {Light: "on", Off: "off"}, start: "off"}
  heating: {acts: {SetHeating: set}, value: degrees, start: 18}
  door: {places: [front], acts: {Lock: lock, Unlock: unlock}, careful: [unlock]}
"""
def sound(folder: Path, form: str, coding: str, channels: int) -> None:
    samples = np.repeat(TONE[:, None], channels, axis=1)
    rate = 48000 if coding == "OPUS" else 16000
    soundfile.write(folder / "a.sound", samples, rate, subtype=coding, format=form.upper())


def odd_sound(folder: Path, name: str) -> None:
    """A WAV file with an odd header that is read."""
    (folder / "a.sound").write_bytes(ODD[name][0])


def foreign_sound(folder: Path, name: str) -> None:
    """A file that ffmpeg reads."""
    (folder / "a.sound").write_bytes(_foreign()[name][0])


@lru_cache
def _foreign() -> dict[str, tuple[bytes, odd_sounds.Odd]]:
    with tempfile.TemporaryDirectory() as folder:
        return odd_sounds.by_ffmpeg(TONE.repeat(4), 16000, Path(folder))


def bare_sound(folder: Path) -> None:
    (folder / "a.raw").write_bytes((TONE * 9000).astype("<i2").tobytes())


def mfc(folder: Path) -> None:
    values = np.linspace(-9, 9, 13 * 12).astype(">f4")
    (folder / "a.mfc").write_bytes(struct.pack(">i", values.size) + values.tobytes())


def npy(folder: Path) -> None:
    np.save(folder / "a.npy", np.linspace(-9, 9, 13 * 12, dtype=np.float32).reshape(12, 13))


def archive(folder: Path) -> None:
    values = np.linspace(-9, 9, 13 * 12).astype("<f4")
    head = b"utt \0BFM \4" + struct.pack("<i", 12) + b"\4" + struct.pack("<i", 13)
    (folder / "a.ark").write_bytes(head + values.tobytes())


def cmudict(folder: Path) -> None:
    (folder / "a.dict").write_text(DICT)


def lexiconp(folder: Path) -> None:
    (folder / "a.dict").write_text(LEXICONP)


def mfa_dictionary(folder: Path) -> None:
    rows = "the\t0.99\t0.14\t1.2\t0.93\tDH AH0\nthe\t0.5\t0.1\t2\t0.8\tDH IY\ndon’t\t1\tD OW N T\n"
    (folder / "a.dict").write_text(rows, encoding="utf-8")


def arpa(folder: Path) -> None:
    (folder / "a.arpa").write_text(ARPA)


def arpa_strict(folder: Path) -> None:
    """As KenLM wants it: tabs, nothing before the counts."""
    arpa(folder)
    write_arpa(read_arpa(folder / "a.arpa"), folder / "a.arpa")


def arpa_gz(folder: Path) -> None:
    (folder / "a.arpa").write_bytes(gzip.compress(ARPA.encode()))


def packed(folder: Path) -> None:
    """Under the name of the reader that knows a format by its first bytes."""
    arpa(folder)
    write_packed(read_arpa(folder / "a.arpa"), folder / "a.arpa")


def sphinx_trie(folder: Path, order: int = 3) -> None:
    ngrams = naive.closed_under_suffixes(naive.random_ngrams(order, 5, order, share=0.5))
    naive.write_sphinx_trie(ngrams, folder / "a.arpa")


def text(folder: Path) -> None:
    (folder / "a.txt").write_text("<s> turn on the light </s>\n\nwhat's new\nß é\n")


PROSE = """SPEAKER 1: “Don’t” pay £5.50 at 10:30 (laughs) — it’s 21.5°C, Mr. Bell!
[noise] The 2nd of 1,000 mp3s cost $3 million in 1999… bob@example.com, R&B; 50% of 2½ km.
>> Wi‑Fi, rock'n'roll & co. 10-20 <unk> 555-1234 (built in 1905) *sighs* the 80s, U.S. 2024-03-01
"""


def prose(folder: Path) -> None:
    (folder / "a.txt").write_text(PROSE, encoding="utf-8")


def columns(folder: Path) -> None:
    (folder / "tiny").write_text(ARPA)
    write_columns(read_arpa(folder / "tiny"), folder / "lm")
    (folder / "tiny").unlink()


def grammar(folder: Path, content: str = HOME, name: str = "g.yaml") -> None:
    (folder / name).write_text(content)


def compiled(folder: Path) -> None:
    write_compiled(Grammar.from_text(HOME), folder / "g.json")


def openfst(folder: Path, kind: str = "const") -> None:
    graph = random_graph(6, 14, 3, 1)
    if kind == "const":
        graph.write_openfst(folder / "g.fst")
        return
    head = struct.pack("<i", 2125659606) + b"\6\0\0\0vector\10\0\0\0standard"
    head += struct.pack("<iiQqqq", 2, 0, 3, graph.start, graph.n_states, graph.n_arcs)
    body = b"".join(
        struct.pack("<fq", graph.final[s], b - a) + graph.arcs[a:b].tobytes()
        for s, (a, b) in enumerate(zip(graph.first_arc, graph.first_arc[1:], strict=False))
    )
    (folder / "g.fst").write_bytes(head + body)


def graph_folder(folder: Path) -> None:
    word_graph().write(folder / "graph")


def sphinx(folder: Path, n_books: int = 1, sizes: tuple[int, ...] = (13,)) -> None:
    """Without checksums, so that changes reach what lies behind them."""
    model = tiny_model(folder / "model", n_books, sizes)
    for file in model.iterdir():
        file.write_bytes(file.read_bytes().replace(b"chksum0 yes", b"chksum0 no"))
    for name in ("means", "variances", "mixture_weights", "transition_matrices"):
        file = model / name
        file.write_bytes(file.read_bytes()[:-4])
    (model / "noisedict").write_text("<s> SIL\n</s> SIL\n<sil> SIL\n")


def sphinx_checked(folder: Path) -> None:
    tiny_model(folder / "model", 1)


def sphinx_dump(folder: Path) -> None:
    sphinx(folder)
    (folder / "model" / "mixture_weights").unlink()
    rows = np.arange(4 * 8, dtype=np.uint8)
    head = b"".join(struct.pack("<i", len(s)) + s for s in (b"a title\0", b"feature_count 1\0"))
    (folder / "model" / "sendump").write_bytes(
        head + struct.pack("<3i", 0, 4, 8) + rows.tobytes()
    )


def sphinx_binary(folder: Path) -> None:
    """The definition in its binary form."""
    sphinx(folder)
    names = b"AH\0SIL\0T\0"
    names += bytes(-len(names) % 4)
    entries = [(0, 0, (0, 0, 0, 0)), (1, 1, (1, 0, 0, 0)), (2, 0, (0, 0, 0, 0)),
               (3, 0, (1, 0, 1, 2))]
    (folder / "model" / "mdef").write_bytes(
        b"BMDF" + struct.pack("<3i", 1, 8, 0)[:8] + b"abcdefgh"
        + struct.pack("<10i", 3, 4, 2, 6, 8, 2, 4, 3, 0, 1) + names
        + b"".join(struct.pack("<2i4B", s, m, *c) for s, m, c in entries)
        + struct.pack("<i8H", 8, *range(8))
    )
    assert TINY_MDEF


def kaldi(folder: Path, form: str = "text") -> None:
    (folder / "model").mkdir()
    for file in (KALDI_MODEL / form).iterdir():
        (folder / "model" / file.name).write_bytes(file.read_bytes())


def vosk(folder: Path) -> None:
    write_vosk(folder / "model")


def static(folder: Path, kind: str, lexicon: str) -> None:
    write_static(folder / "model", kind, lexicon)


def chain(folder: Path) -> None:
    files = VoskFiles.find(write_vosk(folder / "vosk"))
    assert files is not None
    write_model(folder / "model", read_vosk_model(files).acoustic)
    shutil.rmtree(folder / "vosk")


def records(folder: Path) -> None:
    """A manifest as of NeMo, with a stretch of a sound."""
    soundfile.write(folder / "a.wav", TONE, 16000)
    first = {"audio_filepath": "a.wav", "duration": 0.1, "text": "one tea", "lang": None}
    second = {"audio_filepath": "a.wav", "offset": 0.02, "duration": 0.05, "text": "two"}
    (folder / "m.jsonl").write_text(f"{json.dumps(first)}\n\n{json.dumps(second)}\n")


def hybrid(folder: Path) -> None:
    write_model(folder / "model", random_hybrid())


def head(folder: Path) -> None:
    """A small head of a network, of two layers."""
    rng = np.random.default_rng(0)
    layers = (Layer((-1, 0), rng.normal(0, 0.1, (576, 8)).astype("f4"), np.zeros(8, "f4")),
              Layer((0,), rng.normal(0, 1, (8, 3)).astype("f4"), np.zeros(3, "f4")))
    write_head(folder / "head.npz", Head((BLANK, "AA", "T"), np.zeros(3, "f4"), (7,), layers))


def model(folder: Path, kind: str = "diagonal") -> None:
    settings = {"dictation": DICTATION.to_dict(), "commands": COMMANDS.to_dict()}
    write_model(
        folder / "model", small_model(kind), lexicon=LEXICON, lm=unigrams(),
        calibration={"offset": 0.1, "slope": 1.0, "weights": [1.0, 2.0]},
        about=About("a test", {"all": "CC0"}, {"stages": 3}, settings, ({"stage": "mono"},)),
    )


def zipped(folder: Path, inner: str = "") -> None:
    """A model folder as a zip, its files at the top or in one folder."""
    model(folder)
    with zipfile.ZipFile(folder / "model.zip", "w") as packed:
        for file in sorted((folder / "model").iterdir()):
            packed.write(file, inner + file.name)
    shutil.rmtree(folder / "model")


def g2p(folder: Path) -> None:
    train_g2p(SPELLED, G2POptions(order=3)).write(folder / "a.g2p")


def checkpoint(folder: Path) -> None:
    corpus = speak(4)
    schedule = Schedule(passes=2, realign=(2,), n_gaussians=6, grow_until=2)
    options = MonoOptions(schedule, states=2, silence_states=2)
    train(corpus.data, lexicon(), ["mono"], {"mono": options}, checkpoints=folder / "all")
    (last,) = (folder / "all").iterdir()
    last.rename(folder / "state.npz")
    (folder / "all").rmdir()


def lattice(folder: Path) -> None:
    (folder / "a.lat").write_text(KALDI_LATTICE)


def slf(folder: Path) -> None:
    (folder / "a.slf").write_text(SLF_LATTICE)


def transcript(folder: Path) -> None:
    said = Transcript((Word("no", 0.5, 0.75, 0.9, ("N", "OW"), (0.6, 0.75)),), 1.0)
    (folder / "a.json").write_text(said.to_json())


def calibration(folder: Path) -> None:
    content = {"offset": 0.1, "slope": 1.0, "weights": [1.0, 2.0]}
    (folder / "a.json").write_text(json.dumps(content))


def settings(folder: Path) -> None:
    (folder / "a.json").write_text(json.dumps(DICTATION.to_dict()))


def manifest(folder: Path) -> None:
    sound(folder, "wav", "PCM_16", 1)
    (folder / "a.sound").rename(folder / "a.wav")
    rows = "id\tpath\tspeaker\tstart\tend\ttext\n1\ta.wav\tann\t0.01\t0.08\tturn on\n"
    (folder / "u.tsv").write_text(rows + "2\ta.wav\tbob\t0\t\tstop now\n")


def spreadsheet(folder: Path, separator: str, encoding: str) -> None:
    manifest(folder)
    (folder / "u.tsv").unlink()
    rows = ("id", "path", "text"), ("1", "a.wav", '"Turn ""it"" on, please"'), (
        "2", '"a.wav"', '"two\nlines; or, one\t."'), ("3", "a.wav", '"open, it')  # fmt: skip
    text = "".join(separator.join(row) + "\r\n" for row in rows[: 3 if separator == "," else 4])
    (folder / "u.csv").write_bytes(text.encode(encoding))


def mfa_data(folder: Path) -> None:
    manifest(folder)
    (folder / "u.tsv").unlink()
    for name in ("ann/1.wav", "ann/2.WAV", "ben/3.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((folder / "a.wav").read_bytes())
    (folder / "a.wav").unlink()
    (folder / "ann" / "1.lab").write_text("TURN ON\n")
    (folder / "ann" / "2.txt").write_text(PROSE, encoding="utf-8")
    textgrid(folder / "ben", "3.TextGrid")


def textgrid(folder: Path, name: str = "a.TextGrid", long: bool = True) -> None:
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    tiers = [("IntervalTier", "Ann", [(0, 0.05, 'say ""yes""'), (0.05, 0.1, "")]),
             ("TextTier", "bell", [(0.05, "ding")])]
    rows = [f"{'xmin = ' * long}0", f"{'xmax = ' * long}0.1", f"{'tiers? ' * long}<exists>",
            f"{'size = ' * long}2"]  # fmt: skip
    for number, (kind, tier, marks) in enumerate(tiers, start=1):
        rows += [f"item [{number}]:"] * long + [f'{"class = " * long}"{kind}"', f'"{tier}"', "0",
                                               "0.1", str(len(marks))]
        for mark in marks:
            rows += [*(str(x) for x in mark[:-1]), f'"{mark[-1]}"']
    (folder / name).write_text(head + "\n".join(rows) + "\n")


def ljspeech(folder: Path) -> None:
    manifest(folder)
    (folder / "u.tsv").unlink()
    (folder / "wavs").mkdir()
    (folder / "a.wav").rename(folder / "wavs" / "LJ1-1.wav")
    (folder / "metadata.csv").write_text('LJ1-1|It cost "£5"|It cost "five pounds"\nLJ1-2|1999|\n')


def common_voice(folder: Path) -> None:
    manifest(folder)
    (folder / "u.tsv").unlink()
    (folder / "clips").mkdir()
    (folder / "a.wav").rename(folder / "clips" / "a.wav")
    rows = "client_id\tpath\tsentence\tage\nc1\ta.wav\t\"Stop!\" he said.\t\nc2\tb\tIt’s 5.\tx\n"
    (folder / "test.tsv").write_text(rows, encoding="utf-8")


def scored(folder: Path, name: str) -> None:
    (folder / name).write_text({
        "a.trn": "so { far / } (uh) (a-1)\nthis year (b-1)\n",
        "a.stm": ";; x\na 1 ann 0 2 <o> so far\na 1 ann 2 3 IGNORE_TIME_SEGMENT_IN_SCORING\n",
        "a.ctm": "a 1 0 1 so 0.5\na 1 1 1 far\n", "a.kaldi": "a-1\tso far\nb-1 this\n",
        "a.json": '{"file": "a.wav", "text": "so", '
                  '"words": [{"word": "so", "start": 0, "end": 1}]}\n',
    }[name])


def kaldi_data(folder: Path) -> None:
    manifest(folder)
    (folder / "u.tsv").unlink()
    (folder / "text").write_text("ann-1 turn on\nbob-1 stop now\n")
    (folder / "utt2spk").write_text("ann-1 ann\nbob-1 bob\n")
    (folder / "wav.scp").write_text("rec a.wav\n")
    (folder / "segments").write_text("ann-1 rec 0.01 0.08\nbob-1 rec 0.02 -1\n")


def sphinx_data(folder: Path) -> None:
    manifest(folder)
    (folder / "u.tsv").unlink()
    for name in ("etc", "wav"):
        (folder / name).mkdir()
    (folder / "a.wav").rename(folder / "wav" / "a.wav")
    (folder / "etc" / "all.fileids").write_text("a\n")
    (folder / "etc" / "all.transcription").write_text("<s> turn on </s> (a)\n")


def librispeech(folder: Path) -> None:
    sound(folder, "flac", "PCM_16", 1)
    place = folder / "1" / "2"
    place.mkdir(parents=True)
    (folder / "a.sound").rename(place / "1-2-0000.flac")
    (place / "1-2.trans.txt").write_text("1-2-0000 TURN ON\n")

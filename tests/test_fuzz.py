"""Bad input: every reader ends in an error of our own or in a right result, and soon."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import seeds
from fuzz.mutate import _npy, bomb
from fuzz.readers import KINDS, lay, quietly
from hypothesis import given, settings
from hypothesis import strategies as st
from support.files import ARPA
from support.models import small_model

from factored_asr.cli import main
from factored_asr.corpus.layouts import read_layout
from factored_asr.dialogue import World
from factored_asr.errors import FactoredASRError, FormatError, MissingError, OptionError
from factored_asr.graph import Graph
from factored_asr.graph.graph import STATE
from factored_asr.language import read_arpa, read_columns, read_sentences
from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.compiled import CompiledGrammar
from factored_asr.lattice import Calibration
from factored_asr.lattice.files import read_slf_text
from factored_asr.lexicon import Lexicon
from factored_asr.lexicon.g2p import G2P
from factored_asr.models.bundle import Bundle
from factored_asr.models.folder import write_model
from factored_asr.results.transcript import Transcript
from factored_asr.storage.reading import (
    gunzipped,
    parse_json,
    read_array,
    read_arrays,
    read_bytes,
    read_text,
)

ROOT = Path(__file__).parent.parent
FEW = settings(max_examples=60, deadline=2000)


def ours_or_right(read: Callable[[], object]) -> None:
    """Whatever else is raised is the test's failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read()
        except FactoredASRError as error:
            assert str(error)


# --- many cases -------------------------------------------------------------


def test_hundreds_of_spoilt_files_are_read_or_refused() -> None:
    """A small part of ``tests/fuzz/run.py --cases 100000``, in processes of 2 GB."""
    command = [sys.executable, str(ROOT / "tests" / "fuzz" / "run.py"), "--cases", "400"]
    done = subprocess.run([*command, "--seed", "42"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all" in done.stdout


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_seed_is_good(kind: Any, tmp_path: Path) -> None:
    """Else nothing behind a reader's first check would ever be reached."""
    for files in kind.good():
        lay(files, tmp_path / "case")
        quietly(kind, tmp_path / "case")


@FEW
@given(st.text("ab ()[]{}<>|;:,.0129\\'\"-%°é\n", max_size=40))
def test_templates_of_any_characters(template: str) -> None:
    grammar = {"intents": {"I": {"data": [{"sentences": [template]}]}},
               "lists": {"a": {"values": [template or "a", "b"]}},
               "expansion_rules": {"b": "a [b]", "a": template}}
    ours_or_right(lambda: Grammar.from_text(json.dumps(grammar)))


@FEW
@given(st.lists(st.sampled_from([
    "public ", "<a>", "<b>", "<NULL>", "<VOID>", " = ", ";", "|", "(", ")", "[", "]", "*", "+",
    "/2/", "/0/", "/1e999/", "{t}", "{t=v}", "{intent=I}", " one ", " two", '"x y"', "//", "/*",
    "*/", "import <x.y>;", "\\", "\n",
]), max_size=25))  # fmt: skip
def test_jsgf_of_any_tokens(tokens: list[str]) -> None:
    ours_or_right(lambda: Grammar.from_text("#JSGF V1.0;\npublic <a> = " + "".join(tokens)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@FEW
@given(st.fixed_dictionaries({}, optional={
    "schema": st.just(1) | JSON, "duration": JSON, "confidence": JSON, "reason": JSON,
    "interpretation": st.none() | JSON,
    "words": JSON | st.lists(st.fixed_dictionaries({
        "word": JSON, "start": JSON, "end": JSON, "confidence": JSON, "phones": JSON})),
}))  # fmt: skip
def test_transcripts_of_any_json(content: dict[str, Any]) -> None:
    ours_or_right(lambda: Transcript.from_json(json.dumps(content)).to_json())


@FEW
@given(st.lists(st.tuples(
    st.sampled_from(["I", "J", "N", "L", "start", "end", "base", "acscale", "x"]),
    st.integers(-1, 4) | st.sampled_from(["", "nan", "1e999", "9" * 5000, "a=b"]),
    st.sampled_from(["", " t=0.1", " t=9e99", " S=0 E=1", " S=1 E=0 W=a a=-1", " W=!NULL", " S=0"]),
), max_size=12))  # fmt: skip
def test_lattices_of_any_fields(rows: list[tuple[str, object, str]]) -> None:
    text = "".join(f"{key}={value}{rest}\n" for key, value, rest in rows)
    ours_or_right(lambda: read_slf_text(text))


@FEW
@given(st.binary(max_size=80), st.sampled_from([b"vector", b"const"]),
       st.lists(st.sampled_from([0, 1, 2, -1, 1 << 31, 1 << 40, -(1 << 62)]), min_size=3,
                max_size=3))  # fmt: skip
def test_graphs_of_any_header(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, kind: bytes, numbers: list[int]
) -> None:
    path = tmp_path_factory.mktemp("fst") / "g.fst"
    head = struct.pack("<ii", 2125659606, len(kind)) + kind + struct.pack("<i", 8) + b"standard"
    path.write_bytes(head + struct.pack("<iiQqqq", 2, 0, 3, *numbers) + body)
    ours_or_right(lambda: Graph.read(path))


# --- files as such ----------------------------------------------------------


@pytest.mark.parametrize("read", [read_bytes, read_text, read_array, read_arrays])
def test_what_is_no_file_is_told(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(MissingError, match="none: there is no such file"):
        read(tmp_path / "none")
    with pytest.raises(FormatError, match="cannot be read: Is a directory"):
        read(tmp_path)
    with pytest.raises((FormatError, MissingError)):
        read(tmp_path / ("x" * 300))


def test_text_that_is_not_utf8_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\ntwo \xff\n")
    with pytest.raises(FormatError, match="a:2: not UTF-8: byte 0xff"):
        read_text(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "law"),
    [("[" * 100_000, "brackets nest too deep"), ("1" * 5000, "no JSON: Exceeds the limit"),
     ('{"a": 1,\n]', "my.json:2: no JSON")],
)
def test_json_that_is_none(text: str, law: str) -> None:
    with pytest.raises(FormatError, match=law):
        parse_json(text, "my.json")


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"shape": (1 << 40,)}, r"needs 4398046511104 bytes, 12 follow"),
        ({"shape": (-1,)}, "needs -4 bytes"),
        ({"descr": "|O"}, "an array of Python objects, which is never unpacked"),
        ({"descr": "<f3"}, "not an array of numbers"),
        ({"descr": "<c8", "shape": (1,)}, "an array of complex numbers"),
        ({"shape": (1,) * 70}, "not an array"),
        ({"shape": "no"}, "not an array of numbers"),
    ],
)
def test_an_array_is_as_large_as_its_file(
    tmp_path: Path, changes: dict[str, Any], law: str
) -> None:
    (tmp_path / "a.npy").write_bytes(_npy(np.zeros(3, np.float32), **changes))
    for mapped in (False, True):
        with pytest.raises(FormatError, match=law):
            read_array(tmp_path / "a.npy", mapped=mapped)


def test_what_is_packed_may_not_burst(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="bytes unpack to .* or more, may be at most 100 times"):
        gunzipped(bomb(0), "lm.gz")
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1 << 27, np.uint8))
    with pytest.raises(FormatError, match="unpack to 1342178.. or more"):
        read_arrays(tmp_path / "a.npz")


# --- each reader's laws -----------------------------------------------------


def refused(text: str, law: str) -> None:
    with pytest.raises((FormatError, OptionError), match=law):
        grammar = Grammar.from_text(text)
        grammar.acceptor({word: n for n, word in enumerate(sorted(grammar.words), 1)})


@pytest.mark.parametrize(
    ("rule", "law"),
    [
        ("a" + "+" * 100, "more than 60 tags and repeats on one phrase"),
        ("/1.2.3/ a | /1/ b", "unexpected '/'"),
        ("/1e999/ a | /1/ b", "all alternatives have a finite weight"),
        ("[a] " * 200, "more than 150 optional parts in a row"),
        ("a " * 600, "a sentence may have 500 words, got 600"),
        ("(a | b)* a" + " (a | b)" * 22, "repeats of the grammar need more than"),
    ],
)
def test_jsgf_that_explodes(rule: str, law: str) -> None:
    refused(f"#JSGF V1.0;\npublic <x> = {rule};", law)


def test_a_weight_that_is_nothing_against_another_is_never_taken() -> None:
    grammar = Grammar.from_text("#JSGF V1.0;\npublic <x> = /1e300/ a | /1e-300/ b;")
    assert grammar.words == {"a"}


def test_optional_parts_through_many_rules_are_measured_once() -> None:
    rules = "".join(f"<r{n}> = <r{n - 1}> <r{n - 1}>;\n" for n in range(1, 41))
    text = f"#JSGF V1.0;\n<r0> = [a];\n{rules}public <x> = (b <r40>)+;"
    refused(text, "may need .* arcs")


@pytest.mark.parametrize(
    ("yaml", "law"),
    [
        ("['" + "[a|b|c]" * 30 + "']", "text is joined in more than 10000 ways"),
        ("['{9..1:n}']", "a range needs from <= to"),
        ("['{0..99999999999999999999:n}']", "numbers of a range may go up to"),
        ("[{sentence: a, count: 1" + "0" * 400 + "}]", "a 'count' is a number above 0"),
        ("[" * 2000, "brackets nest deeper than 1000"),
    ],
)
def test_templates_that_explode(yaml: str, law: str) -> None:
    refused(f"intents: {{I: {{data: [{{sentences: {yaml}}}]}}}}", law)


def test_a_value_that_doubles_through_rules_stops_soon() -> None:
    rules = "\n".join(f"  r{n}: '<r{n - 1}><r{n - 1}>'" for n in range(1, 41))
    refused(
        "intents: {I: {data: [{sentences: ['{l}']}]}}\nlists: {l: {values: ['<r40>']}}\n"
        f"expansion_rules:\n  r0: a\n{rules}", "a list value is longer than 10000 characters",
    )  # fmt: skip


def test_values_that_yaml_itself_cannot_make() -> None:
    data = "intents: {I: {data: [{sentences: [a], slots: {x: 2001-99-01}}]}}"
    refused(data, "no plain value: month must be in 1..12")


def test_worlds_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_bytes(b"world: \xff")
    for read in (World.read, Grammar.read):
        with pytest.raises(FormatError, match="w.yaml:1: not UTF-8"):
            read(tmp_path / "w.yaml")


def test_places_of_a_world_are_a_list() -> None:
    with pytest.raises(FormatError, match="'places' and 'careful' of light must be lists"):
        World.from_data({"light": {"acts": {"On": "on"}, "places": 3}})


@pytest.mark.parametrize(
    ("key", "value"),
    [("arcs", [[[0, 99, 0.0]]]), ("finals", [[0, 5]]), ("finals", [["a", 0]]),
     ("skip_words", [[]]), ("blocks", [["I", None, {}, {}, []]] * 3), ("arcs", 1),
     ("lists", [["a", [[["b"], "b", {}, {}, 10**400]], None, False, False]]),
     ("lists", [["a", [[["b"], "b", {}, {}, -0.5]], None, False, False]])],
)
def test_a_compiled_grammar_that_leads_nowhere(tmp_path: Path, key: str, value: object) -> None:
    seeds.compiled(tmp_path)
    file = tmp_path / "g.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    with pytest.raises(FormatError, match="not a compiled grammar"):
        CompiledGrammar.read(file)


@pytest.mark.parametrize(
    ("field", "value"), [("target", 99), ("target", -1), ("label", 77), ("word", -3),
                         ("cost", np.nan), ("label", 0)]
)
def test_an_arc_of_a_damaged_graph_is_found(tmp_path: Path, field: str, value: float) -> None:
    seeds.graph_folder(tmp_path)
    arcs = np.load(tmp_path / "graph" / "arcs.npy")
    arcs[field][2] = value
    np.save(tmp_path / "graph" / "arcs.npy", arcs)
    with pytest.raises(FormatError, match="of state 1 is broken|of state 0 is broken"):
        Graph.read(tmp_path / "graph")


@pytest.mark.parametrize(
    ("name", "array", "law"),
    [
        ("label_phone", np.array([0, 1, 1, 2, 9], np.int32), "the phone of a label lies outside"),
        ("label_state", np.zeros(2, np.int32), "tables by label must have 5 entries"),
        ("label_pdf", np.array([-1, 0, -1, 2, 3], np.int32), "a label without a pdf"),
        ("states", np.zeros(3, STATE), "5 states needs 6 arc offsets, got 3"),
        ("states", np.zeros(6, STATE), "offsets must run from 0 to the number of arcs"),
        ("states", np.zeros(6, np.int64), "states are of int64, must be"),
    ],
)
def test_tables_of_a_damaged_graph(
    tmp_path: Path, name: str, array: np.ndarray, law: str
) -> None:
    seeds.graph_folder(tmp_path)
    np.save(tmp_path / "graph" / f"{name}.npy", array)
    with pytest.raises(FormatError, match=law):
        Graph.read(tmp_path / "graph")


@pytest.mark.parametrize(
    ("name", "value", "law"),
    [("2.word", 99, "lies outside the model"), ("2.parent", 3, "out of order, or come twice"),
     ("1.log_prob", np.nan, "not finite"), ("1.word", 1, "row i of the unigrams")],
)
def test_columns_of_a_damaged_cache(tmp_path: Path, name: str, value: float, law: str) -> None:
    seeds.columns(tmp_path)
    file = tmp_path / "lm" / f"{name}.npy"
    column = np.load(file)
    column[1] = value
    np.save(file, column)
    os.utime(file, (1, 1))  # later than a clock of coarse steps tells
    with pytest.raises(FormatError, match=law):
        read_columns(tmp_path / "lm")


def test_numbers_of_thousands_of_digits(tmp_path: Path) -> None:
    digits = "1" * 5000
    (tmp_path / "a.dict").write_text(f"a({digits}) AA\n")
    with pytest.raises(FormatError, match="a variant is written"):
        Lexicon.read(tmp_path / "a.dict")
    (tmp_path / "a.arpa").write_text(f"\\data\\\nngram 1={digits}\n\\1-grams:\n\\end\\\n")
    with pytest.raises(FormatError, match="must come here"):
        read_arpa(tmp_path / "a.arpa")
    assert len(Grammar.from_text(f"#JSGF V1.0;\npublic <x> = a {digits[:30]};").words) == 2


def test_log_probabilities_beyond_a_float(tmp_path: Path) -> None:
    (tmp_path / "a.arpa").write_text(ARPA.replace("-0.5229\tyes", "-1e300\tyes"))
    with pytest.raises(OptionError, match="a log probability of order 1 is not finite"):
        read_arpa(tmp_path / "a.arpa")


def test_binary_data_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one two\n\0\0\n")
    with pytest.raises(FormatError, match="a.txt:2: a zero byte: this is no text"):
        list(read_sentences(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    ("name", "array"),
    [("arc_pair", np.int64), ("letters", np.bytes_), ("pair_letter", None), ("start", np.float64)],
)
def test_a_spelling_model_of_other_types(tmp_path: Path, name: str, array: Any) -> None:
    seeds.g2p(tmp_path)
    arrays = read_arrays(tmp_path / "a.g2p")
    arrays[name] = np.array(3) if array is None else arrays[name].astype(array)
    if name == "start":
        arrays[name] = np.array(np.inf)
    with open(tmp_path / "a.g2p", "wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(FormatError, match="G2P model"):
        G2P.read(tmp_path / "a.g2p")


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a hello\n")
    (tmp_path / "wav.scp").write_text("a " + "x" * 5000 + "\n")
    (said,) = read_layout(tmp_path, "kaldi")
    assert said.words == ("hello",)


def test_frames_beyond_what_a_lattice_counts() -> None:
    with pytest.raises(FormatError, match="a node's frame must lie in"):
        read_slf_text("N=2 L=1\nI=0 t=0\nI=1 t=9e9\nJ=0 S=0 E=1 W=a\n")


# --- zipped models ----------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("inner", ["", "my_model/"])
def test_a_zipped_model_is_a_model(cache: Path, tmp_path: Path, inner: str) -> None:
    write_model(tmp_path / "m", small_model())
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as packed:
        for file in (tmp_path / "m").iterdir():
            packed.write(file, inner + file.name)
    for _ in range(2):  # unpacked, then found
        model = Bundle.find(tmp_path / "m.zip").acoustic_model()
        assert model.phones == small_model().phones


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "c:evil", "a/..", "x/../../../y"]
)
def test_a_zip_writes_nowhere_else(cache: Path, tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as packed:
        packed.writestr("manifest.json", "{}")
        packed.writestr(name, "evil")
    with pytest.raises(FormatError, match="leads outside of the model's folder"):
        Bundle.find(tmp_path / "m.zip")
    assert not list(tmp_path.rglob("evil")) and not list(cache.rglob("*.json"))


def test_a_zip_holds_no_links_and_does_not_burst(cache: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as packed:
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(FormatError, match="'link' is a link or device"):
        Bundle.find(tmp_path / "m.zip")
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a", bytes(1 << 27))
    with pytest.raises(FormatError, match="bytes unpack to"):
        Bundle.find(tmp_path / "m.zip")
    (tmp_path / "m.zip").write_bytes(b"PK\3\4 no zip")
    with pytest.raises(FormatError, match="no whole zip of a model"):
        Bundle.find(tmp_path / "m.zip")


# --- the command line -------------------------------------------------------

CONTENTS: dict[str, bytes | None] = {
    "absent": None, "empty": b"", "folder": None, "garbage": bytes(range(256)) * 4,
    "zeros": bytes(50), "gzip": b"\x1f\x8b" + b"x" * 50, "brackets": b"[" * 5000,
    "latin": "grüß gott\n".encode("latin-1"),
}
SOUND = str(ROOT / "examples" / "audio" / "kitchen_light_on.wav")
COMMANDS = {
    "lm perplexity": "lm perplexity FILE TEXT", "lm prune": "lm prune FILE --order 1",
    "lm interpolate": "lm interpolate FILE ARPA", "g2p train": "lexicon g2p train FILE -o OUT",
    "g2p apply": "lexicon g2p apply --g2p FILE word", "grammar": "understand --grammar FILE",
    "dialogue": "understand --grammar FILE --dialogue",
    "sound": "transcribe --quiet --grammar GRAMMAR FILE",
    "lexicon": f"transcribe --quiet --grammar GRAMMAR --lexicon FILE {SOUND}",
    "lm": f"transcribe --quiet --lm FILE {SOUND}", "model": f"transcribe --model FILE {SOUND}",
    "zip": "info FILE", "import": "import FILE --output OUT", "compile": "compile --grammar FILE",
    "import lm": "import en-us --lm FILE --output OUT",
    "corpus": "evaluate --corpus FILE --grammar GRAMMAR",
    "train": "train --corpus FILE --lexicon DICT --output OUT",
}


@pytest.fixture
def files(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Good files by the names that `COMMANDS` has for them."""
    good = {"TEXT": "yes\n", "ARPA": ARPA, "DICT": "on AA N\n",
            "GRAMMAR": "intents: {I: {data: [{sentences: [stop]}]}}\n"}
    for name, content in good.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr("sys.stdin", io.StringIO("turn on the light\n"))
    monkeypatch.chdir(ROOT)
    return {name: str(tmp_path / name) for name in (*good, "OUT")}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_file_is_told_without_a_traceback(
    command: str, content: str, files: dict[str, str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / ("bad.zip" if command == "zip" else "bad")
    if content == "folder":
        file.mkdir()
    elif (data := CONTENTS[content]) is not None:
        file.write_bytes(data)
    words = [files.get(word, word) for word in COMMANDS[command].split()]
    assert main([str(file) if word == "FILE" else word for word in words]) in (1, 2)
    told = capsys.readouterr()
    assert str(file) in told.err and "Traceback" not in told.err


@pytest.mark.parametrize(
    "command",
    ["lm prune ARPA --order 1 -o /proc/none/x", "lexicon g2p train DICT -o /proc/none/x",
     "compile --grammar GRAMMAR --output /proc/none/x.fst",
     "import en-us --output /proc/none/x"],
)
def test_a_place_that_cannot_be_written(
    command: str, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([files.get(word, word) for word in command.split()]) == 2
    assert "/proc/none/x" in capsys.readouterr().err


def test_gzip_is_read_as_before(tmp_path: Path) -> None:
    (tmp_path / "a.arpa").write_bytes(gzip.compress(ARPA.encode()))
    assert read_arpa(tmp_path / "a.arpa").counts == (5, 4, 1)


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (lambda m: m["settings"].update(dictation=3), "options of decoding"),
        (lambda m: m["acoustic"].update(more=2), "more must be a JSON object, is 2"),
        (lambda m: m["files"].update({"x" * 300: {"sha256": "", "bytes": 0}}), "needs this file"),
    ],
)
def test_a_manifest_of_other_types(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], law: str
) -> None:
    seeds.model(tmp_path)
    file = tmp_path / "model" / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))
    with pytest.raises((FormatError, MissingError), match=law):
        Bundle.find(tmp_path / "model").acoustic_model()


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"triphone_hmms": np.zeros(1, np.int32)}, "an HMM and four numbers each"),
        ({"triphone_contexts": np.zeros((1, 3), np.int32)}, "an HMM and four numbers each"),
    ],
)
def test_tables_of_triphones_that_do_not_fit(changes: dict[str, Any], law: str) -> None:
    with pytest.raises(OptionError, match=law):
        replace(small_model(), **changes)


def test_a_calibration_beyond_a_float() -> None:
    with pytest.raises(FormatError, match="a calibration is offset, slope and weights"):
        Calibration.from_dict({"offset": 10**400, "slope": 1.0, "weights": []})


@pytest.mark.parametrize(
    ("kind", "changes", "law"),
    [
        ("diagonal", {"weights": np.full(12, np.inf)}, "need as many positive weights"),
        ("diagonal", {"means": np.full((12, 4), 1e30)}, "densities that are no numbers"),
        ("diagonal", {"variances": np.full((12, 4), 1e-30)}, "densities that are no numbers"),
        ("tied", {"codebook": np.zeros((6, 1), np.int32)}, r"codebook must be \(n_pdfs,\)"),
    ],
)
def test_densities_that_are_no_numbers(kind: str, changes: dict[str, Any], law: str) -> None:
    with pytest.raises(OptionError, match=law):
        replace(small_model(kind).densities, **changes)

"""Corpora and tables as they are found: of spreadsheets, aligners and public collections."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from factored_asr.cli import main
from factored_asr.corpus.corpus import Corpus, check
from factored_asr.corpus.textgrid import read_textgrid
from factored_asr.corpus.utterance import Utterance
from factored_asr.errors import FormatError, OptionError
from factored_asr.evaluation.normalise import Rules
from factored_asr.evaluation.transcripts import Transcripts
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.results.alignment import AlignedWord, Alignment
from factored_asr.results.formats import write_alignment
from factored_asr.results.transcript import Word
from factored_asr.storage.tables import read_table, split_row

RATE = 16000


def write_sound(*places: Path) -> None:
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        form = "FLAC" if place.suffix.lower() == ".flac" else "WAV"
        soundfile.write(place, np.sin(np.arange(RATE)) * 0.1, RATE, format=form)


def texts(corpus: Corpus) -> dict[str, str]:
    return {each.id: each.text for each in corpus}


def write(file: Path, text: str, encoding: str = "utf-8") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode(encoding))
    return file


# --- tables -----------------------------------------------------------------


@pytest.mark.parametrize(("line", "separator", "fields"), [
    ('a\t"b ""c"""\t d ', "\t", ["a", 'b "c"', "d"]), ('"a,b",c', ",", ["a,b", "c"]),
    ('"Hello," she said\tx', "\t", ['"Hello," she said', "x"]), ('"open\tx', "\t", ['"open', "x"]),
    ("a;;b", ";", ["a", "", "b"]), ("", "\t", [""]), ('""', ",", [""]), ("a|b", "|", ["a", "b"]),
    ('"a" b,c', ",", ['"a" b', "c"]), ("a\t", "\t", ["a", ""]),
])  # fmt: skip
def test_fields_in_quotes(line: str, separator: str, fields: list[str]) -> None:
    assert split_row(line, separator) == fields


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_spreadsheets(tmp_path: Path, separator: str, encoding: str) -> None:
    rows = ["ID", "Path", "Text"], ["1", "a.wav", '"Turn it ""on"", please"'], [
        "2", '"b.wav"', '"two\nlines"'], ["3", "c.wav", "it's"]  # fmt: skip
    text = "\r\n".join(separator.join(row) for row in rows) + "\r\n\r\n"
    table = read_table(write(tmp_path / "t.csv", text, encoding))
    assert table.columns == ("id", "path", "text")
    assert [row.values["text"] for row in table.rows] == [
        'Turn it "on", please', "two\nlines", "it's"]
    assert table.rows[1].values == {"id": "2", "path": "b.wav", "text": "two\nlines"}
    assert [row.number for row in table.rows] == [2, 3, 5]
    found = Transcripts.read(tmp_path / "t.csv").entries
    assert Rules.named("case,punctuation").apply(found["1"].text or "") == (
        "turn", "it", "on", "please")


def test_a_corpus_of_a_spreadsheet_is_evaluated(
    tmp_path: Path, audio_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.wav").write_bytes((audio_dir / "music_stop.wav").read_bytes())
    write(tmp_path / "t.csv", 'path,text\r\na.wav,"Stop, ""the"" music!"\r\n', "utf-8-sig")
    grammar = str(audio_dir.parents[1] / "lm" / "smart_home.yaml")
    command = ["evaluate", "--quiet", "--corpus", str(tmp_path), "--grammar", grammar, "--brief"]
    assert main([*command, "--normalise", "case,punctuation"]) == 0
    out = capsys.readouterr().out
    assert "WER 0.00 %" in out and "rules: case, punctuation (not" in out
    assert main(command) == 0  # without the rule punctuation counts
    captured = capsys.readouterr()
    assert "3 substituted" in captured.out
    assert "3 words of the references have punctuation, as 'Stop,' has" in captured.err
    assert "--normalise punctuation removes it" in captured.err
    write(tmp_path / "t.csv", "path,text\na.wav,[noise] stop the (laughs) music [noise]\n")
    assert main([*command, "--normalise", "case,fillers"]) == 0
    captured = capsys.readouterr()
    assert "WER 0.00 %" in captured.out
    assert "3 annotations are skipped: [noise] (2), (laughs)" in captured.err


def test_a_reference_without_words_has_insertions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "ref.trn", "(a)\n(b)\n")
    write(tmp_path / "hyp.trn", "oh no (a)\n(b)\n")
    assert main(["score", "--brief", str(tmp_path / "ref.trn"), str(tmp_path / "hyp.trn")]) == 0
    out = capsys.readouterr().out
    assert "WER no rate: no words in the reference, 2 inserted" in out
    assert "1 of 2 utterances with errors" in out and "nan" not in out


@pytest.mark.parametrize("separator", [" ", "\t", "  \t ", "\t\t"])
def test_tabs_in_files_of_kaldi(tmp_path: Path, separator: str) -> None:
    write_sound(tmp_path / "a.wav")
    lines = {"text": "u1=turn\ton the light", "utt2spk": "u1=ann", "wav.scp": "r1=a.wav",
             "segments": "u1=r1\t0.0 0.5"}
    for name, line in lines.items():
        write(tmp_path / name, "\ufeff" + line.replace("=", separator) + "\r\n")
    (said,) = Corpus.read(tmp_path)
    assert (said.id, said.speaker, said.text) == ("u1", "ann", "turn on the light")
    assert said.path == tmp_path / "a.wav" and said.end == 0.5
    entry = Transcripts.read(tmp_path / "text", "kaldi").entries["u1"]
    assert (entry.text or "").split() == ["turn", "on", "the", "light"]


# --- layouts ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.WAV", "a.Wav", "a.SPH", "A.wav", "a.flac"])
def test_sphinx_finds_sounds_in_any_case(tmp_path: Path, name: str) -> None:
    write_sound(tmp_path / "wav" / "ann" / name)
    write(tmp_path / "etc" / "x.fileids", "ann/a\n")
    write(tmp_path / "etc" / "x.transcription", "<s> TURN ON </s> (a)\n")
    (said,) = Corpus.read(tmp_path)
    assert said.path.name == name and said.words == ("TURN", "ON") and said.speaker == "ann"
    write(tmp_path / "etc" / "x.fileids", f"ann/{name}\n")  # with its ending
    assert next(iter(Corpus.read(tmp_path))).path.name == name


def test_a_corpus_of_the_montreal_forced_aligner(tmp_path: Path) -> None:
    write_sound(tmp_path / "ann" / "1.wav", tmp_path / "ann" / "2.WAV", tmp_path / "ben" / "3.flac",
                tmp_path / "ben" / "4.wav")
    write(tmp_path / "ann" / "1.lab", "TURN ON\nTHE LIGHT\n")
    write(tmp_path / "ann" / "2.txt", "\ufeffTurn it to 21, please… [noise]\n")
    write(tmp_path / "ben" / "3.LAB", "stop\n")
    corpus = Corpus.read(tmp_path)
    assert texts(corpus) == {"ann/1": "turn on the light", "ben/3": "stop", "ben/4": "",
                             "ann/2": "turn it to twenty one please"}
    assert corpus.speakers == ("ann", "ben")
    good, problems = check(corpus)
    assert len(good) == 3 and [problem.kind for problem in problems] == ["empty text"]


LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "Ann"
        xmin = 0
        xmax = 1
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.4
            text = "Say ""yes"", 2 times"
        intervals [2]:
            xmin = 0.4
            xmax = 1
            text = ""
    item [2]:
        class = "TextTier"
        name = "bell"
        xmin = 0
        xmax = 1
        points: size = 1
        points [1]:
            number = 0.5
            mark = "ding"
'''
SHORT = '''File type = "ooTextFile"
Object class = "TextGrid"

0
1
<exists>
2
"IntervalTier"
"Ann"
0
1
2
0
0.4
"Say ""yes"", 2 times"
0.4
1
""
"TextTier"
"bell"
0
1
1
0.5
"ding"
'''


@pytest.mark.parametrize("text", [LONG, SHORT])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_textgrids_long_and_short(tmp_path: Path, text: str, encoding: str) -> None:
    write_sound(tmp_path / "s" / "1.wav")
    file = write(tmp_path / "s" / "1.TextGrid", text, encoding)
    ann, bell = read_textgrid(file)
    assert ann.name == "Ann" and ann.intervals[0].text == 'Say "yes", 2 times'
    assert bell.intervals[0].start == 0.5
    (said,) = Corpus.read(tmp_path)
    assert (said.speaker, said.text, said.start, said.end) == (
        "Ann", "say yes two times", 0.0, 0.4)


def test_textgrids_that_we_write_are_read(tmp_path: Path) -> None:
    word = Word("On", 0.1, 0.4, None, ("AA", "N"), (0.2, 0.4))
    aligned = Alignment((AlignedWord(word, -1.0),), duration=1.0)
    write_sound(tmp_path / "ben" / "1.wav")
    write(tmp_path / "ben" / "1.TextGrid", write_alignment(aligned, "textgrid"))
    (said,) = Corpus.read(tmp_path)
    assert (said.id, said.speaker, said.text, said.end) == ("ben/1", "ben", "on", None)


@pytest.mark.parametrize(("text", "law"), [
    ("", "1: no TextGrid: ends where a text must come"), ("plain", "ends where a text"),
    (LONG.replace("TextGrid", "Sound"), "it begins with"), (LONG[:400], "ends where"),
    (LONG.replace("size = 2", "size = 1e9", 1), "is no number of tiers"),
    (LONG.replace("xmax = 0.4", "xmax = -1"), "17: no TextGrid: an interval|an interval from"),
    (LONG.replace("IntervalTier", "Tier"), "no kind of tier"),
    (LONG.replace("xmin = 0.4", 'xmin = "a"'), "a number must come here, not"),
])  # fmt: skip
def test_broken_textgrids_are_named(tmp_path: Path, text: str, law: str) -> None:
    file = write(tmp_path / "a.TextGrid", text)
    with pytest.raises(FormatError, match=law):
        read_textgrid(file)


def test_textgrids_of_open_brackets_take_no_time(tmp_path: Path) -> None:
    began = time.process_time()
    with pytest.raises(FormatError, match="ends where a text"):
        read_textgrid(write(tmp_path / "a.TextGrid", "File type = " + "[" * 100_000))
    assert time.process_time() - began < 2  # 20 s, where each looks for its end


def test_ljspeech(tmp_path: Path) -> None:
    folder = tmp_path / "LJSpeech"
    write_sound(folder / "wavs" / "LJ1-1.wav", folder / "wavs" / "LJ1-2.wav")
    text = 'LJ1-1|It cost "£5", he said|It cost "five pounds", he said\nLJ1-2|in 1999|\n'
    write(folder / "metadata.csv", "\ufeff" + text)
    for place in (folder, folder / "metadata.csv"):
        corpus = Corpus.read(place)
        assert texts(corpus) == {"LJ1-1": "it cost five pounds he said",
                                 "LJ1-2": "in nineteen ninety nine"}
        assert corpus.speakers == ("LJSpeech",) and len(check(corpus)[0]) == 2
    write(folder / "metadata.csv", "LJ1-1\n")
    with pytest.raises(FormatError, match="metadata.csv:1: must be: id|text"):
        Corpus.read(folder)


def test_common_voice(tmp_path: Path) -> None:
    write_sound(tmp_path / "clips" / "a.wav", tmp_path / "clips" / "b.mp3")
    header = "client_id\tpath\tsentence\tup_votes\tage"
    rows = ['c1\ta.wav\t"Stop!" he said.\t2\t', "c2\tb\tIt’s 5.\t1\ttwenties"]
    write(tmp_path / "test.tsv", "\n".join([header, *rows]) + "\n")
    corpus = Corpus.read(tmp_path)
    assert texts(corpus) == {"a": "stop he said", "b": "it's five"}
    assert corpus.speakers == ("c1", "c2")
    assert [u.path.name for u in corpus] == ["a.wav", "b.mp3"]
    write(tmp_path / "dev.tsv", header + "\n" + rows[0] + "\n")
    with pytest.raises(OptionError, match="several lists, name the one that is meant: dev.tsv, te"):
        Corpus.read(tmp_path)
    assert len(Corpus.read(tmp_path / "dev.tsv")) == 1


def test_texts_with_unknown_words_are_read_as_prose() -> None:
    words = "turn it to twenty one wi-fi".split()
    lexicon = Lexicon({word: (Pronunciation(("A",)),) for word in words})
    said = [Utterance(str(i), "ann", tuple(text.split()), Path("a.wav")) for i, text in enumerate(
        ["turn it", "Turn it to 21, wi-fi!", "turn it, glorf"])]
    found = Corpus(tuple(said)).spoken(lexicon)
    assert [each.text.lower() for each in found] == [
        "turn it", "turn it to twenty one wi-fi", "turn it, glorf"]

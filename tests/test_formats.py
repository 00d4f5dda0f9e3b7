"""Every output format, read back by a reader that is not ours."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from factored_asr import Transcript, Word
from factored_asr.batch.outputs import JOURNAL
from factored_asr.cli import main
from factored_asr.errors import OptionError
from factored_asr.results.alignment import AlignedWord, Alignment, State
from factored_asr.results.formats import (
    FORMATS,
    utterance_id,
    write,
    write_alignment,
    write_file,
)
from factored_asr.results.subtitles import SubtitleOptions, cues, lines
from factored_asr.results.transcript import Phone

Captured = pytest.CaptureFixture[str]

LIGHT = Word("light", 0.31, 0.62, phones=("L", "AY", "T"), phone_ends=(0.4, 0.55, 0.62))
SAID = Transcript(
    (LIGHT, Word("on", 0.62, 0.8, 0.9, ("AA", "N"), (0.7, 0.8)),
     Word('"now" <&>', 3725.5, 3726.25, phones=("N", "AW"), phone_ends=(3725.75, 3726.25))),
    duration=3727.0,
)  # fmt: skip
NOTHING = Transcript(duration=1.5, reason="no speech")


def test_ctm_has_file_channel_start_length_word_and_confidence() -> None:
    lines = [line.split() for line in write(SAID, "ctm", "folder/a b.wav").splitlines()]
    assert lines[0] == ["a_b", "1", "0.310", "0.310", "light"]
    assert lines[1] == ["a_b", "1", "0.620", "0.180", "on", "0.9000"]
    assert write(NOTHING, "ctm", "a.wav") == ""


def test_ctm_reads_back(tmp_path: Path) -> None:
    texterrors = pytest.importorskip("texterrors.texterrors")
    said = replace(SAID, words=(*(replace(word, confidence=None) for word in SAID.words[:2]),
                                Word("now", 3725.5, 3726.25)))
    path = write_file(tmp_path, said, "ctm", "a.wav")
    assert texterrors.read_ctm_file(str(path))["a"] == [
        ("light", 0.31, 0.31), ("on", 0.62, 0.18), ('now', 3725.5, 0.75),
    ]


def test_stm_and_trn_hold_the_words_of_the_whole_sound() -> None:
    assert write(SAID, "stm", "a.wav").split(maxsplit=5) == [
        "a", "1", "unknown", "0.000", "3727.000", 'light on "now" <&>',
    ]
    assert write(NOTHING, "stm", "a.wav") == "a 1 unknown 0.000 1.500"
    assert write(SAID, "trn", "a.wav") == 'light on "now" <&> (a)'
    assert write(NOTHING, "trn", "a.wav") == "(a)"


def test_srt_reads_back() -> None:
    pysubs2 = pytest.importorskip("pysubs2")
    first, second = pysubs2.SSAFile.from_string(write(SAID, "srt"), format_="srt")
    assert (first.text, first.start, first.end) == ("light on", 310, 800)
    assert (second.text, second.start, second.end) == ('"now" <&>', 3_725_500, 3_726_250)
    assert write(NOTHING, "srt") == ""


def test_vtt_reads_back() -> None:
    webvtt = pytest.importorskip("webvtt")
    first, second = webvtt.from_buffer(io.StringIO(write(SAID, "vtt"))).captions
    assert (first.text, first.start, first.end) == ("light on", "00:00:00.310", "00:00:00.800")
    assert second.start == "01:02:05.500" and second.text == '"now" &lt;&amp;&gt;'
    assert webvtt.from_buffer(io.StringIO(write(NOTHING, "vtt"))).captions == []


def test_textgrid_reads_back(tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    path = write_file(tmp_path, SAID, "textgrid", "sound.wav")
    assert path.name == "sound.TextGrid"
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True)
    assert grid.tierNames == ("words", "phones") and grid.maxTimestamp == 3727
    words = grid.getTier("words").entries
    assert [entry.label for entry in words] == ["", "light", "on", "", '"now" <&>', ""]
    assert (words[1].start, words[1].end) == (0.31, 0.62)
    assert [e.label for e in grid.getTier("phones").entries if e.label] == [
        "L", "AY", "T", "AA", "N", "N", "AW",
    ]


def test_an_empty_textgrid_still_has_its_length(tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    path = write_file(tmp_path, NOTHING, "textgrid", "a.wav")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True)
    assert [tuple(entry) for entry in grid.getTier("words").entries] == [(0, 1.5, "")]


def test_json_tells_when_each_phone_ends_and_reads_back() -> None:
    content = json.loads(write(SAID, "json", "a.wav"))
    assert content["words"][0]["phone_ends"] == [0.4, 0.55, 0.62]
    assert Transcript.from_json(SAID.to_json()) == SAID
    old = json.loads(SAID.to_json())
    for word in old["words"]:
        del word["phone_ends"]
    assert Transcript.from_json(json.dumps(old)).words[0].timed_phones == ()


def test_an_alignment_is_written_in_every_format() -> None:
    aligned = Alignment(
        (AlignedWord(LIGHT, -0.25),), LIGHT.timed_phones, (State("L", 0, 17, 0.31, 0.35),), 1.0
    )
    content = json.loads(write_alignment(aligned, "json", "a.wav"))
    assert content["words"][0]["score"] == content["score"] == -0.25
    assert content["phones"][1] == {"phone": "AY", "start": 0.4, "end": 0.55}
    assert content["states"] == [
        {"phone": "L", "state": 0, "pdf": 17, "start": 0.31, "end": 0.35}
    ]
    for name in FORMATS:
        assert "light" in write_alignment(aligned, name, "a.wav")
    assert LIGHT.timed_phones[1] == Phone("AY", 0.4, 0.55)


def test_subtitles_are_cut_at_pauses_and_before_they_grow_too_long() -> None:
    steady = [Word("word", 0.5 * i, 0.5 * i + 0.4) for i in range(40)]
    parts = list(cues(steady))
    assert [word for part in parts for word in part] == steady
    assert all(part[-1].end - part[0].start <= 6.0 for part in parts) and len(parts) == 4
    long_words = [Word("x" * 50, i, i + 0.9) for i in range(2)]
    assert [len(part) for part in cues(long_words)] == [1, 1]


TEXT = (
    "the committee said that it would publish the report in the spring of next year because the "
    "work on the numbers had taken longer than anyone in the department had expected and most of "
    "the people who were asked about it agreed that this was the right thing to do at the time"
).split()


def spoken(text: list[str], seconds: float = 0.3, pauses: tuple[int, ...] = ()) -> list[Word]:
    words, at = [], 0.0
    for number, word in enumerate(text):
        at += 0.25 if number in pauses else 0.0
        words.append(Word(word, at, at + seconds))
        at += seconds
    return words


@pytest.mark.parametrize(("options", "seconds"), [
    (SubtitleOptions(), 0.3), (SubtitleOptions(), 1.2), (SubtitleOptions(32, 1, 3.0), 0.3),
    (SubtitleOptions(20, 3, 5.0), 0.2), (SubtitleOptions(1, 1, 0.1), 0.3),
])  # fmt: skip
def test_cues_keep_to_their_limits(options: SubtitleOptions, seconds: float) -> None:
    words = spoken(TEXT, seconds)
    parts = list(cues(words, options))
    assert [word for part in parts for word in part] == words
    for part in parts:
        shown = lines(part, options)
        assert " ".join(shown).split() == [word.text for word in part]
        assert len(shown) <= options.max_lines
        if len(part) > 1:
            assert max(map(len, shown)) <= options.max_line
            assert part[-1].end - part[0].start <= options.max_cue
    text = write(Transcript(tuple(words), words[-1].end), "srt", "", options)
    for block in text.split("\n\n"):
        start, end = (sum(float(x) * 60**i for i, x in enumerate(reversed(
            time.replace(",", ".").split(":")))) for time in block.split("\n")[1].split(" --> "))
        assert 0 < end - start <= options.max_cue + 1e-3


def test_cues_and_lines_break_at_pauses_and_phrases() -> None:
    parts = list(cues(spoken(TEXT)))
    bound = {"the", "of", "in", "a", "and", "that", "had", "who", "to", "at"}
    assert not bound & {part[-1].text for part in parts[:-1]}
    for part in parts:
        assert not bound & {line.split()[-1] for line in lines(part)[:-1]}
    words = spoken("one two three four five six seven eight nine ten eleven twelve".split(),
                   0.6, pauses=(5,))  # a short pause, at which 7.4 s are divided
    assert [len(part) for part in cues(words)] == [5, 7]
    stops = spoken("wait a moment, please. I will come at once, my dear old friend".split(), 0.6)
    assert next(cues(stops))[-1].text == "please."


def test_limits_of_subtitles_are_checked(audio_dir: Path, capsys: Captured) -> None:
    with pytest.raises(OptionError, match="max_line must be above 0, got 0"):
        SubtitleOptions(max_line=0)
    grammar = str(audio_dir.parents[1] / "lm" / "smart_home.yaml")
    sound = str(audio_dir / "music_stop.wav")
    command = ["transcribe", "--quiet", "--grammar", grammar, sound, "--max-line", "8"]
    assert main([*command, "--format", "srt"]) == 0
    assert capsys.readouterr().out.split("\n")[2:4] == ["stop the", "music"]
    assert main(command) == 2
    assert "--max-line goes with --format srt or vtt, not text" in capsys.readouterr().err
    align = ["align", sound, "Stop the music", "--format", "vtt", "--max-lines", "1",
             "--max-line", "8"]
    assert main(align) == 0
    shown = capsys.readouterr().out
    assert shown.count("-->") == 2 and "\nStop the\n" in shown


def test_names_are_cleaned_for_formats_that_split_at_blanks() -> None:
    assert utterance_id("folder.d/two words (1).flac") == "two_words_1"
    assert utterance_id("-") == utterance_id("") == "stdin"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OptionError, match="taken.*cannot be written"):
        write_file(tmp_path / "taken", SAID, "srt", "a.wav")


def transcribe(root: Path, *arguments: object) -> int:
    grammar = root.parent.parent / "lm" / "smart_home.yaml"
    return main(["transcribe", "--quiet", "--grammar", str(grammar), *map(str, arguments)])


@pytest.mark.parametrize("name", FORMATS)
def test_the_command_line_takes_every_format(
    name: str, audio_dir: Path, capsys: Captured
) -> None:
    assert transcribe(audio_dir, "--format", name, audio_dir / "kitchen_light_on.wav") == 0
    out = capsys.readouterr().out
    assert all(word in out for word in "turn on the kitchen light".split())


def test_documents_of_several_sounds_go_into_a_folder(
    audio_dir: Path, tmp_path: Path, capsys: Captured
) -> None:
    files = [audio_dir / "kitchen_light_on.wav", audio_dir / "silence.wav"]
    assert transcribe(audio_dir, "--format", "textgrid", *files) == 2
    assert "--format textgrid of several files needs --output-dir" in capsys.readouterr().err
    assert transcribe(audio_dir, "--format", "textgrid", "--output-dir", tmp_path, *files) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        JOURNAL, "kitchen_light_on.TextGrid", "silence.TextGrid",
    }
    assert transcribe(audio_dir, "--live", "--format", "srt", files[0]) == 2


def test_numbers_are_written_in_digits_where_asked(audio_dir: Path, capsys: Captured) -> None:
    assert transcribe(audio_dir, "--digits", audio_dir / "timer_ten_minutes.wav") == 0
    assert capsys.readouterr().out == "set a timer for 10 minutes\n"

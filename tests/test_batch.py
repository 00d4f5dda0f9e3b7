"""Many sounds in one run: what is found, what is written where, in which order, what goes wrong."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from factored_asr.audio.reading import Part, read_audio
from factored_asr.batch import BatchOptions, CutOptions, Input, find_inputs, transcribe_files
from factored_asr.batch.inputs import distinct
from factored_asr.batch.outputs import JOURNAL, open_folder, write_whole
from factored_asr.batch.pool import in_processes
from factored_asr.batch.run import Terminated, run_batch
from factored_asr.batch.work import Job, Outcome
from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe

GRAMMAR = Path("lm/smart_home.yaml")
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe(Bundle.find("en-us"), grammar=GRAMMAR)


@pytest.fixture
def calls(audio_dir: Path, tmp_path: Path) -> Path:
    """A folder of sounds with a folder in it."""
    (tmp_path / "calls" / "monday").mkdir(parents=True)
    for name in ("kitchen_light_on.wav", "monday/music_stop.wav"):
        shutil.copy(audio_dir / Path(name).name, tmp_path / "calls" / name)
    (tmp_path / "calls" / "notes.txt").write_text("no sound")
    (tmp_path / "calls" / ".hidden.wav").write_bytes(b"")
    return tmp_path / "calls"


def names(sounds: Sequence[Input]) -> list[str]:
    return [sound.output for sound in sounds]


# --- what is found ---------------------------------------------------------------------------


def test_a_folder_is_searched_to_its_depths_and_keeps_its_folders(calls: Path) -> None:
    found = find_inputs([calls])
    assert names(found) == ["kitchen_light_on", "monday/music_stop"]
    assert found[0].seconds == soundfile.info(calls / "kitchen_light_on.wav").duration


def test_a_pattern_stands_for_files_in_order(calls: Path) -> None:
    assert names(find_inputs([f"{calls}/**/*.wav"])) == ["kitchen_light_on", "music_stop"]
    assert names(find_inputs(["*.wav"], working_folder=calls)) == ["kitchen_light_on"]


def test_a_file_with_a_bracket_in_its_name_is_no_pattern(calls: Path) -> None:
    odd = calls / "take[1].wav"
    shutil.copy(calls / "kitchen_light_on.wav", odd)
    assert names(find_inputs([odd])) == ["take[1]"]


def test_a_list_names_sounds(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{calls}/monday\n\n{calls}/kitchen_light_on.wav\n"
    (calls / "list.txt").write_text(text)
    expected = ["music_stop", "kitchen_light_on"]
    assert names(find_inputs([f"@{calls}/list.txt"])) == expected
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert names(find_inputs(["@-"])) == expected


def test_a_table_names_stretches(calls: Path) -> None:
    table = calls / "turns.tsv"
    table.write_text(
        "path\tid\tstart\tend\nkitchen_light_on.wav\tcall/first\t0.5\t1.5\n"
        "monday/music_stop.wav\tcall/second\t\t\n"
    )
    first, second = find_inputs([table])
    assert (first.id, first.output, first.part) == ("call/first",) * 2 + (Part(None, 0.5, 1.5),)
    assert first.seconds == 1.0 and second.part == Part()
    assert Path(second.name) == calls / "monday" / "music_stop.wav"


@pytest.mark.parametrize(
    ("row", "law"),
    [
        ("../out\ta.wav\t0\t1", "must be a name that an output can have"),
        ("/etc/x\ta.wav\t0\t1", "must be a name that an output can have"),
        ("x\ta.wav\t2\t1", "2.0 to 1.0 s is no stretch"),
        ("x\ta.wav\tsoon\t1", "number of seconds"),
    ],
)
def test_a_broken_row_of_a_table_is_named(tmp_path: Path, row: str, law: str) -> None:
    table = tmp_path / "turns.tsv"
    table.write_text(f"id\tpath\tstart\tend\n{row}\n")
    with pytest.raises(FormatError, match=f"turns.tsv:2: .*{law}"):
        find_inputs([table])


def test_what_names_no_sound_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "nested.txt").write_text("@other\n")
    for source, law in (
        (f"{tmp_path}/empty", "holds no sound"), (f"{tmp_path}/*.flac", "no file is named like"),
        (f"@{tmp_path}/empty.txt", "the list is empty"), (f"@{tmp_path}/no.txt", "there is no"),
    ):
        with pytest.raises(MissingError, match=law):
            find_inputs([source])
    skipped: list[Exception] = []
    sound = tmp_path / "a.wav"
    names = [f"{tmp_path}/empty", sound, f"{tmp_path}/*.flac", f"@{tmp_path}/nested.txt", "x" * 300]
    found = find_inputs(names, skipped=skipped.append)
    assert [each.name for each in found] == [str(sound), "x" * 300] and len(skipped) == 3
    with pytest.raises(MissingError, match="holds no sound"):
        find_inputs([names[0], names[2]], skipped=skipped.append)
    with pytest.raises(FormatError, match="not another list: '@other'"):
        find_inputs([f"@{tmp_path}/nested.txt"])
    with pytest.raises(OptionError, match="no sound is given"):
        find_inputs([])
    with pytest.raises(OptionError, match="mix or separate, got 'left'"):
        find_inputs([tmp_path], channels="left")


def test_a_sound_that_is_given_twice_is_done_once(calls: Path) -> None:
    twice = find_inputs([calls / "kitchen_light_on.wav", calls, f"{calls}/k*.wav"])
    kept, n_again = distinct(twice)
    assert names(kept) == ["kitchen_light_on", "monday/music_stop"] and n_again == 2


def test_two_sounds_with_one_output_are_an_error(calls: Path) -> None:
    other = calls / "monday" / "kitchen_light_on.wav"
    shutil.copy(calls / "kitchen_light_on.wav", other)
    with pytest.raises(OptionError) as refused:
        distinct(find_inputs([calls / "kitchen_light_on.wav", other]))
    assert "would both be written to kitchen_light_on" in str(refused.value)
    assert str(other) in str(refused.value)
    assert len(distinct(find_inputs([calls]))[0]) == 3  # below one folder they are apart


# --- channels and stretches ------------------------------------------------------------------


def stereo(audio_dir: Path, folder: Path) -> Path:
    """One command on the left, another one on the right."""
    left, _ = read_audio(audio_dir / "kitchen_light_on.wav", sample_rate=16000)
    right, _ = read_audio(audio_dir / "music_stop.wav", sample_rate=16000)
    sound = np.zeros((max(len(left), len(right)), 2), np.float32)
    sound[: len(left), 0], sound[: len(right), 1] = left, right
    soundfile.write(folder / "call.wav", sound, 16000)
    return folder / "call.wav"


def test_channels_are_heard_apart(
    audio_dir: Path, tmp_path: Path, recipe: Recipe
) -> None:
    call = stereo(audio_dir, tmp_path)
    mono = audio_dir / "music_stop.wav"
    for name, expected in (
        ("trn", {"call-1.trn": "turn on the kitchen light (call-1)\n",
                 "call-2.trn": "stop the music (call-2)\n",
                 "music_stop.trn": "stop the music (music_stop)\n"}),
        ("ctm", {"call-1.ctm": "call 1 ", "call-2.ctm": "call 2 ",
                 "music_stop.ctm": "music_stop 1 "}),
    ):
        output = tmp_path / name
        transcribe_files([call, mono], recipe, BatchOptions(name), output_dir=output,
                         channels="separate")
        texts = {file.name: file.read_text() for file in output.glob(f"*.{name}")}
        assert texts.keys() == expected.keys()
        assert all(texts[file].startswith(expected[file]) for file in texts)


def test_a_stretch_has_the_times_of_its_file(
    audio_dir: Path, tmp_path: Path, recipe: Recipe
) -> None:
    sound, rate = read_audio(audio_dir / "kitchen_light_on.wav", sample_rate=16000)
    quiet = 1e-4 * np.random.default_rng(1).standard_normal(5 * rate).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", np.concatenate([quiet, sound, quiet]), rate)
    end = 5 + len(sound) / rate
    (tmp_path / "turns.tsv").write_text(f"path\tid\tstart\tend\nlong.wav\tturn-7\t5\t{end}\n")
    heard: list[Any] = []
    transcribe_files([tmp_path / "turns.tsv"], recipe, BatchOptions("json"),
                     each=lambda sound, outcome: heard.append(json.loads(outcome.text)))
    [said] = heard
    assert said["text"] == "turn on the kitchen light"
    assert said["id"] == "turn-7" and said["start"] == 5.0
    assert said["duration"] == pytest.approx(len(sound) / rate, abs=0.02)
    assert 5.2 < said["words"][0]["start"] < said["words"][-1]["end"] < end


def test_a_channel_or_stretch_that_is_not_there_fails_for_itself(
    audio_dir: Path, recipe: Recipe
) -> None:
    path = str(audio_dir / "music_stop.wav")
    sounds = [Input(path, "a", Part(channel=2)), Input(path, "b", Part(None, 100.0)),
              Input(path, "c")]
    job = Job.of(recipe, BatchOptions())
    report = run_batch(sounds, partial(in_processes, job, n_workers=1), job)
    assert [failure.sound.output for failure in report.failures] == ["a", "b"]
    assert "has 1 channels, channel 2 is asked for" in report.failures[0].error
    assert "has nothing at 100.0" in report.failures[1].error


# --- the run ---------------------------------------------------------------------------------


def test_processes_give_what_one_process_gives(
    audio_dir: Path, tmp_path: Path, recipe: Recipe
) -> None:
    options = BatchOptions("json")
    for jobs in (1, 2):
        transcribe_files([audio_dir], recipe, options, output_dir=tmp_path / str(jobs), jobs=jobs)
    one, two = ({file.name: file.read_bytes() for file in (tmp_path / jobs).glob("[!.]*")}
                for jobs in "12")
    assert one == two and len(one) == 15


def test_a_stream_has_the_order_of_the_sounds(
    audio_dir: Path, recipe: Recipe, spoken: dict[str, str]
) -> None:
    files = [audio_dir / name for name in (
        "timer_ten_minutes.wav", "music_stop.wav", "kitchen_light_on.wav", "blinds_open.wav",
        "music_stop.wav",
    )]
    told: list[tuple[str, str]] = []
    transcribe_files(files, recipe, jobs=2,
                     each=lambda sound, outcome: told.append((sound.output, outcome.text)))
    assert told == [(file.stem, spoken[file.name]) for file in files]


def test_a_broken_sound_is_a_failure_and_the_rest_is_done(
    calls: Path, tmp_path: Path, recipe: Recipe
) -> None:
    (calls / "broken.wav").write_bytes(b"RIFF")
    report = transcribe_files([calls, "absent.wav"], recipe, output_dir=tmp_path / "out", jobs=2)
    errors = [failure.error for failure in report.failures]
    assert str(calls / "broken.wav") in errors[0] and "absent.wav: there is no" in errors[1]
    assert (report.progress.done, report.progress.failed) == (4, 2)
    there = sorted(file.name for file in (tmp_path / "out").rglob("*.txt"))
    assert there == ["kitchen_light_on.txt", "music_stop.txt"]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly(Input):
    """A sound that kills the worker that it comes to."""

    def __reduce__(self) -> Any:
        return _die, ()


def test_a_sound_that_kills_its_workers_is_named_and_the_rest_is_done(
    audio_dir: Path, recipe: Recipe
) -> None:
    sounds = list(find_inputs(sorted(audio_dir.glob("m*.wav"))))
    sounds.insert(1, Deadly("deadly.wav", "deadly"))
    job = Job.of(recipe, BatchOptions())
    told: list[str] = []
    report = run_batch(sounds, partial(in_processes, job, n_workers=2), job,
                       each=lambda sound, outcome: told.append(outcome.text))
    assert told == ["play some music in the bathroom", "", "stop the music"]
    [failure] = report.failures
    assert "deadly.wav: 3 workers have died of it" in failure.error


def test_a_long_recording_is_cut_and_put_together(
    audio_dir: Path, tmp_path: Path, recipe: Recipe, spoken: dict[str, str]
) -> None:
    files = [audio_dir / name for name in ("kitchen_light_on.wav", "timer_ten_minutes.wav")]
    sound = np.concatenate([read_audio(file, sample_rate=16000)[0] for file in files])
    soundfile.write(tmp_path / "both.wav", sound, 16000)
    texts: dict[float, Any] = {}
    for limit in (60.0, 0.0):
        transcribe_files(
            [tmp_path / "both.wav"], recipe,
            BatchOptions("json", cut=CutOptions(longer_than=limit)),
            each=lambda sound, outcome, at=limit: texts.update({at: json.loads(outcome.text)}),  # type: ignore[misc]
        )
    assert texts[60.0]["text"] != texts[0.0]["text"]  # one sentence of the grammar holds not both
    assert [part["text"] for part in texts[0.0]["parts"]] == [spoken[file.name] for file in files]
    assert all(part["interpretation"]["intent"] for part in texts[0.0]["parts"])


# --- outputs and resuming --------------------------------------------------------------------


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: Any) -> None:
    write_whole(tmp_path / "a" / "b.txt", "old\n")

    def refuse(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OptionError, match="b.txt: cannot be written: No space left"):
        write_whole(tmp_path / "a" / "b.txt", "new")
    assert [file.read_text() for file in (tmp_path / "a").iterdir()] == ["old\n"]


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with open_folder(tmp_path, "text", "k", {}), pytest.raises(OptionError, match="another run"):
        with open_folder(tmp_path, "text", "k", {}):
            pass
    assert [file.name for file in tmp_path.iterdir()] == [JOURNAL]  # no lock is left


def resumed(calls: Path, recipe: Recipe, options: BatchOptions, output: Path) -> list[str]:
    """What a resumed run does, and what it says of the rest."""
    told: list[str] = []
    report = transcribe_files([calls], recipe, options, output_dir=output, resume=True,
                              each=lambda sound, outcome: told.append(sound.output))
    found = report.progress.resumed
    return sorted(told) + [f"changed {Path(name).name}" for name in found.changed] + [
        f"{found.n_outdated} by {name}" for name in found.options
    ]


def test_resuming_does_what_is_missing_or_changed(
    calls: Path, tmp_path: Path, recipe: Recipe
) -> None:
    again = partial(resumed, calls, recipe, output=tmp_path / "out")
    plain = BatchOptions()
    everything = ["kitchen_light_on", "monday/music_stop"]
    assert again(plain) == everything  # resuming what never began
    assert again(plain) == []
    (tmp_path / "out" / "kitchen_light_on.txt").unlink()
    assert again(plain) == ["kitchen_light_on"]
    (tmp_path / "out" / "kitchen_light_on.txt").write_text("cut sho")
    assert again(plain) == ["kitchen_light_on"]
    os.utime(calls / "kitchen_light_on.wav", (1, 1))
    assert again(plain) == ["kitchen_light_on", "changed kitchen_light_on.wav"]
    digits = replace(plain, digits=True)
    assert again(digits) == [*everything, "2 by digits"]
    assert again(digits) == []
    assert again(plain) == [*everything, "2 by digits"]
    wide = replace(recipe, options=replace(recipe.settings, acoustic_scale=0.1))
    assert resumed(calls, wide, plain, tmp_path / "out") == [*everything, "2 by decoding"]


def test_without_resuming_all_is_remade(calls: Path, tmp_path: Path, recipe: Recipe) -> None:
    for _ in range(2):
        report = transcribe_files([calls], recipe, output_dir=tmp_path / "out")
        assert report.progress.done == 2 and not report.progress.resumed.done
    assert len((tmp_path / "out" / JOURNAL).read_text().splitlines()) == 3


def test_a_torn_or_foreign_journal_does_no_harm(
    calls: Path, tmp_path: Path, recipe: Recipe
) -> None:
    again = partial(resumed, calls, recipe, BatchOptions(), tmp_path / "out")
    again()
    journal = tmp_path / "out" / JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])  # as a kill in the middle of a write leaves it
    assert len(again()) == 1
    assert again() == []
    journal.write_bytes(whole + b'[1]\n"x"\n{"output": 3}\n\xff\xfe\n')
    assert again() == []
    journal.write_bytes(whole.replace(b'"version": 1', b'"version": 9'))
    with pytest.raises(OptionError, match="is of version 9, not 1"):
        again()


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ({"jobs": 0}, "at least 1, got 0"), ({"resume": True}, "needs the output folder"),
        ({"jobs": 2, "cluster": "tcp://x"}, "exclude each other"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    calls: Path, recipe: Recipe, wrong: dict[str, Any], law: str
) -> None:
    with pytest.raises(OptionError, match=law):
        transcribe_files([calls], recipe, **wrong)


def test_standard_input_has_no_second_process(recipe: Recipe) -> None:
    with pytest.raises(OptionError, match="jobs must be 1"):
        transcribe_files(["-"], recipe, jobs=2)


def test_sigterm_ends_a_run_as_ctrl_c_does(calls: Path, tmp_path: Path, recipe: Recipe) -> None:
    def end(sound: Input, outcome: Outcome) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Terminated):
        transcribe_files([calls], recipe, output_dir=tmp_path / "out", jobs=2, each=end)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert len(list((tmp_path / "out").rglob("*.txt"))) == 1


# --- the command -----------------------------------------------------------------------------


def command(*arguments: object) -> int:
    return main(["transcribe", "--model", "en-us", "--grammar", str(GRAMMAR), *map(str, arguments)])


def test_the_command_names_failures_at_its_end(
    calls: Path, tmp_path: Path, capsys: Captured
) -> None:
    (calls / "broken.wav").write_bytes(b"no sound")
    assert command(calls, "--output-dir", tmp_path / "out") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[-1] == (
        f"factored-asr: 1 of 3 inputs failed: {calls / 'broken.wav'}"
    )
    assert "3 of 3 sounds, " in told.err


def test_the_command_says_what_it_resumes(calls: Path, tmp_path: Path, capsys: Captured) -> None:
    output = tmp_path / "out"
    assert command(calls, "--output-dir", output, "--quiet") == 0
    assert command(calls, "--output-dir", output, "--resume") == 0
    assert "2 of 2 sounds are done already" in capsys.readouterr().err
    assert command(calls, "--output-dir", output, "--resume", "--digits", "--quiet") == 0
    assert "options have changed (digits): 2 outputs are remade" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "law"),
    [
        (["--resume"], "--resume needs --output-dir"), (["--jobs", "0"], "at least 1, got 0"),
        (["--adapt", "speaker", "--jobs", "2"], "no --jobs"), (["--cut", "-1"], "longer_than >= 0"),
        (["--live", "--jobs", "2"], "none of the options of many"),
        (["--format", "srt"], "needs --output-dir"),
    ],
)
def test_wrong_options_are_exit_code_2(
    calls: Path, capsys: Captured, arguments: list[str], law: str
) -> None:
    assert command(calls, *arguments) == 2
    assert law in capsys.readouterr().err


def test_a_terminal_shows_a_bar_and_texts_go_where_they_are_sent(calls: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, terminal = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "factored_asr", "transcribe", str(calls), "--model",
         "en-us", "--grammar", str(GRAMMAR)],
        stdout=subprocess.PIPE, stderr=terminal, text=True,
    )
    texts = run.communicate()[0].splitlines()
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while more := os.read(ours, 4096):
            shown += more
    os.close(ours)
    assert run.returncode == 0
    assert b"2 of 2 sounds, " in shown and b"\x1b[" in shown
    assert [line.split("\t")[1] for line in texts] == [
        "turn on the kitchen light", "stop the music",
    ]


def test_the_command_takes_a_list_on_standard_input(
    calls: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(calls / "kitchen_light_on.wav")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{name}\n"))
    assert command("@-", "--quiet") == 0
    assert capsys.readouterr().out == f"{name}\tturn on the kitchen light\n"

"""Forced alignment: a known text laid over its sound."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import naive_mmi
import numpy as np
import pytest
import soundfile

from factored_asr import Recognizer
from factored_asr.acoustic import Topology
from factored_asr.cli import main
from factored_asr.decoder import BeamOptions, decode
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.features import FrontEnd
from factored_asr.graph import GraphOptions, build_alignment_graph, build_graph
from factored_asr.graph.alignment import linear_graph
from factored_asr.language import Grammar
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.recognizer.alignment import Aligner, AlignOptions, split_words, states_of
from factored_asr.results.alignment import Alignment

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    recipe = Recipe(Bundle.find("en-us"))
    return Aligner(recipe.bundle.acoustic_model(), recipe.read_lexicon())


@pytest.fixture(scope="module")
def kitchen(aligner: Aligner, audio_dir: Path) -> Alignment:
    return aligner.align(audio_dir / "kitchen_light_on.wav", "Turn on the kitchen light.")


@dataclass(frozen=True)
class Made:
    """A model of nothing but a topology."""

    topology: Topology
    frame_seconds: float = 1.0


@pytest.mark.parametrize("seed", range(6))
def test_states_with_skips_and_loops_of_other_pdfs_are_those_of_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    phones, n_frames = ("A", "B", "C"), 9
    pdfs = rng.permutation(9).reshape(3, 3)
    pdfs[1, 2] = -1
    loops = np.where(pdfs < 0, -1, rng.permutation(9).reshape(3, 3) + 9)
    loop, leave = np.log(rng.uniform(0.1, 0.9, (2, 3, 3)))
    skip = np.full((3, 3), -np.inf)
    skip[[0, 0, 2], [0, 1, 0]] = np.log(rng.uniform(0.1, 0.9, 3))
    topology = Topology(
        phones, "", (), np.arange(3), pdfs, loops, loop, leave, np.arange(3),
        np.arange(3).repeat(4)[:, None, None], skip_log_prob=skip,
    )
    lexicon = Lexicon({
        "one": (Pronunciation(("A", "B")),), "two": (Pronunciation(("C",)), Pronunciation(("A",)))
    })
    scores = rng.normal(size=(n_frames, 18)).astype(np.float32)
    best = -np.inf
    for last in (2, 0):
        for cut in itertools.combinations(range(1, n_frames), 2):
            found = naive_mmi.align_spans(
                topology, [0, 1, last], np.array([0, *cut]), np.array([*cut, n_frames]), scores
            )
            if sum(found[1]) > best:
                best, way, units = sum(found[1]), found[0], [0, 1, last]
    graph = build_alignment_graph(Made(topology), lexicon, ["one", "two"])
    path = decode(graph, scores, BeamOptions(beam=1e9, lattice_beam=0.0)).best()
    assert path.cost == pytest.approx(-best, abs=1e-4)
    assert graph.label_pdf[path.labels].tolist() == way
    states = list(states_of(graph, path, 1.0))
    assert [state.pdf for state in states] == [pdf for pdf in way if pdf < 9]  # those of entry
    assert [state.start for state in states] == [t for t, pdf in enumerate(way) if pdf < 9]
    assert [phone.phone for phone in path.phones] == [phones[unit] for unit in units]


# --- the graph ---------------------------------------------------------------


def test_the_linear_graph_holds_every_pronunciation_and_a_silence_at_every_gap(
    aligner: Aligner,
) -> None:
    options = GraphOptions(filler_probability=0.0)
    graph, table = linear_graph(aligner.lexicon, ("to", "go"), aligner.model, options)
    ways = len(aligner.lexicon.find("to"))
    assert ways > 1 and table == ("<eps>", "to", "go")
    assert np.count_nonzero(graph.arcs["word"] == 1) == ways
    loops = graph.sources == graph.arcs["target"]
    assert sorted(graph.sources[loops]) == [0, 1, 2]
    assert np.flatnonzero(np.isfinite(graph.final)).tolist() == [2]


def test_the_way_is_that_through_a_grammar_of_this_one_sentence(
    aligner: Aligner, audio_dir: Path, tmp_path: Path
) -> None:
    """The same H, C and L, once written out directly and once composed with a grammar."""
    path = tmp_path / "one.jsgf"
    path.write_text("#JSGF V1.0;\ngrammar one;\npublic <one> = stop the music;\n")
    options, model = aligner.options.graph, aligner.model
    composed = build_graph(model, aligner.lexicon, Grammar.read(path), options)
    direct = build_alignment_graph(model, aligner.lexicon, ("stop", "the", "music"), options)
    samples, _ = soundfile.read(audio_dir / "music_stop.wav", dtype="float32")
    features = FrontEnd(model.features).features(samples)
    wide = BeamOptions(beam=1e5, max_active=0)
    paths = [
        decode(graph, model.log_likelihoods(features), wide).best()
        for graph in (composed, direct)
    ]
    assert paths[0].words == paths[1].words == ("stop", "the", "music")
    assert paths[0].cost == pytest.approx(paths[1].cost, rel=1e-5)
    assert paths[0].phones == paths[1].phones


# --- what comes out ----------------------------------------------------------


def test_words_come_as_written_in_order_and_without_overlap(kitchen: Alignment) -> None:
    assert kitchen.text == "Turn on the kitchen light" and not kitchen.reason
    words = kitchen.transcript.words
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times) and times[0] > 0.3 and times[-1] < kitchen.duration - 0.2
    assert words[0].phones == ("T", "ER", "N")


def test_phones_and_states_cover_the_sound_without_gaps(
    kitchen: Alignment, aligner: Aligner
) -> None:
    for segments in (kitchen.phones, kitchen.states):
        assert segments[0].start == 0 and segments[-1].end == pytest.approx(kitchen.duration)
        assert all(a.end == b.start for a, b in zip(segments, segments[1:], strict=False))
    assert [state.state for state in kitchen.states] == [0, 1, 2] * len(kitchen.phones)
    pdfs = aligner.model.hmm_pdfs
    for state in kitchen.states:
        assert state.pdf in pdfs[:, state.state]


def test_the_phones_of_words_are_those_of_the_whole(kitchen: Alignment) -> None:
    of_words = [phone for word in kitchen.transcript.words for phone in word.timed_phones]
    whole = [phone for phone in kitchen.phones if phone.text in {p.text for p in of_words}]
    assert of_words == whole
    assert kitchen.phones[0].text == kitchen.phones[-1].text == "SIL"


def test_every_example_fits_its_text_and_no_other(
    aligner: Aligner, audio_dir: Path, spoken: Mapping[str, str]
) -> None:
    texts = {name: text for name, text in spoken.items() if len(text.split()) > 3}
    assert len(texts) > 4
    for name, other in zip(texts, [*texts][1:] + [*texts][:1], strict=True):
        right = aligner.align(audio_dir / name, texts[name])
        wrong = aligner.align(audio_dir / name, texts[other])
        assert right.score > wrong.score + 1, name
        assert wrong.reason, name


def test_a_wrong_word_is_named_and_the_others_keep_their_place(
    aligner: Aligner, audio_dir: Path, kitchen: Alignment
) -> None:
    path = audio_dir / "kitchen_light_on.wav"
    said = aligner.align(path, "turn on the suspicious light")
    assert [each.fits for each in said.words] == [True, True, True, False, True]
    assert re.search("1 of 5 words do not fit: 'suspicious' at 1", said.reason)
    assert said.words[4].word.end == kitchen.words[4].word.end


def test_a_text_that_fits_badly_on_the_whole_is_reported(
    aligner: Aligner, audio_dir: Path
) -> None:
    path = audio_dir / "music_stop.wav"
    assert not aligner.align(path, "stop the music").reason
    said = aligner.align(path, "start the movie")
    assert [each.fits for each in said.words] == [False, True, False]
    assert "2 of 3 words do not fit: 'start'" in said.reason


def test_a_text_too_long_for_its_sound_gives_no_words_but_a_reason(
    aligner: Aligner, audio_dir: Path
) -> None:
    said = aligner.align(audio_dir / "music_stop.wav", "stop the music " * 40)
    assert not said and said.score == float("-inf")
    assert "no path through its 120 words" in said.reason
    assert said.to_dict()["words"] == [] and said.to_dict()["score"] is None


def test_unknown_words_are_all_named(aligner: Aligner, audio_dir: Path) -> None:
    with pytest.raises(MissingError, match="'zzyx', 'qwrt': add a line 'zzyx PHONE"):
        aligner.align(audio_dir / "music_stop.wav", "stop zzyx the qwrt")


@pytest.mark.parametrize("text", ["", " \n", "... - !"])
def test_a_text_without_words_is_refused(aligner: Aligner, audio_dir: Path, text: str) -> None:
    with pytest.raises(FormatError, match="no words"):
        aligner.align(audio_dir / "music_stop.wav", text)


def test_punctuation_goes_but_not_what_belongs_to_a_word(aligner: Aligner) -> None:
    words = split_words("“Don't,” said Mr. Dash — twice!", aligner.lexicon)
    assert words[0] == "Don't" and words[-2:] == ("Dash", "twice")


def test_text_is_aligned_as_people_write_it(aligner: Aligner, audio_dir: Path) -> None:
    """Words keep their spelling; what is not said is skipped and listed."""
    text = "SPEAKER 1: “Turn on”—the [noise] kitchen‑light… (laughs)"
    said = aligner.align(audio_dir / "kitchen_light_on.wav", text)
    assert [each.word.text for each in said.words] == ["Turn", "on", "the", "kitchen", "light"]
    assert said.skipped == ("SPEAKER 1:", "[noise]", "(laughs)")
    plain = aligner.align(audio_dir / "kitchen_light_on.wav", "turn on the kitchen light")
    assert said.states == plain.states and not plain.skipped
    assert said.to_dict()["skipped"] == list(said.skipped)


def test_a_numeral_is_one_written_word(aligner: Aligner, audio_dir: Path) -> None:
    said = aligner.align(audio_dir / "heating_twenty_one.wav", "Set the heating to 21.")
    plain = aligner.align(audio_dir / "heating_twenty_one.wav", "set the heating to twenty one")
    last = said.words[-1]
    assert (last.word.text, last.spoken) == ("21", ("twenty", "one"))
    assert last.word.start == plain.words[-2].word.start
    assert last.word.end == plain.words[-1].word.end
    assert said.states == plain.states
    assert said.to_dict()["words"][-1]["spoken"] == "twenty one"


def test_the_way_to_say_a_number_that_fits_the_sound_is_found(
    aligner: Aligner, audio_dir: Path
) -> None:
    """"10:00" may be "ten o'clock" or "ten"; only the second was said."""
    said = aligner.align(audio_dir / "timer_ten_minutes.wav", "set a timer for 10:00 minutes")
    assert [each.spoken for each in said.words][-2:] == [("ten",), ("minutes",)]


def test_a_word_of_the_lexicon_is_not_split(aligner: Aligner, audio_dir: Path) -> None:
    kitchen = Pronunciation(tuple("K IH CH AH N L AY T".split()))
    words = Lexicon({"kitchen-light": (kitchen,), "2nd": (Pronunciation(("AA", "N")),)})
    own = Aligner(aligner.model, aligner.lexicon.extend(words))
    said = own.align(audio_dir / "kitchen_light_on.wav", "turn 2nd the Kitchen-Light!")
    assert [each.word.text for each in said.words] == ["turn", "2nd", "the", "Kitchen-Light"]


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(OptionError, match="beam must be above 0"):
        AlignOptions(beam=0)


def test_a_narrow_search_that_fails_is_made_again_wider(
    aligner: Aligner, audio_dir: Path
) -> None:
    """The first one loses the way; only the second may find it."""
    narrow = AlignOptions(beam=1.0, max_active=1, retry_beam=0)
    once = Aligner(aligner.model, aligner.lexicon, narrow)
    twice = Aligner(aligner.model, aligner.lexicon, replace(narrow, retry_beam=1000.0))
    path, text = audio_dir / "timer_ten_minutes.wav", "set a timer for ten minutes"
    assert not once.align(path, text)
    assert twice.align(path, text).states == aligner.align(path, text).states


def test_array_file_and_other_rates_give_the_same(
    aligner: Aligner, audio_dir: Path, kitchen: Alignment
) -> None:
    samples, rate = soundfile.read(audio_dir / "kitchen_light_on.wav", dtype="float32")
    said = aligner.align(samples, "turn on the kitchen light", sample_rate=rate)
    assert said.states == kitchen.states


# --- the recogniser and the command line -------------------------------------


def test_a_recogniser_aligns_with_its_own_words(
    audio_dir: Path, tmp_path: Path, kitchen: Alignment
) -> None:
    grammar = tmp_path / "one.jsgf"
    grammar.write_text("#JSGF V1.0;\ngrammar one;\npublic <one> = turn on the glim;\n")
    recognizer = Recognizer.load("en-us", grammar=grammar, words={"glim": "L AY T"})
    said = recognizer.align(audio_dir / "kitchen_light_on.wav", "turn on the kitchen glim")
    assert said.states == kitchen.states and said.words[-1].word.text == "glim"
    with pytest.raises(MissingError, match="no lexicon"):
        Recognizer(recognizer.model, recognizer.graph).align(np.zeros(9), "a", sample_rate=16000)


def test_the_command_line_writes_json_with_scores_phones_and_states(
    audio_dir: Path, capsys: Captured
) -> None:
    path = str(audio_dir / "music_stop.wav")
    assert main(["align", path, "stop the music", "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["file"] == path and said["schema"] == 1
    assert [word["word"] for word in said["words"]] == ["stop", "the", "music"]
    assert said["timed_by"] == "en-us" and said["words"][0]["score"] > -4
    assert said["states"][0]["phone"] == "SIL"


def test_the_command_line_reads_a_text_file_and_says_what_is_wrong(
    audio_dir: Path, tmp_path: Path, capsys: Captured
) -> None:
    sound, text = str(audio_dir / "music_stop.wav"), tmp_path / "said.txt"
    text.write_text("Stop\nthe music.\n")
    assert main(["align", sound, "--text-file", str(text)]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == [
        "Stop", "the", "music",
    ]
    assert main(["align", sound]) == 2
    assert main(["align", sound, "stop", "--text-file", str(text)]) == 2
    assert main(["align", sound, "--text-file", str(tmp_path / "absent")]) == 1
    assert main(["align", sound, "stop " * 200]) == 1
    captured = capsys.readouterr()
    assert not captured.out and "absent: there is no such file" in captured.err
    assert "the text does not fit the sound" in captured.err


# --- against the peer --------------------------------------------------------


def test_word_boundaries_are_those_of_pocketsphinx(aligner: Aligner, data_dir: Path) -> None:
    """The five read sentences come with forced alignments of their own; the bar is 20 ms."""
    folder = data_dir / "native_dictation"
    found, wanted = [], []
    for line in (folder / "transcription").read_text().splitlines():
        *words, name = line.replace("<s>", "").replace("</s>", "").split()
        name = name.strip("()")
        content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        peer = [word for word in content["w"] if not re.fullmatch(r"<.*>|\[.*\]", word["t"])]
        assert [re.sub(r"\(\d+\)$", "", word["t"]) for word in peer] == words
        wanted += [time for word in peer for time in (word["b"], word["b"] + word["d"])]
        said = aligner.align(folder / f"{name}.wav", " ".join(words))
        found += [time for each in said.words for time in (each.word.start, each.word.end)]
    difference = np.abs(np.array(found) - np.array(wanted))
    assert np.median(difference) <= 0.0201
    assert np.quantile(difference, 0.95) <= 0.05

"""After the search: another language model, the words of least risk, confidences, N-best lists."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factored_asr import Recognizer, Transcript
from factored_asr.audio.reading import read_audio
from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.explain import ExplainOptions
from factored_asr.language import (
    NGramModel,
    NGramScorer,
    columns,
    read_columns,
    write_arpa,
    write_columns,
)
from factored_asr.lattice import (
    Calibration,
    ConfidenceOptions,
    Lattice,
    SecondPassOptions,
    best_path,
    confusion_network,
    nbest,
    prune,
    second_pass,
    word_features,
)
from factored_asr.lattice.files import read_kaldi, read_slf
from factored_asr.lattice.path import PhoneSegment, WordSegment
from factored_asr.lattice.rescore import RescoreOptions
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.models.settings import DICTATION
from factored_asr.storage.cache import entries

WORDS = ("turn", "on", "off", "the", "kitchen", "light", "lights", "and", "a")
SAID = "turn on the kitchen light"
SOUND = "kitchen_light_on.wav"


def model(bigrams: dict[tuple[str, str], float], words: tuple[str, ...] = WORDS) -> NGramModel:
    """All words equally probable, but for some bigrams."""
    names = ("<eps>", "<s>", "</s>", *words)
    share = math.log(1 / (len(words) + 1))
    unigrams = (
        [[i] for i in range(1, len(names))], [-99.0] + [share] * (len(words) + 1),
        [0.0] * (len(names) - 1),
    )
    ids = [[names.index(one), names.index(other)] for one, other in bigrams]
    logs = np.log(list(bigrams.values()))
    tables = [unigrams, (ids, logs, [0.0] * len(ids))] if ids else [unigrams]
    return NGramModel.from_ngrams(names, tables)


def arpa(path: Path, bigrams: dict[tuple[str, str], float]) -> Path:
    write_arpa(model(bigrams), path)
    return path


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return arpa(tmp_path_factory.mktemp("lm") / "flat.arpa", {("<s>", "turn"): 0.3})


@pytest.fixture(scope="module")
def with_lattice(flat: Path, graph_cache: Path) -> Recognizer:
    asked = SecondPassOptions(keep=True, confidences=True)
    return Recognizer.load("en-us", lm=flat, second_pass=asked)


@pytest.fixture(scope="module")
def said(with_lattice: Recognizer, audio_dir: Path) -> Transcript:
    return with_lattice.transcribe(audio_dir / SOUND)


# --- through the recogniser ---------------------------------------------------


def test_words_keep_their_times_and_phones(
    flat: Path, said: Transcript, audio_dir: Path
) -> None:
    alone = Recognizer.load("en-us", lm=flat).transcribe(audio_dir / SOUND)
    assert alone.text == said.text == SAID
    assert alone.lattice is not None and alone.lattice.n_arcs == 0
    for word, same in zip(alone.words, said.words, strict=True):
        assert word.confidence is None and same.confidence is not None
        assert replace(same, confidence=None) == word


def test_confidences_are_probabilities(said: Transcript) -> None:
    assert all(word.confidence is not None and 0 <= word.confidence <= 1 for word in said.words)
    product = math.prod(word.confidence or 0.0 for word in said.words)
    assert said.confidence == pytest.approx(product)


def test_the_list_begins_with_the_text_and_repeats_none(said: Transcript) -> None:
    found = said.nbest(5)
    assert found[0].text == said.text
    assert len({each.text for each in found}) == len(found) > 1
    assert [each.cost for each in found] == sorted(each.cost for each in found)
    assert [word.start for word in found[0].words] == [word.start for word in said.words]


def test_language_costs_are_told_apart(said: Transcript, flat: Path) -> None:
    """By the exact back-off rule, from the words."""
    lattice = said.lattice
    assert lattice is not None and lattice.acoustic_scale != 1.0
    scorer = NGramScorer(model({("<s>", "turn"): 0.3}))
    for path in nbest(lattice, 3):
        state, log_prob = scorer.start(), 0.0
        for word in path.words:
            state, log = scorer.score_word(state, word)
            log_prob += log
        assert lattice.arc_lm[list(path.arcs)].sum() == pytest.approx(-log_prob, abs=1e-4)


def test_another_language_model_changes_the_words(
    flat: Path, with_lattice: Recognizer, audio_dir: Path, tmp_path: Path
) -> None:
    """One that knows only kitchen lights, and is trusted a lot."""
    lights = arpa(tmp_path / "lights.arpa", {("kitchen", "lights"): 0.999})
    weights = SecondPassOptions(rescore=RescoreOptions(lm_scale=30.0))
    second = Recognizer.load("en-us", lm=flat, rescore_lms=[lights], second_pass=weights)
    assert second.transcribe(audio_dir / SOUND).text == "turn on the kitchen lights"
    explained = second.explain(audio_dir / SOUND, options=ExplainOptions(without=()))
    assert explained.transcript.text == SAID  # of the first pass, whose costs are explained
    assert explained.second_pass == "turn on the kitchen lights"
    mixed = Recognizer.load(
        "en-us", lm=flat, rescore_lms=[lights, flat], lm_weights=[0.0, 1.0],
    )
    assert mixed.transcribe(audio_dir / SOUND).text == SAID


def test_the_whole_model_rescores_what_a_pruned_one_found(
    audio_dir: Path, tmp_path: Path
) -> None:
    """The first pass has unigrams only; the only bigram is in the second."""
    lights = arpa(tmp_path / "lights.arpa", {("kitchen", "lights"): 0.999})
    weights = RescoreOptions(lm_scale=30.0)
    settings = replace(Bundle.find("en-us").dictation, max_ngrams=len(model({}).words) - 1)

    def recognizer(whole: bool) -> Recognizer:
        asked = SecondPassOptions(rescore=weights, whole_lm=whole)
        return Recognizer.load("en-us", lm=lights, options=replace(settings, second_pass=asked))

    assert recognizer(False).transcribe(audio_dir / SOUND).text == SAID
    assert recognizer(True).transcribe(audio_dir / SOUND).text == "turn on the kitchen lights"
    plain = SecondPassOptions(whole_lm=True)
    both = Recognizer.load("en-us", lm=lights, options=replace(settings, second_pass=plain))
    assert both.recipe is not None and both.recipe.second_lms == (lights,)
    explained = both.explain(audio_dir / SOUND, options=ExplainOptions(without=()))
    assert explained.transcript.text == SAID
    assert abs(explained.costs.total - explained.cost) < 1e-3


def test_all_of_a_model_in_the_graph_needs_no_second_pass(flat: Path) -> None:
    settings = replace(DICTATION, max_ngrams=0, second_pass=SecondPassOptions(whole_lm=True))
    assert Recipe(Bundle.find("en-us"), lm=flat, options=settings).second_lms == ()


def test_further_words_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "more.dict").write_text("dorrit D AO R IH T\n")
    bundle = Bundle.find("en-us")
    more = Recipe(replace(bundle, words=tmp_path / "more.dict"))
    assert more.read_lexicon().missing(["dorrit", "kitchen"]) == ()
    assert Recipe(bundle).read_lexicon().missing(["dorrit"]) == ("dorrit",)
    assert more.key() != Recipe(bundle).key()
    own = replace(more, lexicon=Path(bundle.lexicon or ""))
    assert own.read_lexicon().missing(["dorrit"]) == ("dorrit",)


def test_a_word_penalty_alone_reweighs_the_first_model(
    flat: Path, audio_dir: Path
) -> None:
    few = SecondPassOptions(rescore=RescoreOptions(word_insertion_penalty=1e3))
    found = Recognizer.load("en-us", lm=flat, second_pass=few).transcribe(audio_dir / SOUND)
    assert found.lattice is not None
    assert len(found.words) == min(len(path.words) for path in nbest(found.lattice, 200)) <= 5


def test_a_stream_ends_with_the_same_second_pass(
    with_lattice: Recognizer, audio_dir: Path
) -> None:
    samples, _ = read_audio(audio_dir / SOUND)
    stream = with_lattice.stream(redecode=True)
    stream.accept(samples)
    found, whole = stream.finish(), with_lattice.transcribe(samples, sample_rate=16000)
    assert found == whole and found.confidence is not None
    assert [each.text for each in found.nbest(3)] == [each.text for each in whole.nbest(3)]


def test_silence_has_no_alternatives(with_lattice: Recognizer, audio_dir: Path) -> None:
    silence = with_lattice.transcribe(audio_dir / "silence.wav")
    assert silence.nbest(3) == () and silence.confidence is None


def test_what_cannot_be_is_refused(flat: Path, audio_dir: Path, tmp_path: Path) -> None:
    plain = Recognizer.load("en-us", lm=flat).transcribe(audio_dir / SOUND)
    with pytest.raises(OptionError, match="N-best list needs a lattice"):
        plain.nbest(3)
    grammar = Path(__file__).parent.parent / "lm" / "smart_home.yaml"
    with pytest.raises(OptionError, match="grammar has no language model"):
        Recognizer.load("en-us", grammar=grammar, rescore_lms=[flat])
    with pytest.raises(MissingError, match="absent.arpa: no such language model"):
        Recognizer.load("en-us", lm=flat, rescore_lms=[tmp_path / "absent.arpa"])
    with pytest.raises(OptionError, match="need as many weights"):
        Recognizer.load("en-us", lm=flat, rescore_lms=[flat], lm_weights=[0.5, 0.5])


# --- over a small lattice -----------------------------------------------------


def network_of(*places: dict[str, float]) -> Lattice:
    """Words with their probabilities, place by place, ten frames each; "" is silence."""
    names = ("<eps>", *sorted({word for place in places for word in place if word}))
    rows = [(i, word, p) for i, place in enumerate(places) for word, p in place.items()]
    source = np.array([i for i, *_ in rows], np.int32)
    nothing = np.zeros(len(rows))
    return Lattice(
        10 * len(places), node_frame=np.arange(len(places) + 1, dtype=np.int32) * 10,
        words=names, arc_source=source, arc_target=source + 1, arc_lm=nothing,
        arc_word=np.array([names.index(w) if w else 0 for _, w, _ in rows], np.int32),
        arc_pronunciation=np.zeros(len(rows), np.int32), arc_graph=nothing,
        arc_acoustic=-np.log([p for *_, p in rows]),
        final=np.array([np.inf] * len(places) + [0.0]),
    )


def test_calibration_is_what_makes_a_posterior_a_probability() -> None:
    lattice = network_of({"a": 0.7, "b": 0.3})
    asked = SecondPassOptions(confidences=True)
    plain = ConfidenceOptions(scale=1.0)
    assert second_pass(lattice, asked, plain).confidences == pytest.approx((0.7,))
    less = replace(plain, calibration=Calibration(offset=-1.0, slope=0.5))
    expected = less.calibration.probability([0.7])
    assert second_pass(lattice, asked, less).confidences == pytest.approx(tuple(expected))


def test_features_tell_correct_words_from_wrong() -> None:
    """Two words in 0.2 s are ten a second; a beam leaves the second one competitor of two."""
    lattice = prune(network_of({"a": 1.0}, {"b": 0.6, "c": 0.35, "d": 0.05}), 2.0)
    two_phones = PhoneSegment("B", 10, 15), PhoneSegment("B", 15, 20)
    words = WordSegment("a", 1, 0, 10), WordSegment("b", 2, 10, 20, two_phones)
    with pytest.raises(OptionError, match="frame_seconds, which is not known"):
        word_features(lattice, words)
    lattice = replace(lattice, frame_seconds=0.01)
    features = word_features(lattice, words)
    assert features[:, 0].tolist() == [5.0, 5.0]
    assert features[:, 1] == pytest.approx([math.log(2)] * 2)
    assert features[:, 2] == pytest.approx([math.log(2), math.log(3)])
    assert word_features(lattice, []).shape == (0, 5)
    assert features[:, 3:].tolist() == [[0.0, 0.75]] * 2  # what is not known
    likeliest = np.repeat([0.9, 0.5, 0.4], [5, 5, 10])
    known = replace(lattice, arc_lm=3.0 + np.arange(lattice.n_arcs),
                    clarity=np.stack([likeliest, np.full(20, 0.9)], axis=1).astype(np.float32))
    assert word_features(known, words)[:, 3:].ravel() == pytest.approx([3.0, 0.7, 2.0, 0.4])
    calibration = Calibration(0.0, 1.0, (0.0, 0.0, -2.0))
    found = second_pass(
        lattice, SecondPassOptions(confidences=True), ConfidenceOptions(calibration=calibration)
    )
    assert found.confidences == pytest.approx(
        tuple(calibration.probability(
            [slot.confidence for slot in confusion_network(lattice, scale=0.3).words],
            features[:, :3],
        ))
    )


def test_least_risk_drops_a_word_that_is_more_likely_not_there() -> None:
    """Each of three ways to say something is less probable than all ways to say nothing."""
    lattice = network_of({"a": 0.9, "b": 0.1}, {"c": 0.3, "": 0.25, "d": 0.2})
    lattice = replace(
        lattice, arc_word=np.where(lattice.arc_word == 4, 0, lattice.arc_word),
    )
    best = best_path(lattice)
    assert best is not None and best.words == ("a", "c")
    found = second_pass(lattice, SecondPassOptions(minimise_risk=True), ConfidenceOptions())
    assert [segment.word for segment in found.segments] == ["a"]
    assert (found.segments[0].start, found.segments[0].end) == (0, 10)


def test_a_model_that_allows_nothing_leaves_the_first_words() -> None:
    lattice = network_of({"yes": 0.9, "no": 0.1})
    first = NGramScorer(model({}, ("yes", "no")))
    never = NGramScorer(model({}, ("maybe",)), unknown_log_prob=-math.inf)
    found = second_pass(lattice, SecondPassOptions(), ConfidenceOptions(), scorer=never,
                        first=first)
    assert [segment.word for segment in found.segments] == ["yes"]
    with pytest.raises(OptionError, match="needs that of the first pass"):
        second_pass(lattice, SecondPassOptions(), ConfidenceOptions(), scorer=never)


@pytest.mark.parametrize(("options", "message"), [
    ({"scale": 0.0}, "scale of posteriors"), ({"beam": -1.0}, "beam must be 0 or more"),
])
def test_options_are_checked(options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ConfidenceOptions(**options)


# --- language models kept between runs ----------------------------------------


def test_a_model_comes_back_from_its_columns(tmp_path: Path) -> None:
    made = model({("turn", "on"): 0.5, ("turn", "off"): 0.4})
    write_columns(made, tmp_path / "lm")
    back = read_columns(tmp_path / "lm")
    assert back.words == made.words and back.counts == made.counts
    sentence = ["turn", "off", "the", "light"]
    assert back.score_sentence(sentence) == made.score_sentence(sentence)
    assert isinstance(back.orders[1].log_prob, np.memmap)
    assert not (tmp_path / "lm" / "2.backoff.npy").exists()  # all zero
    for order, other in zip(back.orders, made.orders, strict=True):
        assert np.array_equal(order.backoff, other.backoff)


@pytest.mark.parametrize("break_it", [
    lambda folder: (folder / "2.word.npy").unlink(),
    lambda folder: np.save(folder / "2.word.npy", np.zeros(7, np.int32)),
    lambda folder: np.save(folder / "2.parent.npy", np.full(2, 99, np.int32)),
    lambda folder: (folder / "manifest.json").write_text("{}"),
    lambda folder: (folder / "words.txt").write_text("one\n"),
])
def test_damaged_columns_are_refused(tmp_path: Path, break_it) -> None:
    write_columns(model({("turn", "on"): 0.5, ("turn", "off"): 0.4}), tmp_path)
    break_it(tmp_path)
    for file in tmp_path.glob("*.npy"):
        os.utime(file, (1, 1))  # that an edit comes later than a clock of coarse steps tells
    with pytest.raises((FormatError, OptionError)):
        read_columns(tmp_path)


def test_columns_are_checked_where_they_have_changed(tmp_path: Path, monkeypatch) -> None:
    write_columns(model({("turn", "on"): 0.5, ("turn", "off"): 0.4}), tmp_path)
    checked: list[Path] = []
    monkeypatch.setattr(columns, "_check", lambda model, folder: checked.append(folder))
    read_columns(tmp_path)
    assert not checked
    os.utime(tmp_path / "2.word.npy", (1, 1))
    read_columns(tmp_path)
    assert checked == [tmp_path]


def test_one_look_up_equals_many() -> None:
    made = model({("turn", "on"): 0.5, ("the", "light"): 0.4})
    for order in (0, 1, 2):
        rows, words = np.meshgrid(np.arange(-1, 12), np.arange(0, 14))
        many = made.extend(order, rows.ravel(), words.ravel())
        one = [
            made.child(order, int(r), int(w))
            for r, w in zip(rows.ravel(), words.ravel(), strict=True)
        ]
        assert one == many.tolist()


def test_a_language_model_is_read_once(flat: Path, with_lattice: Recognizer) -> None:
    kept = [entry for entry in entries() if entry.about.get("kind") == "language model"]
    assert any(entry.about["language"] == "flat.arpa" for entry in kept)


# --- on the command line ------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["transcribe", "--model", "en-us", "--quiet", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_the_command_line_gives_lists_and_confidences(
    flat: Path, audio_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = audio_dir / SOUND
    lines = run(capsys, "--lm", flat, "--nbest", 3, sound).splitlines()
    assert [line.split("\t")[0] for line in lines] == ["1", "2", "3"]
    assert lines[0].split("\t")[2] == SAID
    asked = ("--lm", flat, "--nbest", 2, "--confidence", "--mbr", "--format", "json", sound)
    content = json.loads(run(capsys, *asked))
    assert content["alternatives"][0]["text"] == SAID and len(content["alternatives"]) == 2
    assert 0 <= content["words"][0]["confidence"] <= 1
    ctm = run(capsys, "--lm", flat, "--confidence", "--format", "ctm", sound).splitlines()
    assert len(ctm[0].split()) == 6
    again = ("--rescore-lm", flat, "--rescore-scale", 1.2, "--rescore-penalty", 0.1)
    assert run(capsys, "--lm", flat, *again, sound) == SAID + "\n"


def test_the_command_line_writes_lattices(
    flat: Path, audio_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = audio_dir / SOUND
    for name in ("a.slf", "a.dot", "a.txt"):
        run(capsys, "--lm", flat, "--lattice-output", tmp_path / name, sound)
    slf = best_path(read_slf(tmp_path / "a.slf"))
    kaldi = best_path(read_kaldi(tmp_path / "a.txt", acoustic_scale=0.11)["kitchen_light_on"])
    assert slf is not None and kaldi is not None
    assert " ".join(slf.words) == " ".join(kaldi.words) == SAID
    assert slf.cost == pytest.approx(kaldi.cost, abs=1e-6)
    assert (tmp_path / "a.dot").read_text().startswith("digraph lattice {")
    two = ["transcribe", "--quiet", "--lm", str(flat), str(sound), str(sound)]
    assert main([*two, "--lattice-output", str(tmp_path / "b.slf")]) == 2
    assert "one lattice goes into a file .slf" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [
    ["--nbest", "-1"], ["--nbest", "2", "--digits"], ["--nbest", "2", "--format", "ctm"],
])
def test_wrong_usage_is_exit_code_2(wrong: list[str]) -> None:
    assert main(["transcribe", *wrong, "a.wav"]) == 2

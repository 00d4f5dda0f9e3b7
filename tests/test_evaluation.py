"""Scoring: errors against jiwer, intervals against kaldialign, and whole evaluations."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factored_asr import Recognizer
from factored_asr.cli import main
from factored_asr.corpus.corpus import Corpus
from factored_asr.corpus.utterance import Utterance
from factored_asr.errors import MissingError, OptionError
from factored_asr.evaluation import Errors, Scored, bootstrap, evaluate, score
from factored_asr.evaluation.scoring import nearest_pronunciation, total
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.models.settings import DICTATION
from factored_asr.training import tune as tuning
from factored_asr.training.data import cepstra_of

words = st.lists(st.sampled_from("abc"), max_size=7)


# --- counting ---------------------------------------------------------------


@settings(deadline=None)
@given(said=words, heard=words)
def test_errors_are_those_of_jiwer(said: list[str], heard: list[str]) -> None:
    jiwer = pytest.importorskip("jiwer")
    errors = score("u", "ann", said, heard).errors
    if not said:  # which jiwer refuses
        assert errors == Errors(0, insertions=len(heard))
        return
    theirs = jiwer.process_words(" ".join(said), " ".join(heard))
    assert errors.total == theirs.substitutions + theirs.deletions + theirs.insertions
    assert errors.insertions - errors.deletions == len(heard) - len(said)
    assert errors.rate == pytest.approx(theirs.wer)


def test_an_alignment_can_be_read() -> None:
    scored = score("u", "ann", "set the kitchen light".split(), "Set kitchen lights now".split())
    assert scored.reference == "set the kitchen light"
    assert scored.hypothesis == "set kitchen lights now"
    with pytest.warns(DeprecationWarning, match="use Scored.reference"):
        assert scored.said == scored.reference
    assert scored.describe().splitlines() == [
        "ref  set THE kitchen LIGHT  *",
        "hyp  set *   kitchen LIGHTS NOW",
        "         D           S      I",
    ]
    assert scored.errors == Errors(4, substitutions=1, deletions=1, insertions=1)


def test_rates_without_words() -> None:
    assert np.isnan(Errors().rate)
    assert Errors(2, insertions=5).rate == 2.5


def test_of_several_pronunciations_the_nearest_counts() -> None:
    lexicon = Lexicon({
        "either": (Pronunciation(("IY", "DH", "ER")), Pronunciation(("AY", "DH", "ER"))),
        "tomato": (Pronunciation(tuple("T AH M EY T OW".split())),
                   Pronunciation(tuple("T AH M AA T OW".split()))),
    })
    heard = "AY DH ER T AH M EY OW".split()
    said = nearest_pronunciation(["either", "tomato"], heard, lexicon)
    assert said == tuple("AY DH ER T AH M EY T OW".split())
    assert score("u", "ann", said, heard).errors == Errors(9, deletions=1)
    assert nearest_pronunciation(["either"], [], lexicon) in {p.phones for p in lexicon["either"]}
    with pytest.raises(MissingError, match="xyzzy"):
        nearest_pronunciation(["xyzzy"], [], lexicon)


# --- the interval -----------------------------------------------------------


def many(n_speakers: int, seed: int = 0) -> list[Scored]:
    """Ten utterances a speaker, each speaker with a rate of errors of its own."""
    rng = np.random.default_rng(seed)
    scored = []
    for speaker in range(n_speakers):
        rate = rng.uniform(0, 0.5)
        for _ in range(10):
            said = rng.choice(list("abcdefgh"), size=rng.integers(1, 9)).tolist()
            heard = ["x" if rng.random() < rate else word for word in said]
            scored.append(score("u", f"s{speaker}", said, heard))
    return scored


def test_the_interval_over_utterances_is_kaldialigns() -> None:
    kaldialign = pytest.importorskip("kaldialign")
    scored = many(6)
    ours = bootstrap(scored, "utterances")
    theirs = kaldialign.bootstrap_wer_ci(
        [s.reference.split() for s in scored], [s.hypothesis.split() for s in scored],
        replications=4000,
    )
    assert ours.low == pytest.approx(theirs["ci95min"], abs=0.01)
    assert ours.high == pytest.approx(theirs["ci95max"], abs=0.01)
    assert ours.low < total(scored).rate < ours.high


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of 60 samples of 20 speakers from one world, about 95 % hold its mean rate, 0.25."""
    held = 0
    for seed in range(60):
        interval = bootstrap(many(20, seed), "speakers", n_draws=300)
        held += interval.low <= 0.25 <= interval.high
    assert 50 <= held <= 60


def test_the_interval_says_how_it_came_about() -> None:
    assert bootstrap(many(6)).unit == "utterances"
    interval = bootstrap(many(8), seed=5)
    assert (interval.unit, interval.n_units, interval.seed) == ("speakers", 8, 5)
    assert "by bootstrap over 8 speakers (10000 draws, seed 5)" in str(interval)
    assert interval == bootstrap(many(8), seed=5)
    with pytest.raises(OptionError, match="without words in the reference"):
        bootstrap([score("u", "ann", [], ["a"])])
    with pytest.raises(OptionError, match="unit is 'words'"):
        bootstrap(many(2), "words")  # type: ignore[arg-type]


# --- whole evaluations ------------------------------------------------------


@pytest.fixture(scope="module")
def commands(graph_cache: Path) -> Recognizer:
    return Recognizer.load("en-us", grammar="lm/smart_home.yaml")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory, audio_dir: Path) -> Path:
    """Two sounds and the cepstra of a third, one of them with a wrong text."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = [
        ("1", audio_dir / "kitchen_light_on.wav", "ann", "turn on the kitchen light"),
        ("2", audio_dir / "blinds_open.wav", "ben", "open the brown blinds in the living room"),
        ("3", folder / "timer.mfc", "ben", "SET a timer for ten minutes"),
    ]
    cepstra = Corpus.read(write(folder, [("3", audio_dir / "timer_ten_minutes.wav", "a", "b")]))
    values = cepstra_of(cepstra.utterances[0], front_end()).astype(">f4")
    (folder / "timer.mfc").write_bytes(struct.pack(">i", values.size) + values.tobytes())
    return write(folder, rows)


def write(folder: Path, rows: list[tuple[str, Path, str, str]]) -> Path:
    lines = ["id\tpath\tspeaker\ttext", *("\t".join(map(str, row)) for row in rows)]
    (folder / "corpus.tsv").write_text("\n".join(lines) + "\n")
    return folder / "corpus.tsv"


def front_end():  # type: ignore[no-untyped-def]
    from factored_asr.features import FrontEnd
    from factored_asr.models.bundle import Bundle

    return FrontEnd(Bundle.find("en-us").acoustic_model().features)


def test_a_corpus_of_sounds_and_cepstra(commands: Recognizer, manifest: Path) -> None:
    done = []
    result = evaluate(
        commands, Corpus.read(manifest), jobs=2, tick=lambda n, of: done.append((n, of))
    )
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert [s.hypothesis for s in result.scored] == [
        "turn on the kitchen light", "open the blinds in the living room",
        "set a timer for ten minutes",
    ]
    assert result.errors == Errors(19, deletions=1)
    assert result.by_speaker["ben"] == Errors(14, deletions=1)
    text = result.describe()
    assert "ref  open the BROWN blinds in the living room" in text
    assert "WER 5.26 %: 0 substituted, 1 deleted, 0 inserted of 19 words in 3 utterances" in text


def test_cepstra_are_heard_as_their_sound(
    commands: Recognizer, manifest: Path, audio_dir: Path
) -> None:
    given = commands.transcribe(manifest.parent / "timer.mfc")
    expected = commands.transcribe(audio_dir / "timer_ten_minutes.wav")
    assert given.words == expected.words
    assert given.interpretation and expected.interpretation
    # Cepstra of a file are rounded, and costs of whole searches with them.
    confidence = expected.interpretation.confidence
    assert given.interpretation.confidence == pytest.approx(confidence, abs=1e-6)
    assert replace(given.interpretation, confidence=confidence) == expected.interpretation


def test_evaluate_on_the_command_line(
    manifest: Path, capsys: pytest.CaptureFixture[str], graph_cache: Path
) -> None:
    arguments = ["evaluate", "--model", "en-us", "--corpus", str(manifest),
                 "--grammar", "lm/smart_home.yaml"]
    assert main([*arguments, "--format", "json", "--speakers", "ben", "--phones"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["n_words"], result["deletions"]) == (14, 1)
    assert result["speakers"]["ben"]["wer"] == pytest.approx(1 / 14)
    assert result["interval"]["unit"] == "utterances"
    assert (result["phones"]["deletions"], result["phones"]["substitutions"]) == (4, 0)  # B R AW N
    assert main([*arguments, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert "WER 5.26 %" in out and err == ""
    assert main([*arguments, "--speakers", "eve"]) == 1
    assert "no speaker 'eve' among 2" in capsys.readouterr().err


def test_what_cannot_be_evaluated_is_named_and_the_rest_is(
    manifest: Path, capsys: pytest.CaptureFixture[str], graph_cache: Path
) -> None:
    broken = manifest.with_name("broken.tsv")
    broken.write_text(manifest.read_text() + "4\tgone.wav\tben\tstop\n")
    arguments = ["evaluate", "--model", "en-us", "--corpus", str(broken),
                 "--grammar", "lm/smart_home.yaml"]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert f"{broken}:5: 4: its sound" in err
    assert "in 3 utterances" in out


# --- tuning -----------------------------------------------------------------


class TestTuning:
    """Settings are walked through downhill; what each one errs is made up here."""

    @staticmethod
    def tune(
        monkeypatch: pytest.MonkeyPatch, wrong: Callable[[float, float], int], **how: object
    ) -> tuning.Tuning:
        corpus = Corpus((Utterance("u", "ann", ("yes",), Path("u.wav")),))
        monkeypatch.setattr(tuning, "build_graph", lambda *given: given[-1].word_penalty)
        monkeypatch.setattr(
            tuning, "_errors", lambda model, penalty, options, *_: Errors(
                100, substitutions=wrong(1 / options.acoustic_scale, penalty)
            ),
        )
        start = replace(DICTATION, graph=replace(DICTATION.graph, word_penalty=0.0))
        return tuning.tune(None, Lexicon({}), None, corpus, start, **how)  # type: ignore[arg-type]

    def test_a_valley_aslant_is_followed_to_its_end(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def wrong(scale: float, penalty: float) -> int:  # least at 4.5 and 6
            return round(2 * abs(2 * scale + penalty - 15) + abs(penalty - 6))

        found = self.tune(monkeypatch, wrong)
        swept = [each for each in found.tried if each.word_penalty == 0]
        assert min(swept, key=lambda each: each.errors.total).lm_scale == 8
        assert (found.best.lm_scale, found.best.word_penalty) == (4.5, 6)
        assert found.options.acoustic_scale == pytest.approx(1 / 4.5)
        assert found.options.graph.word_penalty == 6
        settings = [(each.lm_scale, each.word_penalty) for each in found.tried]
        assert len(set(settings)) == len(settings) < 25

    def test_nothing_better_is_no_reason_to_move(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = self.tune(monkeypatch, lambda scale, penalty: 7, lm_scales=(8.0, 10.0))
        assert (found.best.lm_scale, found.options.graph.word_penalty) == (8.0, 0.0)

    def test_what_cannot_be_walked_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for how in ({"lm_scales": ()}, {"penalty_step": 0.0}):
            with pytest.raises(OptionError, match="tuning needs LM scales and a penalty_step"):
                self.tune(monkeypatch, lambda scale, penalty: 1, **how)

"""Scoring of transcript files: peers agree, published figures come out, bad files are named."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.evaluation import Errors, score
from factored_asr.evaluation.normalise import Rules, read_replacements
from factored_asr.evaluation.report import ScoreOptions, score_files
from factored_asr.evaluation.scoring import character_errors, total
from factored_asr.evaluation.significance import (
    compare_errors,
    segment_test,
    segments,
    wilson,
)
from factored_asr.evaluation.transcript_files import LAYOUTS
from factored_asr.evaluation.transcripts import Transcripts

words = st.lists(st.sampled_from(["a", "ab", "b", "ba"]), min_size=1, max_size=8)


def write(folder: Path, name: str, *lines: str) -> Path:
    (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / name


# --- peers and published figures --------------------------------------------


@settings(deadline=None, max_examples=200)
@given(said=words, heard=words)
def test_words_and_letters_are_counted_as_jiwer_and_kaldialign_do(
    said: list[str], heard: list[str]
) -> None:
    jiwer, kaldialign = pytest.importorskip("jiwer"), pytest.importorskip("kaldialign")
    scored = score("u", "ann", said, heard)
    assert scored.errors.rate == pytest.approx(jiwer.wer(" ".join(said), " ".join(heard)))
    assert character_errors([scored]).rate == pytest.approx(
        jiwer.cer(" ".join(said), " ".join(heard))
    )
    theirs = kaldialign.edit_distance(said, heard)
    assert scored.errors.total == theirs["total"]
    as_sclite = score("u", "ann", said, heard, weights="sclite").errors
    theirs = kaldialign.edit_distance(said, heard, sclite_mode=True)
    assert (as_sclite.substitutions, as_sclite.deletions, as_sclite.insertions) == (
        theirs["sub"], theirs["del"], theirs["ins"]
    )


PUBLISHED = {
    "4t0c0202": (
        "for a two trillion dollar business built on public confidence this trend is "
        "disheartening at best and downright dangerous at worst",
        "freed to trying to lure business built on public confidence this trend is this "
        "tightening and best and downright dangerous at worst",
        Errors(21, 7, 0, 1),
    ),
    "4t0c0203": (
        "so far this year the industry slide has been apparent in allegations of insider trading "
        "by fund managers unsavory fund sales practices at banks and the use of high risk "
        "derivative securities in normally conservative money market funds",
        "so far this year the industry slide has been apparent in allegations of insider trading "
        "by fund managers and save refund sales practices at banks and use of high risk "
        "derivative securities in early conservative money market funds",
        Errors(38, 3, 1, 1),
    ),
    "2347-a-000": (
        "i've { um / uh / @ } as far as i'm concerned",
        "they pride about as far as i'm i",
        Errors(7, 3, 0, 1),
    ),
    "2347-a-001": (
        "i find that the young women have lost so much because they have become more aggressive "
        "and more dominating",
        "are fine but the young women have lost so much too because they have become more "
        "aggressive and more jobs needing",
        Errors(19, 4, 0, 2),
    ),
}
"""Utterances and counts that NIST's SCTK shows in its doc/outputs.htm (and, for the alternatives,
doc/infmts.htm); a work of the United States Government, in the public domain."""


@pytest.mark.parametrize("weights", ["sclite", "levenshtein"])
def test_published_examples_of_sclite(weights: str, tmp_path: Path) -> None:
    reference = write(tmp_path, "ref.trn", *(f"{r} ({u})" for u, (r, _, _) in PUBLISHED.items()))
    heard = write(tmp_path, "hyp.trn", *(f"{h} ({u})" for u, (_, h, _) in PUBLISHED.items()))
    report = score_files(
        Transcripts.read(reference), [Transcripts.read(heard)],
        ScoreOptions(weights=weights, speaker=r"^([^-]+-a|...)"),  # type: ignore[arg-type]
    )
    assert {s.id: s.errors for s in report.systems[0].scored} == {
        name: errors for name, (_, _, errors) in PUBLISHED.items()
    }
    assert set(report.systems[0].to_dict()["speakers"]) == {"4t0", "2347-a"}


def test_counts_are_those_of_sclite_itself(tmp_path: Path) -> None:
    if shutil.which("sctk") is None:
        pytest.skip("no sclite: apt-get install sctk")
    rng = np.random.default_rng(5)
    texts: dict[str, list[str]] = {"ref": [], "hyp": []}
    for number in range(100):
        said = rng.choice(list("abcdefg"), size=rng.integers(1, 12))
        heard = [w if rng.random() < 0.8 else rng.choice(list("abcdefg")) for w in said
                 for _ in range(rng.choice([0, 1, 2], p=[0.1, 0.8, 0.1]))]
        for name, words in (("ref", said), ("hyp", heard)):
            texts[name].append(f"{' '.join(words)} (s-{number})")
    files = [write(tmp_path, f"{name}.trn", *lines) for name, lines in texts.items()]
    theirs = subprocess.run(
        ["sctk", "sclite", "-r", str(files[0]), "trn", "-h", str(files[1]), "trn", "-i", "spu_id",
         "-o", "rsum", "stdout"], capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout
    row = next(line for line in theirs.splitlines() if line.startswith("| Sum") or " Sum " in line)
    _, n_words, _, *errors = map(int, re.findall(r"\d+", row)[:6])
    reference, hypothesis = map(Transcripts.read, files)
    report = score_files(reference, [hypothesis], ScoreOptions(weights="sclite"))
    assert total(report.systems[0].scored) == Errors(n_words, *errors)


REFERENCE = {
    "a-1": "it was the best of times it was the worst of times it was",
    "a-2": "one two three four five six seven",
    "b-1": "she had your dark suit in greasy wash water all year",
    "b-2": "so far this year",
}
FIRST = {
    "a-1": "its the best of times it is the worst of times or it was",
    "a-2": "one too three for five six seven",
    "b-1": "she had your dark suit in greasy wash water all year",
    "b-2": "so far this ear",
}
SECOND = {
    "a-1": "it was the best times it won the test of times it was",
    "a-2": "one two tree four five six seven",
    "b-1": "she has your dark suit and greasy wash water year",
    "b-2": "so far that here",
}


def test_segments_are_cut_where_both_are_right() -> None:
    """The example of Jurafsky and Martin, Speech and Language Processing (2nd ed.), section 9.8:
    four segments, in which the first system errs 2, 0, 1, 1 and the second 0, 1, 2, 0 times."""
    said = REFERENCE["a-1"].split()
    one, two = (score("1", "", said, text["a-1"].split()) for text in (FIRST, SECOND))
    assert segments(one, two) == [(2, 0), (0, 1), (1, 2), (1, 0)]
    n, z, p = segment_test(segments(one, two))
    # differences 2, -1, -1, 1: mean 1/4, variance (1.75² + 2 · 1.25² + 0.75²) / 3 = 2.25
    assert (n, z) == (4, pytest.approx(0.25 / (1.5 / 2)))
    assert p == pytest.approx(0.7389, abs=1e-4)


def test_matched_pairs_are_those_of_sc_stats() -> None:
    """NIST's sc_stats (SCTK 2.4.10) finds p = 0.582 here; it looks z up to two places, 0.55."""
    scored = [
        [score(u, "", REFERENCE[u].split(), text[u].split()) for u in REFERENCE]
        for text in (FIRST, SECOND)
    ]
    found = compare_errors(("one", "two"), scored[0], scored[1])
    assert found.n_segments == 9
    assert found.z == pytest.approx(-0.5547, abs=1e-4)
    assert found.p_segments == pytest.approx(0.582, abs=0.004)
    assert found.difference == pytest.approx(7 / 36 - 9 / 36)


def test_an_error_at_the_end_of_one_system_counts() -> None:
    one = score("1", "", ["so", "far"], ["so", "far", "so", "good"])
    assert segments(one, score("1", "", ["so", "far"], ["so", "far"])) == [(2, 0)]


def test_a_difference_that_is_everywhere_the_same_is_no_chance() -> None:
    assert segment_test([(1, 0)] * 100)[2] < 1e-6
    assert segment_test([(1, 0)] * 2)[2] > 0.1
    assert segment_test([(1, 1)] * 100)[1:] == (0.0, 1.0)
    assert segment_test([]) == (0, 0.0, 1.0)


def test_the_paired_bootstrap_is_kaldialigns() -> None:
    kaldialign = pytest.importorskip("kaldialign")
    rng = np.random.default_rng(3)
    said = [rng.choice(list("abcdefgh"), size=rng.integers(2, 9)).tolist() for _ in range(300)]
    heard = [
        [["x" if rng.random() < rate else word for word in words] for words in said]
        for rate in (0.2, 0.24)
    ]
    scored = [
        [score(str(i), "", *pair) for i, pair in enumerate(zip(said, side, strict=True))]
        for side in heard
    ]
    ours = compare_errors(("one", "two"), *scored)
    # The share of draws in which the second is better; ours counts ties, rare here, against it.
    share = kaldialign.bootstrap_wer_ci(said, *heard)["p_s2_improv_over_s1"]
    assert ours.p_bootstrap == pytest.approx(2 * min(share, 1 - share), abs=0.02)
    assert 0.02 < ours.p_bootstrap < 0.9
    assert ours.low < ours.difference < ours.high


def test_wilsons_interval() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263 and 15 of 148."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


# --- rules ------------------------------------------------------------------


@pytest.mark.parametrize(("rules", "text", "expected"), [
    ("none", "Uh, Twenty-one!", "Uh, Twenty-one!"),
    ("case", "Uh, Twenty-one!", "uh, twenty-one!"),
    ("case,punctuation", "“Don’t,” he said: 3.5 a.m. at £1,000", "don't he said 3.5 am at £1000"),
    ("case,fillers", "Uh, turn [noise] it um on <unk> ++cough++", "turn it on"),
    ("case,digits", "wait twenty one days or two", "wait 21 days or 2"),
    ("all", "Uh: a twelve-ounce latte, 12/24 please.", "a 12 ounce latte 12 24 please"),
])
def test_each_rule_can_be_switched(rules: str, text: str, expected: str) -> None:
    assert " ".join(Rules.named(rules).apply(text)) == expected


def test_replacements_from_a_file(tmp_path: Path) -> None:
    file = write(
        tmp_path, "en.glm", ";; plain part of a GLM", "* name", "going to => gonna",
        "[Gonna To] => [want to] / [ ] __ [ ]", "okay =>", "",
    )
    assert read_replacements(file)["going", "to"] == ("gonna",)
    rules = Rules.named("case", file)
    assert rules.apply("Okay going to gonna to going") == ("gonna", "want", "to", "going")
    off = "(not fillers, punctuation, numbers, digits)"
    assert str(rules) == f"rules: case, 3 replacements of {file} {off}"
    for line, message in (("a b", "must be: old words => new words"),
                          ("a => b / [c] __ [ ]", "contexts and alternatives are not known"),
                          ("going to => x", "'going to' is there already")):
        broken = write(tmp_path, "bad.glm", "going to => gonna", line)
        with pytest.raises(FormatError, match=f"bad.glm:2: {message}"):
            read_replacements(broken)
    with pytest.raises(MissingError, match="gone.glm"):
        Rules.named("case", tmp_path / "gone.glm")
    with pytest.raises(OptionError, match="'spelling' is no rule; there are all, none, case"):
        Rules.named("case,spelling")


# --- files ------------------------------------------------------------------


def test_every_format_says_the_same(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "a.trn", "so far (one)", "this year (two)"),
        write(tmp_path, "a.stm", ";; comment", "one 1 ann 0 2 <o,f> so far",
              "two 1 ben 0 2 this year"),
        write(tmp_path, "a.ctm", "one 1 0.1 0.2 so", "one 1 0.5 0.2 far 0.9",
              "two 1 0.5 0.2 year", "two 1 0.1 0.2 this"),
        write(tmp_path, "a.tsv", "path\ttext", "in/one.wav\tso far", "two.wav\tthis year"),
        write(tmp_path, "a.jsonl", '{"file": "in/one.wav", "text": "so far", "words": []}',
              '{"id": "two", "text": "this year"}'),
        write(tmp_path, "text", "one so far", "two this year"),
    ]
    for file, layout in zip(files, ("auto",) * 5 + ("kaldi",), strict=True):
        entries = Transcripts.read(file, layout).entries
        assert {k: e.text for k, e in entries.items()} == {"one": "so far", "two": "this year"}
    assert Transcripts.read(files[1]).entries["two"].speaker == "ben"


def test_words_with_times_go_where_their_middles_lie(tmp_path: Path) -> None:
    """As sclite 2.4.10 scores these two files: 0, 2 and 2 insertions (and, told that words in
    brackets are optional, these errors)."""
    reference = write(
        tmp_path, "r.stm", "f 1 ann 0.00 2.00 one two three",
        "f 1 ann 2.00 3.00 IGNORE_TIME_SEGMENT_IN_SCORING",
        "f 1 bob 4.00 6.00 <o,m> i've { um / uh / @ } four five", "f 1 bob 8.00 9.00 (uh) six",
    )
    times = {0.1: "one", 0.5: "two", 1.95: "free", 2.3: "junk", 3.1: "gap", 3.8: "gapb",
             4.1: "i've", 4.5: "four", 4.9: "five", 6.5: "gap2", 7.9: "gap3", 8.1: "six", 9.6: "x"}
    heard = write(tmp_path, "h.ctm", *(f"f 1 {t} 0.20 {w}" for t, w in times.items()))
    report = score_files(Transcripts.read(reference), [Transcripts.read(heard)])
    assert [s.hypothesis for s in report.systems[0].scored] == [
        "one two", "gap gapb i've four five", "gap2 gap3 six x"
    ]
    assert total(report.systems[0].scored) == Errors(8, 1, 1, 4)
    assert report.ignored == ("f-1-2.00",) and report.complete
    assert "1 segments of the reference are ignored" in report.describe()
    untimed = write(tmp_path, "h.trn", "one two i've four five six (f)")
    with pytest.raises(OptionError, match="r.stm:2: a segment to be ignored"):
        score_files(Transcripts.read(reference), [Transcripts.read(untimed)])


def test_without_times_recordings_are_taken_whole(tmp_path: Path) -> None:
    reference = write(tmp_path, "r.stm", "f 1 ann 0 2 so far", "f 1 bob 2 3 so good")
    systems = [write(tmp_path, "h.trn", "so far so bad (f)"),
               write(tmp_path, "h.ctm", "f 1 0.5 0.5 so", "f 1 2.2 0.5 good")]
    report = score_files(Transcripts.read(reference), [Transcripts.read(s) for s in systems])
    assert [total(s.scored) for s in report.systems] == [Errors(4, 1), Errors(4, deletions=2)]
    assert len(report.differences) == 1


def test_lines_of_our_own_json_are_cut_by_their_times(tmp_path: Path) -> None:
    said = [{"word": "so", "start": 0.1, "end": 0.5}, {"word": "good", "start": 2.2, "end": 2.9}]
    heard = write(tmp_path, "h.jsonl", json.dumps({"file": "x/f.wav", "text": "", "words": said}))
    reference = write(tmp_path, "r.stm", "f A ann 0 2 so", "f A bob 2 3 so good")
    report = score_files(Transcripts.read(reference), [Transcripts.read(heard)])
    assert [s.hypothesis for s in report.systems[0].scored] == ["so", "good"]


def test_alternatives_that_fit_best_count(tmp_path: Path) -> None:
    reference = write(tmp_path, "r.trn", "a { b { c / d } / e f } (g) (1)")
    for heard, errors in (("a b d", 0), ("a e f g", 0), ("a b g", 1), ("a", 2)):
        hypothesis = write(tmp_path, "h.trn", f"{heard} (1)")
        report = score_files(Transcripts.read(reference), [Transcripts.read(hypothesis)])
        assert total(report.systems[0].scored).total == errors
    write(tmp_path, "r.trn", "fine (0)", "a { b (1)")
    write(tmp_path, "h.trn", "a (1)")
    with pytest.raises(FormatError, match="r.trn:2: a brace without its other one"):
        score_files(Transcripts.read(tmp_path / "r.trn"), [Transcripts.read(tmp_path / "h.trn")])


@pytest.mark.parametrize(("name", "lines", "message"), [
    ("a.trn", ["so far"], "a.trn:1: must end with the utterance's id"),
    ("a.trn", ["so (1)", "far (1)"], "a.trn:2: '1' is there already in line 1"),
    ("a.stm", ["f 1 ann 0"], "a.stm:1: must be: file, channel, speaker"),
    ("a.stm", ["f 1 ann 3 2 so"], "a.stm:1: ends at 2 s, before it starts at 3 s"),
    ("a.ctm", [";;", "f 1 0.1 so"], "a.ctm:2: must be: file, channel, start, length"),
    ("a.ctm", ["f 1 x 0.1 so"], "a.ctm:1: 'x' is no time in seconds"),
    ("a.ctm", ["f 1 * * <ALT_BEGIN>"], "a.ctm:1: alternatives are known in trn and stm only"),
    ("a.tsv", ["one\ttwo"], "a.tsv:1: the header must name id or path"),
    ("a.tsv", ["id\ttext", "1"], "a.tsv:2: 1 columns, the header has 2"),
    ("a.tsv", ["id\ttext\tslots", "1\ta\t{"], "a.tsv:2: no JSON"),
    ("a.json", ['{"id": 1, "text": "a"}', "{"], "a.json:2: no JSON"),
    ("a.json", ['{"id": 1, "text": 5}', "{}"], "a.json:1: text must be a string, is 5"),
    ("a.json", ['{"id": 1, "text": "a"}', '{"text": "b"}'], "a.json:2: names no id, file or path"),
    ("a.json", ['{"id": 1, "words": [{"word": "a"}]}'], "a.json:1: each word must have"),
    ("a.json", ['{"id": 1, "intent": "a", "slots": [1]}'], "a.json:1: slots must be an object"),
    ("a.json", ["["], "no JSON"),
    ("a.json", ["[", "5", "]"], "a.json: entry 1 must be an object, is 5"),
    ("a.json", [], "a.json: holds not a single transcript"),
])
def test_bad_files_are_named_with_their_line(
    name: str, lines: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(FormatError, match=message):
        Transcripts.read(write(tmp_path, name, *lines))


def test_what_is_no_text_is_no_transcript(tmp_path: Path) -> None:
    (tmp_path / "a.trn").write_bytes(b"so f\xe4r (1)\n")
    with pytest.raises(FormatError, match="not UTF-8"):
        Transcripts.read(tmp_path / "a.trn")
    with pytest.raises(MissingError, match="no such file"):
        Transcripts.read(tmp_path / "b.trn")
    with pytest.raises(OptionError, match="its name does not tell the format"):
        Transcripts.read(tmp_path / "text")
    with pytest.raises(OptionError, match="format is 'word'"):
        Transcripts.read(tmp_path / "a.trn", "word")


@settings(deadline=None, max_examples=300)
@given(text=st.text(st.sampled_from('a1 .\t\n(){}/@[]":;<>,-é'), max_size=60),
       layout=st.sampled_from(LAYOUTS[1:]))
def test_no_text_breaks_a_reader(
    tmp_path_factory: pytest.TempPathFactory, text: str, layout: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_text(text, encoding="utf-8")
    try:
        report = score_files(*(lambda t: (t, [t]))(Transcripts.read(file, layout)))
    except (FormatError, OptionError):
        return
    assert report.complete


# --- the command ------------------------------------------------------------


def test_two_systems_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        str(write(tmp_path, f"{name}.trn", *(f"{text} ({u})" for u, text in texts.items())))
        for name, texts in (("ref", REFERENCE), ("one", FIRST), ("two", SECOND))
    ]
    assert main(["score", *files]) == 0
    out = capsys.readouterr().out
    assert "ref  she HAD your dark suit IN  greasy wash water ALL year" in out
    assert "WER 19.44 %: 5 substituted, 1 deleted, 1 inserted of 36 words" in out
    assert "-5.56 points of WER" in out and "matched pairs, 9 segments, z = -0.55" in out
    assert "rules: case (not fillers, punctuation, numbers, digits); alignment: levenshtein" in out
    assert main(["score", *files, "--format", "json", "--speaker", "^(.)"]) == 0
    found = json.loads(capsys.readouterr().out)
    one = found["systems"][0]
    assert (one["wer"], one["n_words"]) == (pytest.approx(7 / 36), 36)
    assert one["speakers"]["b"]["substitutions"] == 1
    assert one["confusions"]["insertions"] == [["or", 1]]
    assert one["utterances"][3]["pairs"][3] == ["year", "ear"]
    assert found["differences"][0]["n_segments"] == 9
    assert main(["score", *files, "--speaker", "^("]) == 2
    assert "no regular expression" in capsys.readouterr().err


def test_annotations_that_are_skipped_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = write(tmp_path, "r.trn", "so [noise] far (1)", "[noise] so good [cough] (2)")
    hypothesis = write(tmp_path, "h.trn", "so far (1)", "so good <unk> (2)")
    command = ["score", "--brief", str(reference), str(hypothesis), "--normalise"]
    assert main([*command, "case,fillers"]) == 0
    out, err = capsys.readouterr()
    assert "WER 0.00 %" in out
    assert "4 annotations are skipped: [noise] (2), [cough], <unk>" in err
    assert main([*command, "case"]) == 0
    out, err = capsys.readouterr()
    assert "skipped" not in err and "WER 0.00 %" not in out


def test_missing_and_extra_utterances_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = write(tmp_path, "r.trn", "so far (1)", "so good (2)")
    hypothesis = write(tmp_path, "h.trn", "so far (1)", "oh (3)")
    assert main(["score", str(reference), str(hypothesis), "--brief"]) == 1
    out, err = capsys.readouterr()
    assert "50.00 %: 0 substituted, 2 deleted, 0 inserted of 4 words" in out
    assert "1 utterances not in the hypotheses, counted as empty: 2" in err
    assert "1 utterances not in the reference, left out: 3" in err
    strange = write(tmp_path, "s.trn", "so far (4)")
    assert main(["score", str(reference), str(strange)]) == 1
    assert "has none of the 2 utterances" in capsys.readouterr().err


def test_commands_and_false_actions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = {
        "a.wav": {"intent": "order", "slots": {"drink": "latte", "size": "small"}},
        "b.wav": {"intent": "order", "slots": {"drink": "mocha"}},
        "c.wav": {"intent": "order", "slots": {}}, "d.wav": {"intent": None},
        "e.wav": {"intent": None},
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels, indent=1))
    meanings = {"a": {"drink": "latte", "size": "small", "roast": "dark"}, "b": {"drink": "latte"},
                "c": None, "d": {"drink": "mocha"}, "e": None}
    heard = write(tmp_path, "h.jsonl", *(
        json.dumps({"file": f"{name}.wav", "text": "", "interpretation": slots and {
            "intent": "order", "slots": slots, "text": "", "confidence": 1.0
        }}) for name, slots in meanings.items()
    ))
    assert main(["score", str(tmp_path / "labels.json"), str(heard), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["systems"][0]
    assert found["wer"] is None
    counts = found["understood"]
    assert (counts["commands"], counts["accepted"], counts["wrong"], counts["unanswered"]) == (
        3, 1, 1, 1
    )
    assert counts["slots"]["precision"] == pytest.approx(2 / 4)
    assert counts["slots"]["recall"] == pytest.approx(2 / 3)
    assert (counts["others"], counts["false_action_rate"]) == (2, 0.5)
    assert main(["score", str(tmp_path / "labels.json"), str(heard)]) == 0
    assert "commands accepted 33.3 % (1 of 3; 95 % interval" in capsys.readouterr().out

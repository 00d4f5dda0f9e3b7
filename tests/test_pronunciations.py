"""Probabilities of pronunciations, learnt from how the words of a corpus were said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from support import synthetic

from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.training.data import TrainingData
from factored_asr.training.em import Trained
from factored_asr.training.monophone import MonoOptions, train_mono
from factored_asr.training.pronunciations import count_pronunciations, weigh_pronunciations
from factored_asr.training.schedule import Schedule


def said(*ways: str) -> tuple[Pronunciation, ...]:
    return tuple(Pronunciation(tuple(way.split())) for way in ways)


@pytest.fixture(scope="module")
def corpus() -> synthetic.Corpus:
    return synthetic.speak(40)


@pytest.fixture(scope="module")
def trained(corpus: synthetic.Corpus) -> Trained:
    schedule = Schedule(passes=8, realign=tuple(range(2, 9)), n_gaussians=8, grow_until=6)
    states = synthetic.STATES
    options = MonoOptions(schedule=schedule, states=states, silence_states=states)
    return train_mono(corpus.data, synthetic.lexicon(), None, options)


def renamed(data: TrainingData, names: Mapping[str, str]) -> TrainingData:
    return replace(data, utterances=tuple(
        replace(u, words=tuple(names.get(word, word) for word in u.words)) for u in data.utterances
    ))  # fmt: skip


def test_every_word_is_counted_as_it_was_said(
    corpus: synthetic.Corpus, trained: Trained
) -> None:
    counts = count_pronunciations(corpus.data, trained)
    spoken = [word for u in corpus.data.utterances for word in u.words]
    assert {word: sum(ways.values()) for word, ways in counts.items()} == {
        word: spoken.count(word) for word in set(spoken)
    }
    lexicon = synthetic.lexicon()
    for word, ways in counts.items():
        assert set(ways) <= {way.phones for way in lexicon.find(word)}


def test_one_word_for_two_is_told_apart_by_its_sounds(
    corpus: synthetic.Corpus, trained: Trained
) -> None:
    """Two words become ways to say one: how often each was said is found again."""
    from factored_asr.training.alignment import align_all

    lexicon = synthetic.lexicon()
    words = [word for word in lexicon if len(lexicon[word]) == 1]
    first, second = words[:2]
    both = Lexicon({"either": (*lexicon[first], *lexicon[second])})
    merged = renamed(corpus.data, {first: "either", second: "either"})
    aligned = align_all(merged, lexicon.extend(both), trained.model)
    found = count_pronunciations(merged, replace(trained, alignments=aligned))["either"]
    spoken = [word for u in corpus.data.utterances for word in u.words]
    wanted = np.array([spoken.count(first), spoken.count(second)])
    heard = np.array([found[lexicon[word][0].phones] for word in (first, second)])
    assert np.abs(heard - wanted).max() <= 0.05 * wanted.sum() + 1


def test_an_utterance_that_failed_counts_for_nothing(
    corpus: synthetic.Corpus, trained: Trained
) -> None:
    none = replace(trained, alignments=(None,) * len(corpus.data))
    assert count_pronunciations(corpus.data, none) == {}


def test_what_is_never_said_is_unlikely_and_not_impossible() -> None:
    lexicon = Lexicon({
        "a": said("AH", "EY"), "the": said("DH AH", "DH IY"), "tea": said("T IY"),
    })
    weighed = weigh_pronunciations(lexicon, {"a": {("EY",): 99}, "tea": {("T", "IY"): 3}})
    assert [(*p.phones, p.probability) for p in weighed["a"]] == [("AH", 0.01), ("EY", 1.0)]
    assert weighed["the"] == lexicon["the"]  # never heard: nothing is known
    assert weighed["tea"] == lexicon["tea"]
    with pytest.raises(OptionError, match="imagined must be above 0, got 0"):
        weigh_pronunciations(lexicon, {}, 0)

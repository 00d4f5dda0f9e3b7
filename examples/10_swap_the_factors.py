"""Swap the factors: where do the errors come from?

Acoustic model, lexicon and language model are trained apart, so each can be swapped alone. Every
combination of three acoustic models, two lexicons and three language models is tested on the same
speakers, and the table shows the gain of each factor next to the others:

* monophones, triphones, and speaker-adaptive triphones, trained on half an hour of AN4;
* the dictionary made by hand, and one guessed from the spelling by rules learnt from other words;
* any word after any word, words by their frequency, and pairs of words, of the training texts.

    python examples/10_swap_the_factors.py --data DATA

trains and measures on DATA/an4, ten minutes or so on one core, writes 10_swap_the_factors.json and
draws 10_swap_the_factors.png. Without --data the figures of an earlier run, committed in
examples/results/, are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from drawing import figure, found_by, output_folder, save

from factored_asr import Recognizer
from factored_asr.acoustic import GmmModel
from factored_asr.corpus.corpus import Corpus
from factored_asr.evaluation.evaluate import evaluate
from factored_asr.graph import build_graph
from factored_asr.language import EstimateOptions, NGramModel, estimate, read_lm
from factored_asr.lexicon import Lexicon
from factored_asr.lexicon.g2p_training import train_g2p
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.models.settings import DecodeOptions
from factored_asr.recognizer.speaker import SpeakerOptions
from factored_asr.training.data import load_data
from factored_asr.training.run import train

STAGES = ("mono", "tri", "lda_mllt", "sat")
MODELS = {"monophones": 1, "triphones": 2, "speaker-adaptive": 4}  # after so many stages
SCALE = 0.12  # of log-likelihoods against the language model: as in example 09


def main() -> None:
    """Measure if there is data, else take what was measured; then draw."""
    found = found_by(__file__, measure)
    print(f"{found['guessed_right']} of {found['lexicon_words']} words are guessed as in the "
          "dictionary")  # fmt: skip
    for row in found["rows"]:
        print(f"{row['acoustic']:17} {row['lexicon']:8} {row['language']:10} "
              f"{100 * row['rate']:5.1f} % of {row['words']} words wrong "
              f"({100 * row['low']:.1f} to {100 * row['high']:.1f})")  # fmt: skip
    draw(found)


def measure(data: Path) -> dict[str, Any]:
    """Test every combination on the speakers who were not trained on."""
    folder = data / "an4"
    by_hand = Lexicon.read(folder / "etc" / "an4.dic", fillers=folder / "etc" / "an4.filler")
    corpus = Corpus.read(folder)
    tuning, test = corpus.speakers[::8], corpus.select(corpus.speakers[4::8])
    teach = corpus.without([*tuning, *test.speakers])
    lexicons = {"by hand": by_hand, "guessed": guessed(by_hand)}
    languages = {
        "any word": read_lm(folder / "etc" / "an4.ug.lm"),
        "frequency": language_of(teach, by_hand, order=1),
        "word pairs": language_of(teach, by_hand, order=2),
    }
    rows = []
    for name, model in trained(teach, by_hand).items():
        for lexicon, language in product(lexicons, languages):
            graph = build_graph(model, lexicons[lexicon], languages[language])
            recognizer = Recognizer(model, graph, DecodeOptions(acoustic_scale=SCALE))
            adapt = SpeakerOptions() if model.first_pass is not None else None
            result = evaluate(recognizer, test, adapt=adapt)
            rows.append({
                "acoustic": name, "lexicon": lexicon, "language": language,
                "rate": result.errors.rate, "low": result.interval.low,
                "high": result.interval.high, "errors": result.errors.total,
                "words": result.errors.n_words,
            })  # fmt: skip
            print(f"decoded {len(rows)} of 18", end="\r", flush=True)
    print()
    same = sum(
        lexicons["guessed"][word][0].phones in {each.phones for each in by_hand[word]}
        for word in by_hand
    )
    return {"rows": rows, "lexicon_words": len(by_hand), "guessed_right": same,
            "test_speakers": len(test.speakers)}  # fmt: skip


def trained(teach: Corpus, lexicon: Lexicon) -> Mapping[str, GmmModel]:
    """The models after some of the stages; each stage builds on the one before it."""
    data, checkpoints = load_data(teach), output_folder() / "10_checkpoints"
    return {
        name: train(data, lexicon, STAGES[:n], checkpoints=checkpoints).trained.model
        for name, n in MODELS.items()
    }


def guessed(by_hand: Lexicon) -> Lexicon:
    """What someone writes who knows English spelling, and none of these words."""
    known = Recipe(Bundle.find("en-us")).read_lexicon()
    hidden = {word.lower() for word in by_hand}
    rules = train_g2p(Lexicon({word: known[word] for word in known if word not in hidden}))
    guesses = rules.lexicon(sorted(hidden))
    return Lexicon({word: guesses[word.lower()] for word in by_hand}, by_hand.fillers)


def language_of(teach: Corpus, lexicon: Lexicon, order: int) -> NGramModel:
    """Of the training texts, over all words of the lexicon."""
    options = EstimateOptions(order=order, vocabulary=set(lexicon), unknown=False)
    return estimate((utterance.words for utterance in teach), options)


def draw(found: dict[str, Any]) -> None:
    """A map of errors for each acoustic model."""
    rows = found["rows"]
    names = [list(dict.fromkeys(row[key] for row in rows))
             for key in ("acoustic", "lexicon", "language")]  # fmt: skip
    rates = np.array([100 * row["rate"] for row in rows]).reshape([len(each) for each in names])
    drawing, columns = figure(len(rates), 1, width=4.4, height=7)
    for axes, name, square in zip(columns, names[0], rates, strict=True):
        axes.imshow(square, cmap="Reds", vmin=0, vmax=rates.max())
        for (i, j), rate in np.ndenumerate(square):
            colour = "white" if rate > 0.6 * rates.max() else "black"
            axes.text(j, i, f"{rate:.1f} %", ha="center", va="center", color=colour)
        axes.set_title(name, fontsize=10)
        axes.set_xticks(range(len(names[2])), names[2])
        axes.set_yticks(range(len(names[1])), names[1])
        axes.set_ylabel("lexicon")
    columns[-1].set_xlabel("language model")
    title = f"Words wrong: {found['test_speakers']} speakers of AN4\nwho were not trained on"
    drawing.suptitle(title, fontsize=11)
    save(drawing, __file__)


if __name__ == "__main__":
    main()

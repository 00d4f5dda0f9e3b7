"""Bring your own model: the same words and lexicon with three acoustic models.

The factors meet at one array, (n_frames, n_pdfs) log-likelihoods, so each can be replaced without a
change of the others. Here the grammar and the lexicon stay, and the acoustic model is in
turn the en-us model, trained on hundreds of people; the one that example 05 trains on a minute of
synthetic voices; and en-us adapted to the speaker by MAP, with half of the words.

    python examples/07_bring_your_own_model.py

draws 07_bring_your_own_model.png: which of twenty words each model takes for which. A model of
your own comes in the same way: `Recognizer.load(FOLDER)` takes what `factored-asr train`,
`factored-asr adapt` or `factored-asr import` has written, and folders of Sphinx and Kaldi.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from drawing import HERE, figure, output_folder, read_corpus, read_lexicon, save

from factored_asr import Recognizer
from factored_asr.corpus.corpus import Corpus
from factored_asr.models.settings import DecodeOptions
from factored_asr.training.adapt import AdaptOptions, adapt
from factored_asr.training.data import load_data

VOICE = "awb"  # example 05 has not trained on it
GRAMMAR = HERE / "words" / "words.yaml"
LEXICON = HERE / "words" / "words.dict"


def main() -> None:
    """Hear one voice by three models."""
    corpus = read_corpus()
    words = sorted(corpus.words)
    spoken = corpus.select([VOICE])
    options = DecodeOptions(acoustic_scale=0.1)
    large, own = (
        Recognizer.load(model, grammar=GRAMMAR, lexicon=LEXICON, options=options)
        for model in ("en-us", own_model())
    )
    recognizers = {
        "en-us: hundreds of people": large,
        "example 05: seven synthetic voices": own,
        "en-us, moved by ten words of this voice": adapted(large, spoken, words[::2]),
    }
    drawing, columns = figure(1, 3, width=16, height=6)
    for axes, (name, recognizer) in zip(columns, recognizers.items(), strict=True):
        confusion = confusions(recognizer, spoken, words)
        unseen = confusion[1::2]  # the words that no model was adapted on
        right, unseen_right = np.trace(confusion), unseen[:, 1::2].trace()
        print(f"{name}: {right} of {confusion.sum()} words, {unseen_right} of {unseen.sum()} "
              "of those not adapted on")  # fmt: skip
        axes.imshow(confusion, cmap="Blues")
        axes.set_xticks(range(len(words) + 1), [*words, "nothing"], rotation=90)
        axes.set_yticks(range(len(words)), words)
        axes.set(title=f"{name}\n{right} of {confusion.sum()} right", xlabel="recognised",
                 ylabel="spoken")
    save(drawing, __file__)


def own_model() -> Path:
    """The folder that example 05 writes; it is run if it has not been."""
    folder = output_folder() / "words_model"
    if not folder.exists():
        example = HERE / "05_train_from_a_flat_start.py"
        subprocess.run([sys.executable, example, "--output", output_folder()], check=True)
    return folder


def adapted(recognizer: Recognizer, spoken: Corpus, words: list[str]) -> Recognizer:
    """The recogniser, its Gaussians adapted to the voice by these words."""
    chosen = Corpus(tuple(u for u in spoken.utterances if u.text in words))
    data = load_data(chosen, recognizer.model.features)
    options = AdaptOptions(method="map")
    return recognizer.with_model(adapt(data, read_lexicon(), recognizer.model, options))


def confusions(recognizer: Recognizer, spoken: Corpus, words: list[str]) -> np.ndarray:
    """(n_words, n_words + 1): how often each word was taken for each; the last column: nothing."""
    counts = np.zeros((len(words), len(words) + 1), int)
    for utterance in spoken.utterances:
        text = recognizer.transcribe(utterance.path).text
        found = words.index(text) if text in words else len(words)
        counts[words.index(utterance.text), found] += 1
    return counts


if __name__ == "__main__":
    main()

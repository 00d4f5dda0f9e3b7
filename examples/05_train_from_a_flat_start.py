"""Training from a flat start: monophones, and the gain of each pass.

At first every state of every phone has the same Gaussian, and the frames of a word are divided
equally among its states. Then, in turn: the model aligns the speech, and the model is re-estimated
from the aligned speech. The likelihood never falls while the alignment and the number of Gaussians
are fixed; it jumps where Gaussians are split. Training is on seven synthetic voices, the test on an
eighth.

    python examples/05_train_from_a_flat_start.py

draws 05_train_from_a_flat_start.png, and writes the model to output/words_model: a folder that
every command takes by --model, and that example 07 uses.
"""

from drawing import BLUE, GREY, HERE, RED, figure, output_folder, read_corpus, read_lexicon, save

from factored_asr import Recognizer
from factored_asr.evaluation.evaluate import evaluate
from factored_asr.features import FeatureOptions
from factored_asr.graph import build_graph
from factored_asr.language import Grammar
from factored_asr.models.folder import About, write_model
from factored_asr.models.settings import DecodeOptions
from factored_asr.training.data import load_data
from factored_asr.training.em import PassReport, Run, Schedule, Trained
from factored_asr.training.monophone import MonoOptions, train_mono

HELD_OUT = "awb"
SETTINGS = DecodeOptions(acoustic_scale=0.1)
LISTEN_AFTER = (1, 2, 4, 6, 8, 12, 16)


def main() -> None:
    """Train on seven voices, and test on the eighth after some of the passes."""
    corpus, lexicon = read_corpus(), read_lexicon()
    teach, test = corpus.without([HELD_OUT]), corpus.select([HELD_OUT])
    # These voices never went through a room or a microphone: there is neither noise nor a mean to
    # take off.
    data = load_data(teach, FeatureOptions(remove_noise=False, normalisation="none"))
    words = Grammar.read(HERE / "words" / "words.yaml")
    log: list[PassReport] = []
    accuracies = {}

    def test_now(number: int, so_far: Trained) -> None:
        """After some passes: how many words does the model recognise by now?"""
        if number in LISTEN_AFTER:
            graph = build_graph(so_far.model, lexicon, words)
            recognizer = Recognizer(so_far.model, graph, SETTINGS)
            errors = evaluate(recognizer, test).errors
            accuracies[number] = 1 - errors.rate
            print(f"{number:2} passes: {log[-1].n_gaussians} Gaussians, log-likelihood a frame "
                  f"{log[-1].log_likelihood:.2f}, {1 - errors.rate:.0%} of the new voice's "
                  "words right")  # fmt: skip

    schedule = Schedule(16, realign=tuple(range(2, 16)), n_gaussians=150, grow_until=10)
    trained = train_mono(
        data, lexicon, options=MonoOptions(schedule=schedule),
        run=Run(report=log.append, keep=test_now),
    )
    folder = output_folder() / "words_model"
    about = About("example 05, synthetic voices", settings={"commands": SETTINGS.to_dict()})
    write_model(folder, trained.model, lexicon=lexicon, about=about)
    print(f"model: {folder}")
    draw(log, accuracies)


def draw(log: list[PassReport], accuracies: dict[int, float]) -> None:
    """Likelihood and Gaussians over passes; their accuracy on a new voice."""
    drawing, (left, right) = figure(1, 2, width=11, height=4)
    passes = [done.number for done in log]
    left.plot(passes, [done.log_likelihood for done in log], "o-", color=BLUE)
    left.set(xlabel="pass", ylabel="log-likelihood a frame", title="training speech")
    sizes = left.twinx()
    sizes.step(passes, [done.n_gaussians for done in log], where="post", color=GREY, linestyle=":")
    sizes.set(ylabel="Gaussians (dotted)", ylim=(0, None))
    right.plot(list(accuracies), [100 * rate for rate in accuracies.values()], "o-", color=RED)
    right.set(xlabel="passes of training", ylabel="words right, %", ylim=(0, 103),
              title=f"the voice {HELD_OUT}, which was not trained on")  # fmt: skip
    save(drawing, __file__)


if __name__ == "__main__":
    main()

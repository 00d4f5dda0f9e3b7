"""One hidden Markov model by hand: Baum–Welch and Viterbi, and which of two words was spoken.

A word is a chain of states. Each state has a Gaussian that says how its frames sound, and a
probability of staying another frame. No label says which frame belongs to which state: Baum–Welch
(Rabiner 1989, sections III.A and III.C) distributes every frame over the states by its posterior,
then re-estimates the Gaussians; each pass makes the speech more likely. Two such words, learnt from
seven voices, are then recognised in an eighth.

    python examples/01_one_hmm_by_hand.py

draws 01_one_hmm_by_hand.png: the likelihood of each pass, and the states along one word.
"""

from dataclasses import dataclass

import numpy as np
from drawing import figure, read_corpus, save
from numpy.typing import NDArray
from scipy.special import logsumexp

from factored_asr.audio.reading import read_audio
from factored_asr.features import FrontEnd

Array = NDArray[np.float64]
WORDS = ("stop", "zero")
N_STATES, N_PASSES = 6, 12
HELD_OUT = "slt"


# --- the model: about eighty lines -----------------------------------------------------------


@dataclass
class Word:
    """A left-to-right HMM with one diagonal Gaussian a state."""

    means: Array  # (n_states, n_features)
    variances: Array  # (n_states, n_features)
    stay: Array  # (n_states,) probability of another frame in the same state

    def log_likelihoods(self, frames: Array) -> Array:
        """log p(frame | state), (n_frames, n_states): the Gaussian's formula, written out."""
        far = (frames[:, None] - self.means) ** 2 / self.variances
        return -0.5 * (far + np.log(2 * np.pi * self.variances)).sum(axis=2)

    def forward(self, scores: Array) -> Array:
        """alpha[t, s]: log p(frames up to t, state s at t)."""
        alpha = np.full_like(scores, -np.inf)
        alpha[0, 0] = scores[0, 0]  # every path begins in the first state
        for t in range(1, len(scores)):
            stayed = alpha[t - 1] + np.log(self.stay)
            came = np.append(-np.inf, alpha[t - 1, :-1] + np.log1p(-self.stay[:-1]))
            alpha[t] = np.logaddexp(stayed, came) + scores[t]
        return alpha

    def backward(self, scores: Array) -> Array:
        """beta[t, s]: log p(frames after t | state s at t)."""
        beta = np.full_like(scores, -np.inf)
        beta[-1, -1] = np.log1p(-self.stay[-1])  # every path ends by leaving the last state
        for t in range(len(scores) - 2, -1, -1):
            after = beta[t + 1] + scores[t + 1]
            beta[t] = np.log(self.stay) + after
            beta[t, :-1] = np.logaddexp(beta[t, :-1], np.log1p(-self.stay[:-1]) + after[1:])
        return beta

    def posteriors(self, frames: Array) -> tuple[Array, float]:
        """p(state at t | all frames), (n_frames, n_states), and log p(frames)."""
        scores = self.log_likelihoods(frames)
        both = self.forward(scores) + self.backward(scores)
        total = float(logsumexp(both[0]))
        return np.exp(both - total), total

    def viterbi(self, frames: Array) -> tuple[list[int], float]:
        """The likeliest state of each frame, and the log-likelihood of that one path."""
        scores = self.log_likelihoods(frames)
        best, came_from = np.full(len(self.stay), -np.inf), []
        best[0] = scores[0, 0]
        for t in range(1, len(scores)):
            stayed = best + np.log(self.stay)
            came = np.append(-np.inf, best[:-1] + np.log1p(-self.stay[:-1]))
            came_from.append(came > stayed)
            best = np.maximum(stayed, came) + scores[t]
        path = [len(self.stay) - 1]
        for moved in reversed(came_from):
            path.append(path[-1] - int(moved[path[-1]]))
        return path[::-1], float(best[-1] + np.log1p(-self.stay[-1]))


def flat_start(sounds: list[Array]) -> Word:
    """Each state gets an equal share of every utterance: wrong, but a start."""
    parts = [np.concatenate([np.array_split(x, N_STATES)[s] for x in sounds])
             for s in range(N_STATES)]  # fmt: skip
    n_frames = np.array([len(part) for part in parts])
    return Word(
        np.array([part.mean(axis=0) for part in parts]),
        np.array([part.var(axis=0) for part in parts]),
        1 - len(sounds) / n_frames,
    )


def baum_welch(word: Word, sounds: list[Array]) -> tuple[Word, float]:
    """One pass: a better word, and how likely the sounds were under the one given."""
    seen = [word.posteriors(frames) for frames in sounds]
    gamma = np.concatenate([posterior for posterior, _ in seen])
    frames = np.concatenate(sounds)
    occupancy = gamma.sum(axis=0)[:, None]
    means = gamma.T @ frames / occupancy
    variances = gamma.T @ frames**2 / occupancy - means**2
    floor = 0.01 * frames.var(axis=0)  # a state with few frames must not become certain
    stay = 1 - len(sounds) / occupancy[:, 0]  # each utterance leaves each state once
    return Word(means, np.maximum(variances, floor), stay), sum(total for _, total in seen)


# --- two words ------------------------------------------------------------------------------


def main() -> None:
    """Learn two words, tell them apart in a new voice, and draw what was learnt."""
    front_end = FrontEnd()
    words, likelihoods, held_out = {}, {}, {}
    for text in WORDS:
        sounds = []
        for utterance in read_corpus().utterances:
            if utterance.text == text:
                samples, _ = read_audio(utterance.path, sample_rate=16000)
                frames = front_end.features(samples).astype(np.float64)
                if utterance.speaker == HELD_OUT:
                    held_out[text] = frames
                else:
                    sounds.append(frames)
        word, n_frames = flat_start(sounds), sum(map(len, sounds))
        likelihoods[text] = []
        for _ in range(N_PASSES):
            word, total = baum_welch(word, sounds)
            likelihoods[text].append(total / n_frames)
        words[text] = word
        print(f'"{text}": log-likelihood a frame {likelihoods[text][0]:.2f} from the flat start,'
              f" {likelihoods[text][-1]:.2f} after {N_PASSES - 1} passes")  # fmt: skip
    for text, frames in held_out.items():
        totals = {each: word.posteriors(frames)[1] for each, word in words.items()}
        best = max(totals, key=lambda each: totals[each])
        margin = totals[best] - min(totals.values())
        print(f'{HELD_OUT} says "{text}": recognised "{best}", likelier by e^{margin:.0f}')
    draw(likelihoods, held_out[WORDS[0]], words[WORDS[0]])


def draw(likelihoods: dict[str, list[float]], frames: Array, word: Word) -> None:
    """The climb of Baum–Welch; and the Viterbi path over the posteriors of the states."""
    drawing, (left, right) = figure(1, 2, width=10, height=4)
    for text, climb in likelihoods.items():
        left.plot(range(1, len(climb) + 1), climb, marker="o", label=f'"{text}"')
    left.set(xlabel="pass of Baum–Welch", ylabel="log-likelihood a frame")
    left.legend()
    posteriors, _ = word.posteriors(frames)
    path, _ = word.viterbi(frames)
    seconds = np.arange(len(frames)) * 0.01
    right.imshow(posteriors.T, aspect="auto", origin="lower", cmap="Blues",
                 extent=(0, len(frames) * 0.01, 0.5, N_STATES + 0.5))  # fmt: skip
    right.step(seconds, np.array(path) + 1, where="post", color="#b3261e", label="Viterbi path")
    right.set(xlabel="time (s)", ylabel="state", title=f'"{WORDS[0]}" in a new voice')
    right.legend(loc="lower right")
    save(drawing, __file__)


if __name__ == "__main__":
    main()

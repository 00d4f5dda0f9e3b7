"""Commands, negation and repair: what rules understand and data rarely shows.

A person wants the bedroom light; "bedroom" is recognised as "kitchen". They say "no, don't turn on
the kitchen light", and mean: turn it off, and turn on the light that I named. A dialogue keeps its
actions and the other hypotheses, so that it can undo the one and do the other. Each line printed
shows the words, the actions, and the rules that led there.

    python examples/06_commands_negation_and_repair.py

draws 06_commands_negation_and_repair.png: the lights of the house, turn by turn.
"""

from textwrap import fill

import numpy as np
from drawing import GREY, RED, ROOT, figure, save

from factored_asr.dialogue import Dialogue, World
from factored_asr.language import Grammar

HOUSE = ROOT / "lm" / "house.yaml"
LIGHTS = ("kitchen", "bedroom", "hall", "porch")

# A text is certain; a list holds hypotheses with their probabilities.
Turn = str | list[tuple[str, float]]
CONVERSATION: tuple[Turn, ...] = (
    [("alexa turn on the kitchen light", 0.60), ("alexa turn on the bedroom light", 0.35)],
    "no alexa don't turn on the kitchen light",
    "don't turn on the hall light",
    "don't forget to turn on the porch light",
    "she said turn off the porch light",
    "turn on the kitchen no the hall light",
    "uh turn turn it um off please",
    "turn on every light except the kitchen",
    "and not the bedroom either",
    "unlock the front door",
    "no don't unlock the front door",
    "don't lock the front door",
)


def main() -> None:
    """Hold the conversation and keep how the lights stand after each turn."""
    house = Dialogue(Grammar.read(HOUSE), World.read(HOUSE))
    stands = [states_of(house)]
    done = []
    for number, turn in enumerate(CONVERSATION, start=1):
        outcome = house.hear(turn)
        stands.append(states_of(house))
        did = "; ".join(outcome.actions) or (outcome.question if outcome.ask else "nothing")
        done.append(did)
        print(f"{number:2}. {best_of(turn)}\n    → {did}")
        for rule in outcome.trace:
            print(f"      {rule}")
    draw(np.array(stands).T, done)


def best_of(turn: Turn) -> str:
    """The likeliest hypothesis."""
    return turn if isinstance(turn, str) else max(turn, key=lambda guess: guess[1])[0]


def states_of(house: Dialogue) -> list[bool]:
    """Which of the lights are on."""
    return [house.memory.states[f"{place} light"] == "on" for place in LIGHTS]


def draw(lit: np.ndarray, done: list[str]) -> None:
    """A row a light, a column a turn: yellow where it is on."""
    drawing, axes = figure(width=13, height=5.5)
    axes.imshow(lit, cmap="YlOrBr", vmin=0, vmax=2.6, aspect="auto")
    axes.set_yticks(range(len(LIGHTS)), LIGHTS)
    texts = ["at first", *(best_of(turn) for turn in CONVERSATION)]
    axes.set_xticks(range(len(texts)), texts, rotation=28, ha="right", fontsize=9)
    axes.set_xticks(np.arange(len(texts)) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(LIGHTS)) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    for turn, what in enumerate(done, start=1):
        asked = what.endswith("?")
        axes.text(turn, -0.62, fill(what.replace(";", ","), 15), ha="center", va="bottom",
                  fontsize=8,
                  color=RED if asked else "black" if what != "nothing" else GREY)  # fmt: skip
    axes.set_title("what is done after each sentence, and which lights are then on", pad=60)
    save(drawing, __file__)


if __name__ == "__main__":
    main()

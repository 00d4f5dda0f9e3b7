"""Commands, negation and repair: what rules understand and data rarely shows.

A person wants the bedroom light; "bedroom" is recognised as "kitchen". They say "no, don't turn on
the kitchen light", and mean: turn it off, and turn on the light that I named. A dialogue keeps its
actions and the other hypotheses, so that it can undo the one and do the other. Each line printed
shows the words, the actions, and the rules that led there.

    python examples/06_commands_negation_and_repair.py

draws 06_commands_negation_and_repair.png: the lights and the front door, turn by turn.
"""

from textwrap import fill

import numpy as np
from drawing import BLUE, GREY, RED, ROOT, figure, save
from matplotlib.patches import Rectangle

from factored_asr.dialogue import Dialogue, World
from factored_asr.language import Grammar

HOUSE = ROOT / "lm" / "house.yaml"
LIGHTS = ("kitchen", "bedroom", "hall", "porch")
DOOR = "front door"

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
    """Hold the conversation; keep the states of the lights and of the door after each turn."""
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
    draw(np.array(stands), done)


def best_of(turn: Turn) -> str:
    """The likeliest hypothesis."""
    return turn if isinstance(turn, str) else max(turn, key=lambda guess: guess[1])[0]


def states_of(house: Dialogue) -> list[bool]:
    """Which of the lights are on; last, whether the door is unlocked."""
    states = house.memory.states
    return [*(states[f"{place} light"] == "on" for place in LIGHTS), states[DOOR] == "unlock"]


def draw(stands: np.ndarray, done: list[str]) -> None:
    """A row a turn: the sentence, the actions, lights (yellow: on), door (red: unlocked)."""
    drawing, axes = figure(width=4.4, height=9)
    texts = ["at first", *(best_of(turn) for turn in CONVERSATION)]
    for row, (text, did, stand) in enumerate(zip(texts, ["", *done], stands, strict=True)):
        said = fill(text, 32)
        axes.text(-0.7, row, said, ha="right", va="bottom", fontsize=8)
        colour = RED if did.endswith("?") else GREY if did == "nothing" else BLUE
        axes.text(-0.7, row + 0.06, fill(did.replace(";", ","), 36), ha="right", va="top",
                  fontsize=7.5, color=colour)  # fmt: skip
        for column, active in enumerate(stand):
            on = RED if column == len(LIGHTS) else "#f2b233"
            axes.add_patch(Rectangle(
                (column - 0.45, row - 0.42), 0.9, 0.84, linewidth=0.5, edgecolor="#bbbbbb",
                facecolor=on if active else "white",
            ))  # fmt: skip
    axes.set_xticks(range(len(LIGHTS) + 1), [*LIGHTS, DOOR], rotation=90, fontsize=8)
    axes.set(xlim=(-8.2, len(LIGHTS) + 0.6), ylim=(len(texts) - 0.4, -0.6), yticks=[])
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.spines[:].set_visible(False)
    save(drawing, __file__)


if __name__ == "__main__":
    main()

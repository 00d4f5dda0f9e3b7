"""Dialogues: acts, negation and repair, the actions so far, the devices.

    words → Reader (acts, polarity, repair) → Utterance, a sequence of acts
          → Dialogue (earlier acts and actions, devices) → Outcome, actions or a question
"""

from factored_asr.dialogue.acts import Act, Utterance
from factored_asr.dialogue.dialogue import Dialogue, step
from factored_asr.dialogue.memory import Memory, Outcome
from factored_asr.dialogue.reader import Reader
from factored_asr.dialogue.scene import Scene
from factored_asr.dialogue.world import Deed, Kind, World

__all__ = [
    "Act", "Deed", "Dialogue", "Kind", "Memory", "Outcome", "Reader", "Scene", "Utterance",
    "World", "step",
]  # fmt: skip

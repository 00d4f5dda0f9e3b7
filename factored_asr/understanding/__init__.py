"""Understanding: what was said becomes what is meant, and in a conversation what is to be done.

    words → Understander (the grammar) → Interpretation
          → Reader (rules of acts, polarity, repair) → Utterance, a sequence of acts
          → Dialogue (what was said and done, what there is) → Outcome, actions or a question
"""

from factored_asr.understanding.acts import Act, Utterance
from factored_asr.understanding.dialogue import Dialogue, step
from factored_asr.understanding.interpretation import Interpretation, Slot
from factored_asr.understanding.memory import Memory, Outcome
from factored_asr.understanding.parse import Understander, parse
from factored_asr.understanding.reader import Reader
from factored_asr.understanding.scene import Scene
from factored_asr.understanding.world import Deed, Kind, World

__all__ = [
    "Act", "Deed", "Dialogue", "Interpretation", "Kind", "Memory", "Outcome", "Reader", "Scene",
    "Slot", "Understander", "Utterance", "World", "parse", "step",
]

"""What was said becomes what is meant: intents and slots by the grammar that was listened for."""

from factored_asr.understanding.interpretation import Interpretation, Slot
from factored_asr.understanding.parse import Understander, parse

__all__ = ["Interpretation", "Slot", "Understander", "parse"]

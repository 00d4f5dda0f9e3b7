"""The recogniser: sound to words and meaning, of whole files and of streams."""

from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.recognizer.speaker import SpeakerOptions
from factored_asr.recognizer.stream import Stream

__all__ = ["Recognizer", "SpeakerOptions", "Stream"]

"""Continuous listening: wake words, sound events, whisper, all on one stream of frames."""

from factored_asr.detectors.classifier import Classifier
from factored_asr.detectors.detection import Detection, Detector, DetectorSession, Listener, detect
from factored_asr.detectors.events import EventDetector, EventOptions, train_events
from factored_asr.detectors.frames import FrameBlock, FrameStream
from factored_asr.detectors.keywords import KeywordDetector, KeywordOptions
from factored_asr.detectors.voicing import VoicingDetector, VoicingOptions

__all__ = [
    "Classifier", "Detection", "Detector", "DetectorSession", "EventDetector", "EventOptions",
    "FrameBlock", "FrameStream", "KeywordDetector", "KeywordOptions", "Listener",
    "VoicingDetector", "VoicingOptions", "detect", "train_events",
]  # fmt: skip

"""Continuous listening: wake words, sound events, whisper, all on one stream of frames."""

from factored_asr.detectors.background import Background, read_background, write_background
from factored_asr.detectors.classifier import Classifier
from factored_asr.detectors.detection import Detection, Detector, DetectorSession, Listener, detect
from factored_asr.detectors.directed import DirectednessDetector
from factored_asr.detectors.events import EventDetector, EventOptions, train_events
from factored_asr.detectors.frames import FrameBlock, FrameStream
from factored_asr.detectors.keywords import KeywordDetector, KeywordOptions
from factored_asr.detectors.shared import SharedStream, reports
from factored_asr.detectors.voicing import VoicingDetector, VoicingOptions

__all__ = [
    "Background", "Classifier", "Detection", "Detector", "DetectorSession",
    "DirectednessDetector", "EventDetector", "EventOptions", "FrameBlock", "FrameStream",
    "KeywordDetector", "KeywordOptions", "Listener", "SharedStream", "VoicingDetector",
    "VoicingOptions", "detect", "read_background", "reports", "train_events", "write_background",
]  # fmt: skip

"""The model en-us-network: heads of ours on an encoder from a package, and their settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factored_asr.decoder import BeamOptions
from factored_asr.graph import BackgroundOptions, GraphOptions
from factored_asr.lattice import (
    Calibration,
    ConfidenceOptions,
    RescoreOptions,
    SecondPassOptions,
)
from factored_asr.lattice.rejection import DenialMargin, Margin, RejectionOptions
from factored_asr.models.settings import COMMANDS, DICTATION

FOLDER = Path(__file__).parent / "en_us_network"
"""The shipped heads, with their manifest."""

NETWORK_DICTATION = replace(
    DICTATION, acoustic_scale=0.9, prior_weight=0.7, align_words=True,
    beam=BeamOptions(beam=14.0, max_active=5000, lattice_beam=0.0), max_ngrams=1_000_000,
    graph=GraphOptions(silence_probability=1.0, filler_probability=0.0, transition_scale=0.0),
    second_pass=SecondPassOptions(whole_lm=True, rescore=RescoreOptions(lm_scale=1.1, beam=4.0)),
    confidence=ConfidenceOptions(
        calibration=Calibration(0.526, 0.153, (0.0, 0.0, -0.9, -0.3, 1.817))
    ),
)
"""Of dictation. The file of its language model has marks for this number of n-grams. Calibrated on
1,321 words: of the tuning speakers of tests/bench/accented.py, of native_dictation, and of the
prompts that tests/bench/dictation_lm.py tunes on; `second_pass.py --confidence` does it. Rate and
number of words, the first two features, do harm on speakers left out."""
NETWORK_UNTAUGHT = replace(
    COMMANDS, acoustic_scale=0.9, prior_weight=1.0, align_words=True,
    background=BackgroundOptions(word_cost=4.0, frame_cost=0.4, phone_cost=1.5),
    rejection=RejectionOptions(
        clean=Margin(word=1.0, words=4.0, frame=0.1), speech_a_phone=0.65,
        denied=DenialMargin(cost=2.0, speech=0.06), longest_phone=10.0, slowest_word=5.0,
    ),
    graph=GraphOptions(silence_probability=1.0, filler_probability=0.0, transition_scale=0.0),
)
"""Of commands, with a head that was not taught in noise. Background, margin and the least share of
speech were chosen on every fourth order, in the kitchen's noise, too, other speech and sudden
noises. Durations mean little, as a network's phones may stretch over pauses."""
NETWORK_COMMANDS = replace(
    NETWORK_UNTAUGHT, acoustic_scale=0.8, taught=True,
    rejection=replace(NETWORK_UNTAUGHT.rejection, clean=Margin(word=1.0, words=4.0, frame=0.15)),
)
"""Of commands, with the head that was taught in noise: chosen on the same sounds."""
NETWORK_CONVERSATION = NETWORK_UNTAUGHT.for_conversation()
"""Of what is said to a dialogue. What was taught in noise understands more turns there, and does
more that was not said: among so many sentences one is nearly always near."""

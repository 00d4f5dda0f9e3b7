"""The model en-us: files of the pocketsphinx package, and the settings fitted to them."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

from factored_asr.acoustic.gmm.tools import NoiseOptions
from factored_asr.errors import MissingError
from factored_asr.lattice import Calibration, ConfidenceOptions
from factored_asr.models.settings import COMMANDS, DICTATION, FRONT_ENDS

EN_US_COMMANDS = replace(COMMANDS, front_end=FRONT_ENDS["mask"], noise=NoiseOptions())
"""Of en-us, whose mel bands the shipped mask was learnt for and whose Gaussians can be moved."""

# tests/bench/second_pass.py --confidence --lms default --every 2: fitted on the tuning speakers of
# accented.py, of whose words 39 % were right; too careful on speech that is recognised better.
EN_US_DICTATION = replace(DICTATION, confidence=ConfidenceOptions(
    calibration=Calibration(0.763, 0.083, (2.384, -1.057, -1.094))
))

# Mean over speech of 55 speakers of speechocean762 (none of those that are held out).
EN_US_MEAN = (60.5, 5.7, 6.5, 4.6, -8.7, -3.1, -4.8, -3.4, -4.9, 2.2, 1.0, 2.3, 3.7)

EN_US_FRONT_END = {"initial_mean": EN_US_MEAN}
"""What its files do not say of the front end."""


def pocketsphinx_model_path() -> Path:
    """Folder ``model/en-us`` of the installed pocketsphinx package, found without importing it.

    It holds the acoustic model ``en-us``, a dictionary and a language model. Raises MissingError if
    the package is not installed, or carries no model.
    """
    spec = importlib.util.find_spec("pocketsphinx")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "model" / "en-us"
        if folder.is_dir():
            return folder
    raise MissingError("the en-us model is not there: pip install pocketsphinx==5.0.4 brings it; "
                       "Linux on ARM takes its files from another wheel, see Install in the docs")

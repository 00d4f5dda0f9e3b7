"""A neural acoustic model: the encoder of an end-to-end recogniser, frozen, with a head for phones.

`encoder.py` is the forward pass, `head.py` what is trained, `windows.py` how long sounds are cut.
"""

from factored_asr.acoustic.network.head import Head, read_head, write_head
from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.acoustic.network.moonshine import read_encoder
from factored_asr.acoustic.network.windows import Window

__all__ = ["Head", "NetworkModel", "Window", "read_encoder", "read_head", "write_head"]

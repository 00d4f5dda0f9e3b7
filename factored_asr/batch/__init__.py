"""Many sounds at once: processes, a cluster, runs that can be broken off and taken up again."""

from factored_asr.batch.cutting import CutOptions, Cutter, Piece, join, shifted
from factored_asr.batch.inputs import Input, find_inputs
from factored_asr.batch.run import (
    BatchReport,
    Failure,
    Progress,
    transcribe_files,
    transcribe_inputs,
)
from factored_asr.batch.work import BatchOptions

__all__ = [
    "BatchOptions", "BatchReport", "CutOptions", "Cutter", "Failure", "Input", "Piece", "Progress",
    "find_inputs", "join", "shifted", "transcribe_files", "transcribe_inputs",
]

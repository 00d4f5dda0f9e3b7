"""Transcribe many sounds: in processes or on a cluster; an interrupted run can be resumed."""

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

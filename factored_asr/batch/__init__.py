"""Transcribe many sounds: in processes or on a cluster; an interrupted run can be resumed."""

from factored_asr._deprecated import old_names
from factored_asr.batch.cutting import CutOptions, Cutter, Piece, join, shifted
from factored_asr.batch.inputs import Input, find_inputs
from factored_asr.batch.run import BatchReport, Failure, Progress, transcribe_files
from factored_asr.batch.work import BatchOptions

__all__ = ["BatchOptions", "BatchReport", "CutOptions", "Cutter", "Failure", "Input", "Piece",
           "Progress", "find_inputs", "join", "shifted", "transcribe_files"]
__getattr__ = old_names(__name__)

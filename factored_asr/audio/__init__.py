"""Sound: any file or array to samples, its headers, and mixing with noise."""

from factored_asr.audio.reading import Part, Samples, Source, as_samples, read_audio, read_blocks

__all__ = ["Part", "Samples", "Source", "as_samples", "read_audio", "read_blocks"]

"""What the first bytes of a file say that it is, whatever its name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

HEAD = 4096  # bytes that are enough to recognise any kind
_RAW_PROOF = 4  # a shorter mark may stand at the start of bare samples by chance


@dataclass(frozen=True)
class Kind:
    """A kind of content."""

    name: str
    """As it is called in messages, with its article."""
    reader: str
    """``wav``: read here; ``libsndfile``; ``ffmpeg``: the program; empty: it is no sound."""
    demuxer: str = ""
    """ffmpeg's name of it; empty where ffmpeg has none that suits."""
    sure: bool = True
    """False: bare samples might begin like this by chance."""


_WAV = Kind("a WAV file", "wav", "wav")
_MP3 = Kind("an MP3 file", "libsndfile", "mp3")
_MP4 = Kind("an MP4 or M4A file", "ffmpeg", "mov")
_SOX = "(sox converts it: sox FILE sound.wav)"
_TEXT = Kind("a text", "")
_HTML = Kind("an HTML page, perhaps the error page of a server", "")

# (offset, bytes, kind)
_MARKS: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"fLaC", Kind("a FLAC file", "libsndfile", "flac")),
    (0, b"OggS", Kind("an Ogg file", "libsndfile", "ogg")),
    (0, b"ID3", _MP3),
    (0, b".snd", Kind("an AU file", "libsndfile", "au")),
    (0, b"dns.", Kind("an AU file", "libsndfile")),
    (0, b"caff", Kind("a CAF file", "libsndfile", "caf")),
    (0, b"NIST_1A", Kind("a NIST SPHERE file", "libsndfile", "nistsphere")),
    (0, b"riff\x2e\x91\xcf\x11", Kind("a W64 file", "libsndfile", "w64")),
    (0, b"Creative Voice File", Kind("a VOC file", "libsndfile", "voc")),
    (0, b" paf", Kind("a PAF file", "libsndfile")),
    (0, b"fap ", Kind("a PAF file", "libsndfile")),
    (0, b"2BIT", Kind("an AVR file", "libsndfile")),
    (0, b"PVF1\n", Kind("a PVF file", "libsndfile", "pvf")),
    (0, b"ALawSoundFile", Kind("a Psion file", "libsndfile", "wve")),
    (0, b"MATLAB 5.0 MAT-file", Kind("a MATLAB file", "libsndfile")),
    (0, b"\xf0\x7e", Kind("an SDS file", "libsndfile", "sds", sure=False)),
    (0, b"Extended Instrument", Kind("an instrument of a tracker, whose rate is open", "")),
    (0, b"SOUND SAMPLE DATA", Kind(f"a SampleVision file {_SOX}", "")),
    (0, b"SOUND\x1a", Kind(f"a SoundTool file {_SOX}", "")),
    (0, b"LM8953", Kind(f"a Yamaha TX-16W file {_SOX}", "")),
    (0, b".SoX", Kind("a SoX file", "ffmpeg", "sox")),
    (0, b"XoS.", Kind("a SoX file", "ffmpeg", "sox")),
    (0, b"nut/multimedia", Kind("a NUT file", "ffmpeg", "nut")),
    (0, b"\x06\x0e\x2b\x34", Kind("an MXF file", "ffmpeg", "mxf")),
    (0, b"\xb7\xd8\x00\x20\x37\x49\xda\x11", Kind("a WTV video", "ffmpeg", "wtv")),
    (0, b"\x00\x00\x00\x00\x01\xbc", Kind("a GXF video", "ffmpeg", "gxf", sure=False)),
    (0, b"FWS", Kind("a Flash animation", "ffmpeg", "swf", sure=False)),
    (0, b"CWS", Kind("a Flash animation", "ffmpeg", "swf", sure=False)),
    (0, b"qoaf", Kind("a QOA file", "ffmpeg", "qoa")),
    (0, b"\x72\xf8\x1f\x4e", Kind("sound for S/PDIF", "ffmpeg", "spdif")),
    (4, b"\xf8\x72\x6f\xba", Kind("a TrueHD file", "ffmpeg", "truehd")),
    (4, b"\xf8\x72\x6f\xbb", Kind("an MLP file", "ffmpeg", "mlp")),
    (4, b"ftyp", _MP4),
    (4, b"moov", _MP4),
    (4, b"mdat", _MP4),
    (4, b"wide", _MP4),
    (0, b"\x1a\x45\xdf\xa3", Kind("a WebM or Matroska file", "ffmpeg", "matroska")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind("a WMA or WMV file", "ffmpeg", "asf")),
    (0, b"FLV\x01", Kind("a Flash video", "ffmpeg", "flv")),
    (0, b"wvpk", Kind("a WavPack file", "ffmpeg", "wv")),
    (0, b"MAC ", Kind("a Monkey's Audio file", "ffmpeg", "ape")),
    (0, b"TTA1", Kind("a TTA file", "ffmpeg", "tta")),
    (0, b"MPCK", Kind("a Musepack file", "ffmpeg", "mpc8")),
    (0, b"MP+", Kind("a Musepack file", "ffmpeg", "mpc")),
    (0, b"#!AMR", Kind("an AMR file", "ffmpeg", "amr")),
    (0, b"ADIF", Kind("an AAC file", "ffmpeg", "aac")),
    (0, b"DSD ", Kind("a DSF file", "ffmpeg", "dsf")),
    (0, b"FRM8", Kind("a DSDIFF file", "ffmpeg", "iff")),
    (0, b".RMF", Kind("a RealMedia file", "ffmpeg", "rm")),
    (0, b".ra\xfd", Kind("a RealAudio file", "ffmpeg", "rm")),
    (0, b"\x00\x00\x01\xba", Kind("an MPEG video", "ffmpeg", "mpeg")),
    (0, b"\x7f\xfe\x80\x01", Kind("a DTS file", "ffmpeg", "dts")),
    (0, b"MThd", Kind("a MIDI file, which holds notes and no sound", "")),
    (0, b"PK\x03\x04", Kind("a zip archive", "")),
    (0, b"\x1f\x8b", Kind("a gzip archive", "", sure=False)),
    (0, b"BZh", Kind("a bzip2 archive", "", sure=False)),
    (0, b"\xfd7zXZ\x00", Kind("an xz archive", "")),
    (0, b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", "")),
    (0, b"Rar!\x1a\x07", Kind("a RAR archive", "")),
    (0, b"\x28\xb5\x2f\xfd", Kind("a zstd archive", "")),
    (0, b"%PDF-", Kind("a PDF document", "")),
    (0, b"\x89PNG\r\n", Kind("a PNG picture", "")),
    (0, b"GIF8", Kind("a GIF picture", "")),
    (0, b"\xff\xd8\xff", Kind("a JPEG picture", "", sure=False)),
    (0, b"\x7fELF", Kind("a program", "")),
    (0, b"SQLite format 3", Kind("a SQLite database", "")),
    (0, b"\x93NUMPY", Kind("a numpy array: load it, and give the array with sample_rate=", "")),
    (0, b"\x89HDF\r\n", Kind("an HDF5 file", "")),
    (0, b"PAR1", Kind("a Parquet table", "")),
    (0, b"ARROW1", Kind("an Arrow table", "")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("a document of Office", "")),
    (0, b"II*\x00", Kind("a TIFF picture", "")),
    (0, b"MM\x00*", Kind("a TIFF picture", "")),
    (257, b"ustar", Kind("a tar archive", "")),
)
_IRCAM = Kind("an IRCAM file", "libsndfile", "ircam")
_FORMS = {
    (b"RIFF", b"WAVE"): _WAV, (b"RIFX", b"WAVE"): _WAV, (b"RF64", b"WAVE"): _WAV,
    (b"BW64", b"WAVE"): _WAV, (b"RIFF", b"AVI "): Kind("an AVI video", "ffmpeg", "avi"),
    (b"RIFF", b"WEBP"): Kind("a WebP picture", ""),
    (b"RIFF", b"QLCM"): Kind("a QCP file", "ffmpeg", "qcp"),
    (b"RIFF", b"RMID"): Kind("a MIDI file, which holds notes and no sound", ""),
    (b"RIFF", b"sfbk"): Kind("a sound font", ""),
    (b"FORM", b"MAUD"): Kind(f"a MAUD file {_SOX}", ""),
    (b"FORM", b"AIFF"): Kind("an AIFF file", "libsndfile", "aiff"),
    (b"FORM", b"AIFC"): Kind("an AIFC file", "libsndfile", "aiff"),
    (b"FORM", b"8SVX"): Kind("an 8SVX file", "libsndfile", "iff"),
    (b"FORM", b"16SV"): Kind("a 16SV file", "libsndfile", "iff"),
}  # fmt: skip
_MARKUP = re.compile(
    rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title)\b", re.I | re.S
)
_TEXTS = (
    (re.compile(rb"\s*<\?xml|\s*<[A-Za-z][\w:.-]*[\s/>]"), Kind("an XML document", "")),
    (re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\]\d])"), Kind("a JSON document", "")),
    (re.compile(rb"\s*#EXTM3U|\s*\[playlist\]", re.I), Kind("a playlist, no sound itself", "")),
    (re.compile(rb"version https://git-lfs"),
     Kind("a pointer of Git LFS: fetch the file itself by git lfs pull", "")),
)
_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")


def kind_of(head: bytes) -> Kind | None:
    """Return what the first `HEAD` bytes of a file say that it is; None where they say nothing.

    >>> kind_of(b"<!DOCTYPE html><p>404").name
    'an HTML page, perhaps the error page of a server'
    >>> kind_of(b"RIFF....WAVEfmt ").reader, kind_of(bytes(100))
    ('wav', None)
    """
    if found := _FORMS.get((head[:4], head[8:12])):
        return found
    for at, mark, kind in _MARKS:
        if head.startswith(mark, at):
            return kind
    if head[:4:3] + head[1:2] == b"\x64\x00\xa3" or head[2:4] + head[:1] == b"\xa3\x64\x00":
        return _IRCAM  # the third or second byte is the machine's
    if len(head) < 12 and head.startswith((b"RIFF", b"RIFX")):
        return _WAV
    return _text(head) or _frames(head)


def _text(head: bytes) -> Kind | None:
    """Kinds of text."""
    start = head
    for mark in _BOMS:
        start = start.removeprefix(mark)
    if head.startswith(_BOMS[:2]):  # two bytes a character
        start = start.replace(b"\0", b"")
    if _MARKUP.match(start):
        return _HTML
    if len(start) < _RAW_PROOF or not _is_printable(start):
        return None
    return next((kind for pattern, kind in _TEXTS if pattern.match(start)), _TEXT)


def _is_printable(data: bytes) -> bool:
    """Whether bytes are UTF-8 or Latin-1 text; samples of silence or speech never are."""
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in data) or 127 in data:
        return False
    try:
        data.decode()
        return True
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3:  # a character that the end of the head cuts
            return True
    return sum(byte >= 128 for byte in data) * 8 < len(data)


def _frames(head: bytes) -> Kind | None:
    """Streams of frames without a header: MPEG audio, AAC, AC-3, MPEG transport streams.

    A second frame must follow the first, as bare samples may look like the start of one.
    """
    if len(head) > 188 and head[0] == head[188] == 0x47 and head[376:377] in (b"", b"\x47"):
        return Kind("an MPEG transport stream", "ffmpeg", "mpegts")
    if head[:2] == b"\x0b\x77" and len(head) > 5 and head[4] >> 6 != 3:
        return Kind("an AC-3 file", "ffmpeg", "ac3", sure=False)
    for kind, n_bytes in ((_ADTS, _adts_bytes), (_LOAS, _loas_bytes), (_MPEG, _mpeg_bytes)):
        size = n_bytes(head)
        if size and (head[size : size + 2] in (b"", head[:1], head[:2])
                     or kind is _LOAS and n_bytes(head[size : size + 7])):
            return kind
    return _cut_frames(head)


def _cut_frames(head: bytes) -> Kind | None:
    """A stream that begins within a frame, or behind other bytes: whole frames follow."""
    at = head.find(b"\xff", 1)
    while at > 0:
        for kind, n_bytes in ((_ADTS, _adts_bytes), (_MPEG, _mpeg_bytes)):
            place, n_frames = at, 0
            while n_frames < _FRAMES and (size := n_bytes(head[place : place + 7])):
                place, n_frames = place + size, n_frames + 1
            if n_frames == _FRAMES:
                return replace(kind, name=f"{kind.name} without its beginning", reader="ffmpeg")
        at = head.find(b"\xff", at + 1)
    return None


_FRAMES = 3  # in a row are no chance
_ADTS = Kind("an AAC file", "ffmpeg", "aac", sure=False)
_LOAS = Kind("an AAC file in LATM", "ffmpeg", "loas", sure=False)
_MPEG = Kind("an MP3 file", "libsndfile", "mp3", sure=False)


def _adts_bytes(head: bytes) -> int:
    """Bytes of the frame of AAC that begins here; 0: there is none. ISO/IEC 13818-7, 6.2."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size > 7 else 0


def _loas_bytes(head: bytes) -> int:
    """Bytes of the frame of LATM that begins here; 0: there is none. ISO/IEC 14496-3, 1.7.2."""
    if len(head) < 7 or head[0] != 0x56 or head[1] & 0xE0 != 0xE0:
        return 0
    return ((head[1] & 0x1F) << 8 | head[2]) + 3


def _mpeg_bytes(head: bytes) -> int:
    """Bytes of the frame of MPEG audio that begins here; 0: there is none. ISO/IEC 11172-3, 2.4."""
    if len(head) < 7 or head[0] != 0xFF:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bit_rate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if head[1] & 0xE0 != 0xE0 or version == 1 or layer == 4 or rate == 3:
        return 0
    first = version == 3
    kilobits = _KILOBITS[first, layer if first else min(layer, 2)]
    if not 1 <= bit_rate <= len(kilobits):
        return 0
    hertz = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = 1000 * kilobits[bit_rate - 1]
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (72 if layer == 3 and not first else 144) * bits // hertz + padding


_KILOBITS = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By MPEG 1 or later versions, and layer: kilobits a second of the indices from 1."""

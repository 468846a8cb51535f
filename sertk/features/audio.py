"""Audio of a data folder: any format, rate and number of channels, files, commands and segments."""

import contextlib
import functools
import hashlib
import io
import math
import os
import re
import struct
import subprocess
from collections.abc import Callable, Collection, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import soundfile

from sertk.core.errors import SertkError, UsageError
from sertk.core.files import PathLike
from sertk.core.names import find_path
from sertk.kaldi import archives, pipes
from sertk.kaldi.datadir import require_all

OVERSHOOT = 0.5  # seconds that a segment may end after its recording, as in Kaldi's extract-segments
# How libsndfile's log speaks of a size that is more than the file holds (WAV, AIFF, AU, W64, RF64).
CUT_OFF = re.compile(r"(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")
SPHERE_COUNT = re.compile(rb"\nsample_count -i (\d+)")
# Sizes that programs write into a header when they do not know the length yet.
UNKNOWN_SIZE = 0x7FFFF000
# torchaudio's kernel holds the product of both rates over their common divisor: gigabytes for 15999 Hz.
LARGEST_KERNEL = 2000
LOUDEST = 1e5  # times full scale; features of anything louder could overflow

Cut = tuple[str, float, float]  # a recording, or its entry of wav.scp, and start and end in seconds
OnError = Callable[[str, SertkError], object]


def load_audio(entry: str, channel: int | None = None) -> tuple[np.ndarray, int]:
    """The samples (samples,) as float32 in [-1, 1] and the rate in Hz of an entry of `wav.scp`.

    `entry` is a path, a place in an archive (`wav.ark:42`) or a `command |`. Several channels are averaged,
    or `channel` (from 0) is taken. Raises SertkError for what is unreadable, empty, cut off or not finite.
    """
    with _open_sound(entry) as sound:
        return _samples_of(sound, entry, channel), sound.samplerate


def load_segment(entry: str, start: float, end: float) -> tuple[np.ndarray, int]:
    """What `load_audio` gives from `start` to `end` in seconds (-1: the recording's end); nothing else is read."""
    if start == 0 and end == -1:
        return load_audio(entry)
    with _open_sound(entry) as sound:
        span = _span_of(sound.frames, sound.samplerate, start, end)
        sound.seek(span.start)
        return next(_blocks_of(sound, entry, None, span.stop - span.start)), sound.samplerate


@contextlib.contextmanager
def open_recording(path: PathLike, channel: int | None = None) -> Iterator["Recording"]:
    """Opens an audio file, whose name is taken for nothing else, as a Recording; the errors are load_audio's."""
    path = find_path(path)
    if not path.exists():
        raise SertkError(f"{path}: no such file")
    if not path.is_file():
        raise SertkError(f"{path}: not a file with a beginning and an end")
    try:
        open(path, "rb").close()
    except OSError as error:
        raise SertkError(f"{path}: {error.strerror}") from error
    with _sound_of(os.fsencode(path), path) as sound:  # bytes, as names need not be UTF-8
        yield Recording(sound, path, channel)


@dataclass(frozen=True)
class Recording:
    """An open audio file; `blocks` can be gone through once."""

    sound: soundfile.SoundFile
    path: PathLike
    channel: int | None

    @property
    def rate(self) -> int:
        """Hz."""
        return self.sound.samplerate

    @property
    def seconds(self) -> float:
        """As the file's header says."""
        return self.sound.frames / self.sound.samplerate

    def blocks(self, seconds: float) -> Iterator[np.ndarray]:
        """Yields the samples (samples,) as float32 in [-1, 1] in blocks of at most `seconds`."""
        return _blocks_of(self.sound, self.path, self.channel, max(1, int(seconds * self.rate)))


def resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Samples (samples,) at `rate` Hz as float32 samples at `target` Hz."""
    if rate == target:
        return samples
    import torch

    divisor = math.gcd(rate, target)
    if target // divisor > LARGEST_KERNEL:
        from scipy.signal import resample_poly

        return resample_poly(samples, target // divisor, rate // divisor)
    with torch.inference_mode():
        return _resampler(rate, target)(torch.from_numpy(samples)).numpy()


def read_utterances(
    wav_scp: PathLike,
    segments: PathLike | None = None,
    channel: int | None = None,
    on_error: OnError | None = None,
    wanted: Container[str] | None = None,
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yields `(utterance, samples (samples,) float32, rate)` of a `wav.scp` and its `segments`, in order.

    `wav_scp` and `segments` are paths, `-` or `command |`. A broken recording raises SertkError, or is
    handed to `on_error(utterance, error)` and left out. `wanted` are the utterances to read, if not all.
    """
    entries, cuts = _read_cuts(wav_scp, segments)
    load = functools.lru_cache(maxsize=1)(lambda recording: _loaded_or_error(entries[recording], channel))
    for utterance, (name, start, end) in cuts.items():
        if wanted is not None and utterance not in wanted:
            continue
        try:
            loaded = load(name)
            if isinstance(loaded, SertkError):
                raise loaded
            samples, rate = loaded
            yield utterance, cut_segment(samples, rate, start, end), rate
        except SertkError as error:
            if on_error is None:
                raise SertkError(f"{utterance}: {error}") from error
            on_error(utterance, error)


def read_specified(
    rspecifier: str,
    segments: str | None = None,
    channel: int | None = None,
    on_error: OnError | None = None,
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yields what `read_utterances` does, of `scp:WAV_SCP`, or of an archive of waves, `ark:FILE`, without segments."""
    archives.refuse_shared_input(segments, rspecifier)
    kind, location = archives.split_rspecifier(rspecifier)
    if kind == "scp":
        return read_utterances(location, segments, channel, on_error)
    if segments:
        raise UsageError("--segments needs recordings by name: scp:wav.scp")
    return read_wave_archive(location, channel, on_error)


def read_data_dir(
    path: PathLike, wanted: Container[str] | None = None, on_error: OnError | None = None
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yields what `read_utterances` does, of a data folder's wav.scp and, where it has them, segments."""
    wav_scp, segments = _tables_of(path)
    return read_utterances(wav_scp, segments, None, on_error, wanted)


def locate_utterances(path: PathLike, wanted: Collection[str] = ()) -> dict[str, Cut]:
    """`{utterance: (entry of wav.scp, start, end)}` of a data folder, as `load_segment` takes them.

    Raises SertkError where some of the utterances `wanted` are not there.
    """
    wav_scp, segments = _tables_of(path)
    entries, cuts = _read_cuts(wav_scp, segments)
    require_all(segments or wav_scp, cuts, wanted, "run fix_data_dir.sh")
    return {utterance: (entries[name], start, end) for utterance, (name, start, end) in cuts.items()}


def _tables_of(path: PathLike) -> tuple[Path, Path | None]:
    segments = Path(path) / "segments"
    return Path(path) / "wav.scp", segments if segments.exists() else None


def _read_cuts(wav_scp: PathLike, segments: PathLike | None) -> tuple[dict[str, str], dict[str, Cut]]:
    """`wav.scp`, and what `read_segments` gives, of whole recordings where there are no segments."""
    entries = archives.read_locations(wav_scp)
    return entries, read_segments(segments, entries) if segments else {key: (key, 0.0, -1.0) for key in entries}


def read_wave_archive(
    location: PathLike, channel: int | None = None, on_error: OnError | None = None
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yields `(utterance, samples (samples,) float32, rate)` of a Kaldi archive of waves.

    A broken wave raises SertkError, or is handed to `on_error(utterance, error)` and left out.
    """
    for utterance, wave in archives.read_archive(location, _read_riff):
        try:
            with _sound_of(io.BytesIO(wave), location) as sound:
                yield utterance, _samples_of(sound, location, channel), sound.samplerate
        except SertkError as error:
            if on_error is None:
                raise SertkError(f"{utterance}: {error}") from error
            on_error(utterance, error)


def read_segments(location: PathLike, recordings: Container[str]) -> dict[str, Cut]:
    """`{utterance: (recording, start, end)}` in seconds; an end of -1 is the recording's end."""
    segments = {}
    for utterance, value in archives.read_scp(location).items():
        fields = value.split()
        try:
            name, start, end = fields[0], float(fields[1]), float(fields[2])
        except (IndexError, ValueError) as error:
            raise SertkError(f"{location}: {utterance}: expected 'recording start end', got '{value}'") from error
        if len(fields) != 3 or not (start >= 0 and (end == -1 or end > start)):
            raise SertkError(f"{location}: {utterance}: expected 0 <= start < end in seconds, got '{value}'")
        if name not in recordings:
            raise SertkError(f"{location}: {utterance}: the recording {name} is not in wav.scp")
        segments[utterance] = name, start, end
    return segments


def _loaded_or_error(entry: str, channel: int | None) -> tuple[np.ndarray, int] | SertkError:
    """What `load_audio` gives or raises, so that a broken recording is read once for all its segments."""
    try:
        return load_audio(entry, channel)
    except SertkError as error:
        return error


def cut_segment(samples: np.ndarray, rate: int, start: float, end: float) -> np.ndarray:
    """The samples from `start` to `end` in seconds (-1: the recording's end); raises SertkError if there are none."""
    return samples[_span_of(len(samples), rate, start, end)]


def audio_hash(samples: np.ndarray, rate: int) -> str:
    """The sha1 of samples (samples,) in [-1, 1] as little-endian int16, followed by the rate in Hz."""
    integers = np.clip(np.rint(np.asarray(samples) * 32768.0), -32768, 32767).astype("<i2")
    digest = hashlib.sha1(integers.tobytes())
    digest.update(str(int(rate)).encode())
    return digest.hexdigest()


def _span_of(count: int, rate: int, start: float, end: float) -> slice:
    """The slice of `count` samples that `cut_segment` takes."""
    if end != -1 and end * rate > count + OVERSHOOT * rate:
        raise SertkError(f"the segment ends at {end} s, the recording at {count / rate:.2f} s")
    span = slice(int(start * rate), count if end == -1 else min(count, int(end * rate)))
    if span.start >= span.stop:
        raise SertkError(f"the segment starts at {start} s, the recording ends at {count / rate:.2f} s")
    return span


def _samples_of(sound: soundfile.SoundFile, where: PathLike, channel: int | None) -> np.ndarray:
    return np.concatenate([*_blocks_of(sound, where, channel)])


def _blocks_of(
    sound: soundfile.SoundFile, where: PathLike, channel: int | None, size: int = -1
) -> Iterator[np.ndarray]:
    """Yields the samples of one channel, or of all averaged, in blocks of `size`, or in one; checks all of them."""
    if channel is not None and not 0 <= channel < sound.channels:
        raise SertkError(f"{where}: there is no channel {channel}, it has {sound.channels} (from 0)")
    read, block = 0, None
    while block is None or 0 < size == len(block):
        try:
            block = sound.read(size, dtype="float32")
        except (RuntimeError, MemoryError) as error:
            raise SertkError(f"{where}: cut off or damaged: {error}") from error
        read += len(block)
        if not read:
            raise SertkError(f"{where}: no samples")
        if (len(block) < size or size < 0) and (read < sound.frames or _is_cut_off(sound)):
            raise SertkError(f"{where}: cut off, its header says that it is longer")
        if not len(block):
            return
        samples = block
        if samples.ndim == 2:
            samples = samples.mean(axis=1) if channel is None else np.ascontiguousarray(samples[:, channel])
        if not max(samples.max(), -samples.min()) < LOUDEST:
            raise SertkError(f"{where}: NaN or infinite samples, or some above {LOUDEST:g} where full scale is 1")
        yield samples


def _is_cut_off(sound: soundfile.SoundFile) -> bool:
    if sound.format == "NIST":  # libsndfile goes by the size of the file
        match = SPHERE_COUNT.search(_head_of(sound.name))
        return match is not None and sound.frames < int(match[1])
    match = CUT_OFF.search(sound.extra_info) if sound.format != "FLAC" else None
    return match is not None and int(match[2]) < int(match[1]) < UNKNOWN_SIZE


def _head_of(source: str | io.BytesIO) -> bytes:
    if isinstance(source, io.BytesIO):
        return bytes(source.getbuffer()[:1024])
    with open(source, "rb") as stream:
        return stream.read(1024)


def _open_sound(entry: str) -> soundfile.SoundFile:
    """A soundfile.SoundFile for an entry of `wav.scp`."""
    entry = entry.strip()
    if entry.endswith("|"):
        command = entry[:-1].strip()
        with pipes.start_command(command, stdout=subprocess.PIPE) as process:
            output = process.communicate()[0]
        pipes.check_status(command, process.returncode)
        if not output:
            raise SertkError(f"the command '{command}' gave no output")
        return _sound_of(io.BytesIO(output), entry)
    name, offset, _ = archives.split_location(entry)
    if offset is not None and not Path(entry).exists():
        with pipes.open_input(name) as stream:
            stream.seek(offset)
            return _sound_of(io.BytesIO(_read_riff(stream, entry)), entry)
    path = find_path(entry)
    if not path.is_file():
        raise SertkError(f"{entry}: no such file")
    return _sound_of(str(path), entry)


def _read_riff(stream: IO[bytes], where: str) -> bytes:
    """The bytes of one RIFF object inside an archive; its header says how long it is."""
    head = stream.read(8)
    if len(head) < 8 or head[:4] != b"RIFF":
        raise SertkError(f"{where}: not a RIFF wave")
    (size,) = struct.unpack("<I", head[4:])
    if size >= UNKNOWN_SIZE:
        raise SertkError(f"{where}: a wave inside an archive must say its size in its header")
    body = stream.read(size)
    if len(body) < size:
        raise SertkError(f"{where}: the archive is cut off here")
    return head + body


def _sound_of(source: str | bytes | io.BytesIO, where: PathLike) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(source)  # pyright: ignore[reportArgumentType] (it does not say that it takes BytesIO)
    except (RuntimeError, TypeError, ValueError, OSError) as error:
        size = len(source.getbuffer()) if isinstance(source, io.BytesIO) else os.stat(source).st_size
        raise SertkError(f"{where}: {'not readable as audio' if size else 'an empty file'}") from error


@functools.lru_cache(maxsize=16)
def _resampler(rate, target):
    from torchaudio.transforms import Resample

    return Resample(rate, target)

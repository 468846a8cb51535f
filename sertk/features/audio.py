"""Audio of a data folder: any format, rate and number of channels, files, commands and segments."""

import contextlib
import functools
import hashlib
import io
import math
import struct
import subprocess
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from sertk.core.errors import SertkError, UsageError
from sertk.core.files import PathLike
from sertk.core.names import find_path
from sertk.features.containers import WAVE
from sertk.features.recording import OnWarning, Recording, log_warning, open_sound, silence_in
from sertk.kaldi import archives, pipes
from sertk.kaldi.datadir import read_table, require_all

OVERSHOOT = 0.5  # seconds that a segment may end after its recording, as in Kaldi's extract-segments
# torchaudio's kernel holds the product of both rates over their common divisor: gigabytes for 15999 Hz.
LARGEST_KERNEL = 2000

OnError = archives.OnError
Cut = tuple[str, float, float]  # a recording, or its entry of wav.scp, and start and end in seconds


def load_audio(entry: str, channel: int | None = None, on_warning: OnWarning = log_warning) -> tuple[np.ndarray, int]:
    """The samples (samples,) as float32 in [-1, 1] and the rate in Hz of an entry of `wav.scp`.

    `entry` is a path, a place in an archive (`wav.ark:42`) or a `command |`. Several channels are averaged,
    or `channel` (from 0) is taken. Raises SertkError for what is unreadable, empty, cut off or not finite; what else
    is wrong with a recording is given to `on_warning`.
    """
    with _open_entry(entry, channel) as recording:
        samples = recording.samples()
    for warning in recording.warnings:
        on_warning(warning)
    return samples, recording.rate


def load_segment(entry: str, start: float, end: float) -> tuple[np.ndarray, int]:
    """What `load_audio` gives from `start` to `end` in seconds (-1: the recording's end), without warnings.

    Nothing else is read where the segment lies within the length that the recording's header says.
    """
    with _open_entry(entry) as recording:
        if recording.length is None or not 0 <= end * recording.rate <= recording.length:
            return cut_segment(recording.samples(), recording.rate, start, end), recording.rate
        span = _span_of(recording.length, recording.rate, start, end)
        return recording.span(span.start, span.stop), recording.rate


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
    on_warning: OnWarning = log_warning,
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yields `(utterance, samples (samples,) float32, rate)` of a `wav.scp` and its `segments`, in order.

    `wav_scp` and `segments` are paths, `-` or `command |`. A broken recording raises SertkError, or is
    handed to `on_error(utterance, error)` and left out; of an odd one `on_warning` is told. `wanted` are the
    utterances to read, if not all.
    """
    entries, cuts = _read_cuts(wav_scp, segments)

    @functools.lru_cache(maxsize=1)
    def load(name: str) -> tuple[np.ndarray, int] | SertkError:  # so that a broken one is read once for all segments
        try:
            return load_audio(entries[name], channel, lambda warning: on_warning(f"{name}: {warning}"))
        except SertkError as error:
            return error

    for utterance, (name, start, end) in cuts.items():
        if wanted is not None and utterance not in wanted:
            continue
        try:
            loaded = load(name)
            if isinstance(loaded, SertkError):
                raise loaded
            samples, rate = loaded
            cut = cut_segment(samples, rate, start, end)
            if len(cut) < len(samples) and (warning := silence_in(cut)):
                on_warning(f"{utterance}: {warning}")
            yield utterance, cut, rate
        except SertkError as error:
            if on_error is None:
                raise SertkError(f"{utterance}: {error}") from error
            on_error(utterance, error)


def read_specified(
    rspecifier: str,
    segments: str | None = None,
    channel: int | None = None,
    on_error: OnError | None = None,
    on_warning: OnWarning = log_warning,
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yields what `read_utterances` does, of `scp:WAV_SCP`, or of an archive of waves, `ark:FILE`, without segments.

    With the option p (`scp,p:WAV_SCP`) broken recordings are left out, and counted in a warning.
    """
    archives.refuse_shared_input(segments, rspecifier)
    kind, location, permissive = archives.split_rspecifier(rspecifier)
    if segments and kind == "ark":
        raise UsageError("--segments needs recordings by name: scp:wav.scp")

    def read(on_error: OnError | None) -> Iterator[tuple[str, np.ndarray, int]]:
        if kind == "scp":
            return read_utterances(location, segments, channel, on_error, on_warning=on_warning)
        return read_wave_archive(location, channel, on_error, on_warning)

    return archives.leaving_out(location, read) if permissive else read(on_error)


def read_prepared(
    rspecifier: str,
    segments: str | None,
    channel: int | None,
    utt2hash: str | None,
    on_error: OnError | None = None,
    on_warning: OnWarning = log_warning,
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yields what `read_specified` does; raises SertkError for an utterance that is not as in the table `utt2hash`.

    With a channel the recordings are read twice, as the table knows their mean.
    """
    hashes = read_table(utt2hash) if utt2hash else {}
    if hashes and channel is not None:
        for _ in require_unchanged(read_specified(rspecifier, segments, None, lambda *_: None, lambda _: None), hashes):
            pass
        hashes = {}
    return require_unchanged(read_specified(rspecifier, segments, channel, on_error, on_warning), hashes)


def read_data_dir(
    path: PathLike, wanted: Container[str] | None = None, on_error: OnError | None = None
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yields what `read_utterances` does, of a data folder's wav.scp and, where it has them, segments.

    What is not as in its utt2hash counts as broken.
    """
    wav_scp, segments = _tables_of(path)
    return require_unchanged(read_utterances(wav_scp, segments, None, on_error, wanted), read_hashes(path), on_error)


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
    location: PathLike,
    channel: int | None = None,
    on_error: OnError | None = None,
    on_warning: OnWarning = log_warning,
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yields `(utterance, samples (samples,) float32, rate)` of a Kaldi archive of waves.

    A broken wave raises SertkError, or is handed to `on_error(utterance, error)` and left out; of an odd one
    `on_warning` is told.
    """
    for utterance, wave in archives.read_archive(location, _read_riff):
        try:
            with open_sound(io.BytesIO(wave), location, channel) as recording:
                samples = recording.samples()
            for warning in recording.warnings:
                on_warning(f"{utterance}: {warning}")
            yield utterance, samples, recording.rate
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


def cut_segment(samples: np.ndarray, rate: int, start: float, end: float) -> np.ndarray:
    """The samples from `start` to `end` in seconds (-1: the recording's end); raises SertkError if there are none."""
    return samples[_span_of(len(samples), rate, start, end)]


def audio_hash(samples: np.ndarray, rate: int) -> str:
    """The sha1 of samples (samples,) in [-1, 1] as little-endian int16, followed by the rate in Hz."""
    integers = np.clip(np.rint(np.asarray(samples) * 32768.0), -32768, 32767).astype("<i2")
    digest = hashlib.sha1(integers.tobytes())
    digest.update(str(int(rate)).encode())
    return digest.hexdigest()


def read_hashes(data_dir: PathLike) -> dict[str, str]:
    """{utterance: audio_hash of its samples when the data folder was prepared}; empty where it has no utt2hash."""
    path = Path(data_dir) / "utt2hash"
    return read_table(path) if path.exists() else {}


def check_unchanged(samples: np.ndarray, rate: int, digest: str | None) -> None:
    """Raises SertkError for samples that have another audio_hash, if one is known; they are those that were decoded."""
    if digest is not None and audio_hash(samples, rate) != digest:
        raise SertkError("its recording has changed since stage 1; run stage 1 again")


def require_unchanged(
    recordings: Iterable[tuple[str, np.ndarray, int]], hashes: Mapping[str, str], on_error: OnError | None = None
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yields recordings (utterance, samples, rate), whose samples are not resampled, as they come.

    One that is not as `hashes`, {utterance: audio_hash}, say raises SertkError, or is handed to
    `on_error(utterance, error)` and left out.
    """
    for utterance, samples, rate in recordings:
        try:
            check_unchanged(samples, rate, hashes.get(utterance))
        except SertkError as error:
            if on_error is None:
                raise SertkError(f"{utterance}: {error}") from error
            on_error(utterance, error)
        else:
            yield utterance, samples, rate


def _span_of(count: int, rate: int, start: float, end: float) -> slice:
    """The slice of `count` samples that `cut_segment` takes."""
    if end != -1 and end * rate > count + OVERSHOOT * rate:
        raise SertkError(f"the segment ends at {end} s, the recording at {count / rate:.2f} s")
    span = slice(int(start * rate), count if end == -1 else min(count, int(end * rate)))
    if span.start >= span.stop:
        raise SertkError(f"the segment starts at {start} s, the recording ends at {count / rate:.2f} s")
    return span


def _open_entry(entry: str, channel: int | None = None) -> contextlib.AbstractContextManager[Recording]:
    """Opens an entry of `wav.scp`."""
    entry = entry.strip()
    if entry.endswith("|"):
        command = entry[:-1].strip()
        with pipes.start_command(command, stdout=subprocess.PIPE) as process:
            output = process.communicate()[0]
        pipes.check_status(command, process.returncode)
        if not output:
            raise SertkError(f"the command '{command}' gave no output")
        return open_sound(io.BytesIO(output), entry, channel)
    name, offset, _ = archives.split_location(entry)
    if offset is not None and not Path(entry).exists():
        with pipes.open_input(name) as stream:
            stream.seek(offset)
            return open_sound(io.BytesIO(_read_riff(stream, entry)), entry, channel)
    path = find_path(entry)
    if not path.is_file():
        raise SertkError(f"{entry}: no such file")
    return open_sound(str(path), entry, channel)


def _read_riff(stream: IO[bytes], where: str) -> bytes:
    """The bytes of one RIFF object inside an archive; its header says how long it is."""
    head = stream.read(8)
    if len(head) < 8 or head[:4] != b"RIFF":
        raise SertkError(f"{where}: not a RIFF wave")
    (size,) = struct.unpack("<I", head[4:])
    if not 0 < size < WAVE.largest:
        raise SertkError(f"{where}: a wave inside an archive must say its size in its header")
    body = stream.read(size)
    if len(body) < size:
        raise SertkError(f"{where}: the archive is cut off here")
    return head + body


@functools.lru_cache(maxsize=16)
def _resampler(rate, target):
    from torchaudio.transforms import Resample

    return Resample(rate, target)

"""Recordings as programs write them that do not know the length yet: {what: bytes of a file} for a whole waveform."""

import io
import struct

import numpy as np
import soundfile

RATE = 16000


def encoded(samples, kind, **options):
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format=kind, **options)
    return bytearray(content.getvalue())


def with_fields(content, *fields):
    for place, packed, value in fields:
        struct.pack_into(packed, content, place, value)
    return bytes(content)


def open_wav(samples, size, kind="WAV"):
    content = encoded(samples, kind, subtype="PCM_16")
    packed = ">I" if content[:4] == b"RIFX" else "<I"
    return with_fields(content, (4, packed, size), (content.index(b"data") + 4, packed, size))


def open_flac(samples):
    content = encoded(samples, "FLAC", subtype="PCM_16")
    (field,) = struct.unpack_from(">Q", content, 18)
    assert field & (2**36 - 1) == len(samples)  # the end of STREAMINFO's first 8 bytes behind its sizes
    return with_fields(content, (18, ">Q", field & ~(2**36 - 1)))


def open_lengths(samples):
    """{what: bytes} of samples (samples,) whose file does not say how many they are; without loss, at 16 kHz."""
    w64, caf, aiff, au = (encoded(samples, kind, subtype="PCM_16") for kind in ("W64", "CAF", "AIFF", "AU"))
    rf64 = encoded(samples, "RF64", subtype="PCM_16")
    files = {f"wav {size:x}": open_wav(samples, size) for size in (0, 0x7FFFF000, 0xFFFFFFFF)}
    files |= {"wavex 0": open_wav(samples, 0, "WAVEX"), "flac": open_flac(samples)}
    # The number of samples, too, is 0 there
    files["rf64"] = with_fields(rf64, (20, "<Q", 0), (28, "<Q", 0), (36, "<Q", 0))
    for size in (0, -1, 2**63 - 1):
        files[f"w64 {size}"] = with_fields(w64.copy(), (16, "<q", size), (w64.index(b"data") + 16, "<q", size))
    for size in (0, -1):
        files[f"caf {size}"] = with_fields(caf.copy(), (caf.index(b"data") + 4, ">q", size))
    for size in (0, 0x7F000008):
        count = (aiff.index(b"COMM") + 10, ">I", 0)
        files[f"aiff {size}"] = with_fields(aiff.copy(), count, (aiff.index(b"SSND") + 4, ">I", size))
    for size in (0, 0xFFFFFFFF):
        files[f"au {size}"] = with_fields(au.copy(), (8, ">I", size))
    return files


def mp3(samples, said=True, bitrate_mode="VARIABLE"):
    """The bytes of an MP3 file; not `said`: without the first frame, which says how many follow, as in a pipe."""
    content = bytes(encoded(samples, "MP3", bitrate_mode=bitrate_mode, compression_level=0.5))
    assert b"Xing" in content[:200] or b"Info" in content[:200]
    return content if said else content[content.index(content[:2], 4) :]


def noisy_tone(seconds=2.0):
    """A second of a soft tone, and then noise, on which an encoder spends more bits; of 16 bits."""
    time = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    samples = 0.01 * np.sin(2 * np.pi * 200 * time) + 0.2 * noise * (time > seconds / 2)
    return (np.round(samples * 32768) / 32768).astype(np.float32)

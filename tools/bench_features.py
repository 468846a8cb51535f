#!/usr/bin/env python3
"""Time of sertk-compute-feats beside a bare loop of soundfile.read and torchaudio's or openSMILE's functions.

Both go over the same files in one process, taking turns every few files, after a round that warms the disk
cache and the libraries. Ours reads `wav.scp`, computes and writes archives; the bare loop keeps nothing.

    tools/bench_features.py --wav_dir RAVDESS_FOLDER [--types fbank40,mfcc_pitch] [--files 100] [--rounds 7]
"""

import argparse
import functools
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pyworld
import soundfile
import torch
import torchaudio
from torchaudio.compliance import kaldi

from sertk.bin.compute_feats import compute
from sertk.core.device import keep_freed_memory
from sertk.features import audio
from sertk.features.registry import load_extractor
from sertk.kaldi import archives

SUFFIXES = {".wav", ".flac", ".ogg", ".sph"}
ALLOWED = 1.1
CHUNK = 5  # recordings after which the loops take turns


@functools.cache
def bare_smile():
    import opensmile

    return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)


def bare_loop(feature_type, entries, settings):
    """What a script of a few lines does: read, resample if needed, the library's function, pyworld's F0."""
    for path in entries:
        samples, rate = soundfile.read(path, dtype="float32")
        waveform = torch.from_numpy(samples if samples.ndim == 1 else samples.mean(axis=1))
        if rate != 16000:
            waveform = torchaudio.functional.resample(waveform, rate, 16000)
        scaled = waveform[None] * 32768
        if feature_type == "egemaps":
            bare_smile().process_signal(waveform.numpy(), 16000)
        elif feature_type.startswith("mfcc"):
            kaldi.mfcc(scaled, num_ceps=23, num_mel_bins=40, use_energy=True, energy_floor=0.0)
        else:  # for fbank128 with 512 FFT points and empty filters, where ours has 1024
            kaldi.fbank(scaled, num_mel_bins=settings.num_mel_bins)
        if feature_type == "mfcc_pitch":
            signal = waveform.double().numpy()
            f0, times = pyworld.dio(signal, 16000, settings.f0_floor, settings.f0_ceil, frame_period=10.0)
            pyworld.stonemask(signal, f0, times, 16000)


def one_round(feature_type, entries, folder):
    """The seconds of sertk-compute-feats, without its start-up, and those of the bare loop."""

    def refuse(utterance, error):
        raise SystemExit(f"{utterance}: {error}")

    extractor = load_extractor(feature_type)
    wav_scp = Path(folder) / "wav.scp"
    wav_scp.write_text("".join(f"{number:06d} {path}\n" for number, path in enumerate(entries)))
    bare = 0.0
    started = time.perf_counter()
    with archives.MatrixWriter(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp") as writer:
        recordings = audio.read_utterances(wav_scp, on_error=refuse)
        for first in range(0, len(entries), CHUNK):
            compute(extractor, itertools.islice(recordings, CHUNK), writer, refuse)
            paused = time.perf_counter()
            bare_loop(feature_type, entries[first : first + CHUNK], extractor)
            bare += time.perf_counter() - paused
    return time.perf_counter() - started - bare, bare


def find_files(args):
    if args.wav_scp:
        entries = list(archives.read_scp(args.wav_scp).values())
    else:
        entries = sorted(str(path) for path in Path(args.wav_dir).rglob("*") if path.suffix in SUFFIXES)
    if not entries:
        raise SystemExit(f"{args.wav_dir}: no recordings with one of {', '.join(sorted(SUFFIXES))}")
    every = max(1, len(entries) // args.files)
    return entries[::every][: args.files]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--wav_dir", help="folder of recordings")
    source.add_argument("--wav_scp", help="or a wav.scp of paths")
    parser.add_argument("--types", default="fbank40,fbank80,fbank128,mfcc23,mfcc_pitch,egemaps")
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as sertk-compute-feats does, and to the bare loop's good as well
    entries = find_files(args)
    audio_seconds = sum(soundfile.info(path).duration for path in entries)
    print(f"{len(entries)} recordings, {audio_seconds:.0f} s of audio, {args.rounds} rounds, medians")
    slow = []
    for feature_type in args.types.split(","):
        with tempfile.TemporaryDirectory() as folder:
            rounds = [one_round(feature_type, entries, folder) for _ in range(args.rounds + 1)]
        ours, bare = map(statistics.median, zip(*rounds[1:]))
        print(f"{feature_type:12} ours {ours:.3f} s, bare {bare:.3f} s, ratio {ours / bare:.2f}")
        if ours > ALLOWED * bare:
            slow.append(feature_type)
    if slow:
        print(f"above {ALLOWED}: {', '.join(slow)}")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())

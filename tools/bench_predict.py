#!/usr/bin/env python3
"""Time of recognising files, from their bytes to posteriors, beside the bare network on features that are ready.

Both go over the same recordings in one process, taking turns every so many of them, after a turn that warms caches and
libraries. What sertk-predict does before the first recording, loading libraries and the model, is left out.

    tools/bench_predict.py --num_threads 2 model.zip RECORDINGS_FOLDER [--files 240]
"""

import argparse
import itertools
import sys
import time

from sertk import load_recognizer
from sertk.device import add_device_options, choose_device
from sertk.predicting.sources import find_recordings

ALLOWED = 1.3


def timed(function):
    begun = time.perf_counter()
    made = function()
    return time.perf_counter() - begun, made


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("folder")
    parser.add_argument("--files", type=int, help="of all, spread evenly (default: all)")
    parser.add_argument("--turn", type=int, default=60, help="recordings after which they take turns")
    add_device_options(parser)
    args = parser.parse_args()
    recognizer = load_recognizer(args.model, choose_device(args))
    paths = list(find_recordings([args.folder])[0])
    paths = paths[:: max(1, len(paths) // args.files) if args.files else 1]
    seconds = {"recognising": 0.0, "features": 0.0, "network": 0.0}
    audio = 0.0
    list(recognizer.recognize(paths[: args.turn]))
    for first in range(0, len(paths), args.turn):
        own = paths[first : first + args.turn]
        spent, results = timed(lambda own=own: list(recognizer.recognize(own)))
        seconds["recognising"] += spent
        audio += sum(result.seconds for _, result in results)
        spent, found = timed(lambda own=own: list(recognizer.ahead(own, None, None)))
        seconds["features"] += spent
        spent, bare = timed(lambda found=found: recognizer.chain.windows([piece for _, piece in found]))
        seconds["network"] += spent
        for (_, result), (_, rows) in itertools.zip_longest(results, bare):
            assert abs(result.rows.mean(0) - rows.mean(0)).max() < 1e-4
    ratio = seconds["recognising"] / seconds["network"]
    each = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
    print(f"{len(paths)} recordings, {audio:.0f} s of audio: {each}; ratio {ratio:.2f} ({ALLOWED} allowed)")
    return ratio > ALLOWED


if __name__ == "__main__":
    sys.exit(main())

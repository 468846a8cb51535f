#!/usr/bin/env python3
"""Time of the command sertk-predict, from files to lines of text, beside the bare network on features that are ready.

The command's own functions run with its own defaults, in turns with the bare network on the same recordings, on one
thread and on as many as the command takes: it is compared to the faster of the two, by the median of the turns'
ratios. Processor time, of all threads, tells threads that wait at full speed from a machine that is busy. A first
turn warms caches and libraries. What the command does before the first recording, loading libraries and the model, is
left out.

    tools/bench_predict.py [--files 480] model.zip RECORDINGS_FOLDER [OPTION OF sertk-predict ...]
"""

import argparse
import contextlib
import os
import sys
import time
from statistics import median

from sertk.bin import predict
from sertk.predicting.sources import find_recordings

ALLOWED = 1.3


def seconds(function, *arguments):
    """Of the clock, and of the processors."""
    begun, used = time.perf_counter(), time.process_time()
    function(*arguments)
    return time.perf_counter() - begun, time.process_time() - used


def command(recognizer, args):
    """What the command does once the model is loaded; its text goes nowhere."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        if predict.predict(recognizer, args):
            sys.exit("these recordings cannot be used to measure")


def turn(recognizer, args):
    """`seconds` of the command, of the network on one thread and on all."""
    import torch  # not above, as the command too loads sertk first, which says how torch's threads wait

    threads = torch.get_num_threads()
    recognising = seconds(command, recognizer, args)
    pieces = [piece for _, piece in recognizer.ahead(args.recordings, None, recognizer.chain.channel)]
    torch.set_num_threads(1)
    one = seconds(recognizer.chain.windows, pieces)
    torch.set_num_threads(threads)
    every = seconds(recognizer.chain.windows, pieces)
    return recognising, one, every


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder")
    parser.add_argument("--files", type=int, help="of all, spread evenly (default: all)")
    parser.add_argument("--turn", type=int, default=240, help="recordings of a turn (default: %(default)s)")
    own, options = parser.parse_known_args()
    paths = list(find_recordings([own.folder])[0])
    paths = paths[:: max(1, len(paths) // own.files) if own.files else 1]
    parts = [paths[first : first + own.turn] for first in range(0, len(paths), own.turn)]
    calls = [predict.build_parser().parse_args([*options, own.model, *part]) for part in parts]
    recognizer = predict.load(calls[0])
    turns = [turn(recognizer, args) for args in (calls[0], *calls)][1:]
    print(f"{len(paths)} recordings: seconds (of processors)")
    for title, measured in zip(("recognising", "network on one thread", "network on all"), zip(*turns)):
        print("{:22} {:8.2f} ({:.2f})".format(title, *map(sum, zip(*measured))))
    ratio = median(command / min(one, every) for (command, _), (one, _), (every, _) in turns)
    print(f"ratio {ratio:.2f} ({ALLOWED} allowed)")
    return ratio > ALLOWED


if __name__ == "__main__":
    sys.exit(main())

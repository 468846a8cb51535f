#!/usr/bin/env python3
"""Damaged inputs for the commands, each of which has to end with exit status 0, 1 or 2 and a clear line.

Small valid inputs (fuzzing/valid.py) are damaged one at a time (fuzzing/mutations.py), and the commands that read them
(fuzzing/cases.py) are called in children of this program, so that one that kills the process is noticed. An input is
told by its category and its number alone; --only shows one and keeps its files.

example: tools/fuzz.py --category tables --seed 0 --inputs 1000
"""

import argparse
import contextlib
import functools
import importlib
import io
import json
import logging
import os
import random
import re
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
from fuzzing.cases import CATEGORIES, SETTINGS
from fuzzing.mutations import mutate, of_setting
from fuzzing.valid import make_valid, succeed
from tqdm import tqdm

SECONDS = 20  # that all commands of an input may take together
AT_ONCE = 20  # inputs in a child, as starting one takes as long as some of them
MEMORY = 2 * 2**30  # bytes beyond what the program has already
LONGEST_LINE = 1000  # characters of a message that somebody reads
MEMORY_DISK = "/dev/shm" if os.path.isdir("/dev/shm") else None  # as so many small files are written
ENDS = ("0", "1", "2")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--category", choices=CATEGORIES, help="of the inputs (default: all, in turn)")
    parser.add_argument("--inputs", type=int, default=800, help="how many, of all categories together (default: 800)")
    parser.add_argument("--seed", type=int, default=0, help="the number of each category's first input (default: 0)")
    parser.add_argument("--only", type=int, metavar="N", help="one input, whose files are kept and messages shown")
    args = parser.parse_args(argv)
    if args.only is not None and not args.category:
        parser.error("--only is a number of one --category")
    names = [args.category] if args.category else list(CATEGORIES)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="sertk-fuzz-", dir=MEMORY_DISK) as folder:
        valid = Path(folder) / "valid"
        prepare(valid, names)
        if args.only is not None:
            return show_one(valid, args.category, args.only)
        return run_all(valid, names, args.seed, args.inputs)


def prepare(valid, names):
    """Makes the valid inputs, and runs every case on them as they are: it has to succeed, and loads what it needs."""
    valid.mkdir()
    with working_in(valid):
        make_valid(call)
    for case in (case for name in names for case in CATEGORIES[name]() if case.files):
        with copy_of(valid) as folder, working_in(folder):
            remove(case.without)
            for command in case.commands:
                succeed(call, [word.replace("{file}", case.found()[0]) for word in command])


def remove(names):
    for name in names:
        os.remove(name)


def run_all(valid, names, seed, inputs):
    """Runs the inputs, says which of them ended in a fault and how the others did; 1 if any did, else 0."""
    chosen = [(names[place % len(names)], seed + place // len(names)) for place in range(inputs)]
    ended, faults = {name: Counter() for name in names}, []
    outcomes = tqdm(outcomes_of(valid, chosen), "inputs", inputs, disable=not sys.stderr.isatty())
    for (name, number), outcome in zip(chosen, outcomes):
        if outcome not in ENDS:
            tqdm.write(f"{name} {number}: {outcome}")
            faults.append(f"tools/fuzz.py --category {name} --only {number}")
            outcome = "fault"
        ended[name][outcome] += 1
    columns = [*ENDS, "fault"]
    print(f"{'category':12}" + "".join(f"{column:>8}" for column in columns))
    for name in names:
        print(f"{name:12}" + "".join(f"{ended[name][column]:8}" for column in columns))
    for again in faults:
        print(again)
    return int(bool(faults))


def outcomes_of(valid, chosen):
    """Yields how each input (category, number) ended, each with a copy of the valid inputs of its own."""

    def run(name, number):
        with copy_of(valid) as folder:
            return run_input(folder, name, number)

    done = 0
    while done < len(chosen):
        for outcome in in_child([functools.partial(run, *each) for each in chosen[done : done + AT_ONCE]]):
            yield outcome
            done += 1


def show_one(valid, name, number):
    folder = Path(tempfile.mkdtemp(prefix=f"sertk-fuzz-{name}-{number}-"))
    shutil.copytree(valid, folder, dirs_exist_ok=True)
    (outcome,) = in_child([lambda: run_input(folder, name, number, sys.stdout)])
    print(f"{folder}: {outcome}")
    return int(outcome not in ENDS)


def in_child(functions):
    """What functions return, texts, called one after the other in a child of limited time and memory.

    What ended the child is the last, where something did; the functions behind it were not called.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        limit()
        for function in functions:
            signal.alarm(SECONDS)
            try:
                result = function()
            except BaseException:
                result = "the fuzzer: " + traceback.format_exc()
            os.write(writing, json.dumps(result).encode() + b"\n")
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        results = [json.loads(line) for line in pipe]
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        by = f"killed by {signal.Signals(number).name}"
        results.append(f"more than {SECONDS} s" if number == signal.SIGALRM else by)
    return results


def limit():
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 2):  # nothing comes in, and what libraries say is left aside
        os.dup2(nowhere, stream)
    sys.stdin = open(os.devnull)


def run_input(folder, name, number, show=None):
    """Damages one file in a copy of the valid inputs and runs the commands: the highest exit status, or what is wrong.

    With `show`, a stream, it gets what the commands print.
    """
    drawn = random.Random(f"{name} {number}")
    case = drawn.choice(list(CATEGORIES[name]()))
    highest = "0"
    with working_in(folder):
        damaged = drawn.choice(case.found()) if case.files else ""
        remove(case.without)
        if damaged:
            mutate(Path(damaged), drawn)
        setting = shlex.quote(of_setting(drawn.choice(SETTINGS), drawn))
        for command in case.commands:
            command = [word.replace("{file}", damaged).replace("{setting}", setting) for word in command]
            status, out, err = call(command)
            if show:
                print(f"{damaged}: {shlex.join(command)}: {status}\n{out[-2000:]}{err}", file=show, flush=True)
            if wrong := complaint(command[0], status, err):
                return f"{damaged}: {shlex.join(command)}: {wrong}"
            highest = max(highest, str(status))
    return highest


def call(command):
    """Exit status and output of a command, and what it raised as a part of its errors."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace") for _ in range(2))
    logging.root.handlers.clear()  # each command writes to its own errors
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = importlib.import_module(f"sertk.bin.{command[0]}").main(command[1:])
        except SystemExit as stop:
            status = stop.code
        except BaseException:
            status = None
            traceback.print_exc()
    out.flush(), err.flush()
    return status, *(stream.buffer.getvalue().decode() for stream in (out, err))


def complaint(name, status, err):
    """What is wrong with how a command ended, or None."""
    lines = err.splitlines()
    if status not in (0, 1, 2):
        return f"exit status {status}: {err.strip()[-1500:]}"
    if "Traceback" in err or re.search(r"\w+Warning: ", err):
        return err.strip()[-1500:]
    told = f"sertk-{name.replace('_', '-')}"
    last = [line for line in lines if not line.startswith("  ")]  # lists of what is wrong are indented
    if status and not (last and re.match(rf"{told}( \w+)?: \S", last[-1])):
        return f"exit status {status} without a line: {err[-300:]!r}"
    if status and any(len(line) > LONGEST_LINE for line in lines):
        return f"a line of {max(map(len, lines))} characters: {err[:300]!r}"
    return None


@contextlib.contextmanager
def copy_of(folder):
    """Yields a copy of a folder beside it, which is gone after the block."""
    copy = folder.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)  # of a child that was killed
    try:
        yield Path(shutil.copytree(folder, copy))
    finally:
        shutil.rmtree(copy)


@contextlib.contextmanager
def working_in(folder):
    """Makes a folder the working folder in the block."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


if __name__ == "__main__":
    sys.exit(main())

"""What breaks runs: processes that are killed, disks that are full."""

import contextlib
import multiprocessing
import os
import resource
import signal

from patience import HOUR


def run_killed(function, *args):
    """Runs a function in a process of its own, which has to die by `kill_me` or `die_at`."""
    process = multiprocessing.get_context("fork").Process(target=function, args=args)
    process.start()
    process.join(HOUR)
    assert process.exitcode == -signal.SIGKILL


def kill_me():
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(name, number):
    """Makes this process die as it calls os.NAME for the `number`th time."""
    original, calls = getattr(os, name), []

    def call_or_die(*args):
        calls.append(args)
        return kill_me() if len(calls) == number else original(*args)

    setattr(os, name, call_or_die)


@contextlib.contextmanager
def full_disk(size):
    """Lets no file grow beyond `size` bytes: the system's answer is as on a full disk, but for its number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

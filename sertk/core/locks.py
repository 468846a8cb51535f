"""Locks: one process at a time where two would write the same files, also on several machines."""

import contextlib
import errno
import fcntl
import logging
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, remove_leftovers

# Seconds after which a file server has let go of the locks of a machine that is gone (NFS leases last 90).
LEASE = 120
PAUSE = 1.0  # seconds between two looks at a lock
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)

log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(path: PathLike, patience: float = 0.0) -> Iterator[None]:
    """Holds the lock file `path` through the block; it names the host, process and start time of its holder.

    The lock is the kernel's (flock), which frees it when the process ends, however it ends: no lock is ever
    stale, and nobody has to ask whether a process of another machine still lives. A holder on this machine is
    given `patience` seconds, one on another machine LEASE at least, in case that machine is gone.
    Raises SertkError, which names the holder, when the time is over.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as handle:
        _acquire(handle, path, patience)
        handle.truncate(0)
        handle.write(f"{platform.node()}\t{os.getpid()}\t{time.strftime('%Y-%m-%d %H:%M:%S %z')}\n")
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)


@contextlib.contextmanager
def locked_folder(path: PathLike, patience: float = 0.0) -> Iterator[None]:
    """Holds the lock of a folder that is written aside, a file beside it; what killed holders left aside goes."""
    path = Path(path)
    with locked(path.with_name(f".{path.name}.lock"), patience):
        remove_leftovers(path)
        yield


def try_lock(handle: IO[Any], path: PathLike) -> bool:
    """Whether this process has the lock of the open file `path` now; it keeps it until the file is closed.

    Where the file system has no locks, it warns and says yes.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.warning("%s: no locks here (%s): let no two processes write here", path, error.strerror)
    return True


def _acquire(handle: IO[str], path: Path, patience: float) -> None:
    # A holder that has not written its name yet does so in a moment.
    limits = {platform.node(): patience, "?": max(patience, PAUSE)}
    begun, waiting = time.monotonic(), False
    while not try_lock(handle, path):
        host, process, since = _holder(handle)
        holder = f"process {process} on {host} since {since}"
        if time.monotonic() - begun >= limits.get(host, max(patience, LEASE)):
            raise SertkError(f"{path.parent}: in use by {holder} ({path.name}); let it end, or stop it")
        if not waiting:
            log.info("%s: waiting for %s", path, holder)
            waiting = True
        time.sleep(PAUSE)


def _holder(handle: IO[str]) -> list[str]:
    """What the holder wrote: host, process and start time, `?` where it has not done so yet."""
    handle.seek(0)
    fields = handle.read().strip().split("\t")
    return fields if len(fields) == 3 else ["?", "?", "?"]

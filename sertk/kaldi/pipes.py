"""Files, standard streams and commands of shell pipes, as Kaldi's specifiers name them, read and written as bytes."""

import contextlib
import gzip
import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, naming, write_aside
from sertk.core.names import find_path


@contextlib.contextmanager
def open_input(name: PathLike) -> Iterator[io.BufferedReader]:
    """Opens a path, `-` or `command |` for reading bytes, unpacking gzip.

    Raises SertkError if the file cannot be opened or the command fails.
    """
    name = str(name).strip()
    if name == "-":
        if sys.stdin is None:
            raise SertkError("standard input is closed")
        yield _unpacked(sys.stdin.buffer, "standard input")
    elif name.endswith("|"):
        with _command_output(name[:-1].strip()) as stream:
            yield _unpacked(stream, name)
    else:
        with contextlib.ExitStack() as files:
            try:
                stream = files.enter_context(open(find_path(name), "rb"))
            except OSError as error:
                raise SertkError(f"{name}: {error.strerror}") from error
            yield _unpacked(stream, name)


@contextlib.contextmanager
def open_output(name: str) -> Iterator[IO[bytes]]:
    """Opens `-`, `| command` or a path for writing bytes; a regular file is written aside."""
    if name == "-":
        if sys.stdout is None:
            raise SertkError("standard output is closed")
        with naming("standard output"):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
    elif name.startswith("|"):
        command = name[1:].strip()
        process = start_command(command, stdin=subprocess.PIPE)
        assert process.stdin
        ended_early = None
        try:
            with process.stdin:
                yield process.stdin
        except BrokenPipeError as error:
            ended_early = error
        finally:
            status = process.wait()
        check_status(command, status)
        if ended_early:
            raise SertkError(f"the command '{command}' ended before it had read all") from ended_early
    elif is_special(name):
        with naming(name), open(name, "wb") as stream:
            yield stream
    else:
        with write_aside(name, "wb") as stream:
            yield stream


def is_special(name: str) -> bool:
    """Whether an output is no regular file, and cannot be written aside."""
    return name == "-" or name.startswith("|") or (Path(name).exists() and not Path(name).is_file())


def name_of(location: PathLike) -> str:
    """What messages call a path, `-` or `command |`."""
    return "standard input" if location == "-" else str(location)


def start_command(command: str, stdin: int = subprocess.DEVNULL, stdout: int | None = None) -> subprocess.Popen[bytes]:
    """A Popen of a command line, which fails where any command of its pipes does.

    It reads nothing of this program's own standard input, which may be a terminal, or the list of a loop around it.
    """
    return subprocess.Popen(["bash", "-o", "pipefail", "-c", command], stdin=stdin, stdout=stdout)


def check_status(command: str, status: int) -> None:
    """Raises SertkError for a failure; that a command's reader wanted no more of its output is none."""
    if status not in (0, -signal.SIGPIPE, 128 + signal.SIGPIPE):
        raise SertkError(f"the command '{command}' failed with status {status}")


def _unpacked(stream: Any, name: str) -> io.BufferedReader:
    """The BufferedReader itself, or its content if that is gzip (no Kaldi archive starts with its first byte)."""
    try:
        packed = stream.peek(1)[:1] == b"\x1f"
    except OSError as error:
        raise SertkError(f"{name}: {error.strerror}") from error
    return io.BufferedReader(gzip.GzipFile(fileobj=stream)) if packed else stream


@contextlib.contextmanager
def _command_output(command: str) -> Iterator[IO[bytes]]:
    process = start_command(command, stdout=subprocess.PIPE)
    assert process.stdout
    try:
        yield process.stdout
        while process.stdout.read(1 << 16):
            pass
        check_status(command, process.wait())
    except SertkError:
        process.stdout.close()
        check_status(command, process.wait())
        raise
    finally:
        process.stdout.close()
        if process.poll() is None:
            process.kill()
            process.wait()

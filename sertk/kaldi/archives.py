"""Kaldi archives and tables of archives (ark, scp), read and written by Kaldi's own specifiers; pipes.py opens them."""

import codecs
import contextlib
import io
import itertools
import logging
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from kaldiio.matio import read_matrix_or_vector, write_array, write_array_ascii
from numpy.typing import DTypeLike

from sertk.core.errors import SertkError, UsageError
from sertk.core.files import PathLike, to_disk
from sertk.kaldi.datadir import BEGINS_WITH_BOM
from sertk.kaldi.digests import SAMPLE, samples_digest
from sertk.kaldi.pipes import is_special, name_of, open_input, open_output

SPECIFIER = re.compile(r"(\w+,)*(ark|scp)(,\w+)*:")
# But for p (reading goes on where an entry cannot be read) and t (text is written), all only tell Kaldi how to search a
# table, or when to write; reading in order and whole files need none of them.
READ_OPTIONS = {"b", "t", "o", "no", "s", "ns", "cs", "ncs", "p", "np", "bg"}
WRITE_OPTIONS = {"b", "t", "f", "nf", "p", "np"}
RANGE_SLACK = 3  # rows a range may go past the end, as Kaldi allows
LONGEST_KEY = 4096

T = TypeVar("T")
OnError = Callable[[str, SertkError], object]

log = logging.getLogger(__name__)


class Rspecifier(NamedTuple):
    """What a reading specifier says: `kind` is ark or scp; `permissive` leaves out what cannot be read."""

    kind: str
    location: str
    permissive: bool


def refuse_shared_input(*rspecifiers: str | None) -> None:
    """Raises UsageError where more than one of several specifiers or paths is standard input."""
    if sum(rspecifier.rpartition(":")[2].strip() == "-" for rspecifier in rspecifiers if rspecifier) > 1:
        raise UsageError("standard input can be read once only: give one '-', files or commands else")


def split_rspecifier(rspecifier: str) -> Rspecifier:
    """The Rspecifier of a text such as `scp:feats.scp`, `scp,p:feats.scp` or `ark,s,cs:-`."""
    kind, options, location = _split_specifier(rspecifier, "read", READ_OPTIONS)
    if len(kind) != 1 or not location:
        raise UsageError(f"'{rspecifier}' cannot be read: expected ark:FILE or scp:FILE (- is standard input)")
    return Rspecifier(kind[0], location, "p" in options)


def read_text_table(name: str) -> dict[str, str]:
    """What `read_scp` gives, of a path or a specifier of text such as `ark,t:spk2utt`."""
    return read_scp(split_rspecifier(name).location if SPECIFIER.match(name) else name)


def open_matrices(rspecifier: str, dtype: DTypeLike = np.float32) -> Iterator[tuple[str, np.ndarray]]:
    """Yields `(key, matrix (rows, columns) or vector (size,))` in the order of the archive or table.

    Binary, text, compressed and gzipped archives, commands (`ark:gunzip -c a.gz |`), offsets and ranges
    are understood. Raises SertkError for anything unreadable, cut off, empty, not finite or given twice; with the
    option p (`scp,p:feats.scp`) that is left out, and counted in a warning.
    """
    kind, location, permissive = split_rspecifier(rspecifier)
    if kind == "ark":
        matrices = read_archive(location, lambda stream, where: read_matrix(stream, where, dtype))
        yield from leaving_out(location, lambda _: matrices) if permissive else matrices
        return
    table = read_locations(location)
    if permissive:
        yield from leaving_out(location, lambda on_error: _read_each(table, dtype, on_error))
        return
    for _, numbered in itertools.groupby(enumerate(table.items()), key=_file_of):
        lines = [(key, *split_location(where)) for _, (key, where) in numbered]
        with open_input(lines[0][1]) as stream:
            for key, name, offset, cut in lines:
                yield key, _read_at(stream, f"{key} in {name}", offset, cut, dtype)


def load_matrix(location: str, dtype: DTypeLike = np.float32) -> np.ndarray:
    """The matrix (rows, columns) or vector (size,) at `location`, what stands behind a key in an scp file."""
    name, offset, cut = split_location(location)
    with open_input(name) as stream:
        return _read_at(stream, location, offset, cut, dtype)


def leaving_out(location: PathLike, read: Callable[[OnError], Iterator[T]]) -> Iterator[T]:
    """Yields what `read(on_error)` does, and warns at the end of entries that it could not read, as p asks for.

    It hands them to `on_error(key, error)`. A SertkError ends what is read; it is raised where nothing was.
    """
    name, errors, count = name_of(location), {}, 0
    try:
        for entry in read(errors.__setitem__):
            count += 1
            yield entry
    except SertkError as error:
        if not count:
            raise
        log.warning("%s; this and what follows is left out (%d read)", error, count)
    if errors:
        first = "{}: {}".format(*next(iter(errors.items())))
        text = f"{name}: {len(errors)} of {count + len(errors)} entries cannot be read"
        if not count:
            raise SertkError(f"{text}, the first is {first}")
        log.warning("%s and are left out, the first is %s", text, first)


def read_scp(location: PathLike) -> dict[str, str]:
    """The lines `key value` of a table (a path, `-` or `command |`) as a dict in the table's order."""
    table = {}
    where = name_of(location)
    with open_input(location) as stream:
        for number, line in enumerate(stream, start=1):
            if location == "-" and not line.endswith(b"\n"):
                raise SertkError(f"{where}:{number}: cut off here, the line has no end")
            if number == 1 and line.startswith(codecs.BOM_UTF8):
                raise SertkError(f"{where}:1: {BEGINS_WITH_BOM}")
            try:
                fields = line.decode("utf-8").strip().split(None, 1)
            except UnicodeDecodeError as error:
                raise SertkError(f"{where}:{number}: not UTF-8 text") from error
            if b"\0" in line:
                raise SertkError(f"{where}:{number}: a NUL character: not a text file")
            if len(fields) != 2:
                raise SertkError(f"{where}:{number}: expected a key and a value, got '{' '.join(fields)}'")
            if fields[0] in table:
                raise SertkError(f"{where}:{number}: {fields[0]} is there twice")
            table[fields[0]] = fields[1]
    if not table:
        raise SertkError(f"{where}: empty, expected lines of a key and a value")
    return table


def read_locations(location: PathLike) -> dict[str, str]:
    """What `read_scp` gives, of a table whose values are all for `split_location`."""
    table = read_scp(location)
    for key, value in table.items():
        try:
            split_location(value)
        except SertkError as error:
            raise SertkError(f"{name_of(location)}: {key}: {error}") from error
    return table


def archives_digest(scp: PathLike, utterances: Iterable[str]) -> str | None:
    """One SHA-256 of the first 64 KiB of each utterance's matrix; None: the table or an archive is not there."""
    if not Path(scp).is_file():
        return None
    located = {utt: split_location(where) for utt, where in read_locations(scp).items()}
    places, behind = {}, {}  # of each file, where what follows begins
    for utt, (name, offset, _) in sorted(located.items(), key=lambda each: each[1][1] or 0, reverse=True):
        places[utt] = name, offset or 0, min(SAMPLE, behind.get(name, math.inf) - (offset or 0))
        behind[name] = (offset or 0) - len(f"{utt} ".encode())
    there = [utt for utt in utterances if utt in located]
    return samples_digest({utt: places[utt] for utt in there}, {utt: located[utt][2] or "" for utt in there})


def read_archive(location: PathLike, read_object: Callable[[io.BufferedReader, str], T]) -> Iterator[tuple[str, T]]:
    """Yields `(key, read_object(stream, where))` for each entry of an archive.

    `location` is a path, `-` or `command |`; `where` names the entry for messages.
    """
    seen = set()
    name = name_of(location)
    with open_input(location) as stream:
        while (key := _read_key(stream, name)) is not None:
            if key in seen:
                raise SertkError(f"{name}: {key} is there twice")
            seen.add(key)
            yield key, read_object(stream, f"{key} in {name}")
        if not seen:
            raise SertkError(f"{name}: empty, expected an archive")


def read_matrix(stream: io.BufferedReader, where: str, dtype: DTypeLike) -> np.ndarray:
    """Reads one matrix or vector, binary or text, from a stream positioned at its start."""
    try:
        if stream.peek(1)[:1] == b"\0":  # one byte: a peek may give no more at the end of a buffer
            matrix = np.asarray(read_matrix_or_vector(_ExactStream(stream, where)))
        else:
            matrix = _read_text_matrix(stream, where)
    except (AssertionError, ValueError, UnicodeDecodeError, struct.error, MemoryError) as error:
        raise SertkError(f"{where}: not a Kaldi matrix") from error
    except (OSError, EOFError, zlib.error) as error:
        raise SertkError(f"{where}: unreadable: {error}") from error
    if not matrix.size:
        raise SertkError(f"{where}: an empty matrix")
    with np.errstate(over="ignore", invalid="ignore"):
        matrix = np.array(matrix, dtype=dtype)
    if not np.isfinite(matrix).all():
        raise SertkError(f"{where}: the matrix holds NaN or infinite values, or too large ones for {matrix.dtype}")
    return matrix


def split_location(location: str) -> tuple[str, int | None, str | None]:
    """`(name, byte offset or None, range or None)` of `foo.ark:123[0:9,2:3]`; a command has no offset."""
    match = re.fullmatch(r"(.+?)(?:\[([\d:,]*)\])?", location.strip())
    if not match:
        raise SertkError(f"'{location}': expected a file's name or a command")
    name, cut = match.groups()
    offset = None
    if not name.endswith("|") and (match := re.fullmatch(r"(.+):(\d+)", name)):
        name, offset = match[1], int(match[2])
        if name.rstrip().endswith("|"):
            raise SertkError(f"'{location}': a command is read from its beginning, take the byte offset :{offset} out")
    return name, offset, cut


class MatrixWriter:
    """Writes matrices to `ark:FILE`, `ark,t:FILE`, `ark,scp:FILE,SCP`, `ark:-` or `ark:| command`.

    Used in a `with` block: files appear whole when it ends well and not at all otherwise. The archive's
    path is written into the scp as it was given. `compression` is one of Kaldi's methods 1-7.
    """

    def __init__(self, wspecifier: str, compression: int | None = None):
        kinds, options, location = _split_specifier(wspecifier, "written", WRITE_OPTIONS)
        files = location.split(",", 1) if sorted(kinds) == ["ark", "scp"] else [location]
        if "ark" not in kinds or len(files) != len(kinds) or not all(files):
            raise UsageError(f"'{wspecifier}' cannot be written: expected ark:FILE, ark,t:FILE or ark,scp:FILE,SCP")
        names = dict(zip(kinds, files))
        self._ark, self._scp = names["ark"], names.get("scp")
        if self._scp and (self._ark == "-" or self._ark.startswith("|")):
            raise UsageError(f"'{wspecifier}' cannot be written: a table can point into a file only")
        self._text = "t" in options
        self._compression = compression
        self._keys = set()
        self._files = contextlib.ExitStack()

    @property
    def path(self) -> Path | None:
        """The archive's file, or None where it goes to standard output or a command."""
        return None if self._ark == "-" or self._ark.startswith("|") else Path(self._ark)

    def __enter__(self) -> "MatrixWriter":
        with contextlib.ExitStack() as files:
            self._scp_stream = files.enter_context(open_output(self._scp)) if self._scp else None
            self._ark_stream = files.enter_context(open_output(self._ark))
            self._files = files.pop_all()
        return self

    def __exit__(self, *exception: Any) -> bool | None:
        with contextlib.ExitStack() as files:
            files.push(self._files)
            ended_well = exception == (None, None, None)
            if ended_well and self._scp and self._scp_stream and not (is_special(self._ark) or is_special(self._scp)):
                # An old table must never point into the new archive, wherever this is cut off.
                to_disk(self._ark_stream, self._ark)
                to_disk(self._scp_stream, self._scp)
                Path(self._scp).unlink(missing_ok=True)
            return files.pop_all().__exit__(*exception)

    def write(self, key: str, matrix: np.ndarray) -> None:
        """Appends one matrix (rows, columns) or vector; float64 is kept, all else becomes float32."""
        if not key or any(character.isspace() for character in key):
            raise SertkError(f"{self._ark}: '{key}' cannot be a key: it is empty or holds white space")
        if key in self._keys:
            raise SertkError(f"{self._ark}: {key} is written twice")
        if not np.isfinite(matrix).all():
            raise SertkError(f"{self._ark}: {key}: the matrix holds NaN or infinite values")
        self._keys.add(key)
        matrix = np.ascontiguousarray(matrix, dtype=None if matrix.dtype == np.float64 else np.float32)
        self._ark_stream.write(f"{key} ".encode())
        if self._scp_stream:
            self._scp_stream.write(f"{key} {self._ark}:{self._ark_stream.tell()}\n".encode())
        if self._text:
            write_array_ascii(self._ark_stream, matrix)
        else:
            write_array(self._ark_stream, matrix, compression_method=self._compression)


class _ExactStream:
    """A stream whose `read` gives all the bytes asked for or raises SertkError."""

    def __init__(self, stream, where):
        self._stream = stream
        self._where = where

    def read(self, size):
        if size < 0:
            raise ValueError("negative size")
        data = self._stream.read(size)
        if len(data) < size:
            raise SertkError(f"{self._where}: the archive is cut off here")
        return data


def _split_specifier(specifier: str, done: str, known: set[str]) -> tuple[list[str], set[str], str]:
    """The kinds (ark, scp) in order, the set of options, all of them `known`, and what follows the first colon."""
    types, _, location = specifier.partition(":")
    types = types.split(",")
    kinds = [name for name in types if name in ("ark", "scp")]
    options = set(types) - {"ark", "scp"}
    if kinds and (unknown := sorted(options - known)):
        raise UsageError(
            f"'{specifier}' cannot be {done}: no option '{unknown[0]}', there are {' '.join(sorted(known))}"
        )
    return kinds, options, location.strip()


def _read_each(table, dtype, on_error):
    """Yields (key, matrix) of a table's entries, each opened alone so that a broken one takes no other along."""
    for key, location in table.items():
        try:
            matrix = load_matrix(location, dtype)
        except SertkError as error:
            on_error(key, error)
            continue
        yield key, matrix


def _file_of(numbered: tuple[int, tuple[str, str]]) -> tuple[int | None, str]:
    """What neighbouring lines of a table share if one open file serves them; a command never does."""
    number, (_, location) = numbered
    name = split_location(location)[0]
    return (number, name) if name.endswith("|") else (None, name)


def _read_at(
    stream: io.BufferedReader, where: str, offset: int | None, cut: str | None, dtype: DTypeLike
) -> np.ndarray:
    if offset is not None or stream.seekable():
        stream.seek(offset or 0)
    matrix = read_matrix(stream, where, dtype)
    return matrix if cut is None else _cut_range(matrix, cut, where)


def _cut_range(matrix, cut, where):
    """The range `rows` or `rows,columns` of a matrix, both inclusive `first:last`, empty for all."""
    ranges = cut.split(",")
    if len(ranges) > matrix.ndim:
        raise SertkError(f"{where}: the range [{cut}] does not fit a matrix of shape {matrix.shape}")
    slices = []
    for axis, (wanted, size) in enumerate(zip(ranges, matrix.shape)):
        if wanted in ("", ":"):
            slices.append(slice(None))
            continue
        match = re.fullmatch(r"(\d+):(\d+)", wanted)
        first, last = map(int, match.groups()) if match else (1, 0)
        if not first <= last < size + (RANGE_SLACK if axis == 0 else 0) or first >= size:
            raise SertkError(f"{where}: the range [{cut}] does not fit a matrix of shape {matrix.shape}")
        slices.append(slice(first, last + 1))
    return matrix[tuple(slices)].copy()


def _read_key(stream, location):
    key = bytearray()
    try:
        while byte := stream.read(1):
            if not byte.isspace():
                key += byte
            elif key:
                break
            if len(key) > LONGEST_KEY:
                raise SertkError(f"{location}: not a Kaldi archive")
        if not key:
            return None
        text = key.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SertkError(f"{location}: not a Kaldi archive") from error
    except (OSError, EOFError, zlib.error) as error:
        raise SertkError(f"{location}: unreadable: {error}") from error
    if not byte:
        raise SertkError(f"{location}: the archive is cut off after the key {text}")
    return text


def _read_text_matrix(stream, where):
    """A text matrix (each row on a line of its own after `[`) or vector (all on one line).

    kaldiio's reader takes a matrix that starts with a whole number for one of integers, and fails on it.
    """
    lines = []
    while b"]" not in (line := stream.readline()):
        if not line:
            raise SertkError(f"{where}: the archive is cut off here")
        if not lines and not line.lstrip().startswith(b"["):
            raise ValueError("no opening bracket")
        lines.append(line)
    head, _, body = b"".join([*lines, line]).partition(b"]")[0].partition(b"[")
    if head.strip():
        raise ValueError("no opening bracket")
    rows = [[float(value) for value in row.split()] for row in body.split(b"\n") if row.strip()]
    if not rows:
        return np.empty(0)
    return np.array(rows) if b"\n" in body else np.array(rows[0])

"""Files and folders that are either whole or absent: everything is written aside and renamed."""

import codecs
import contextlib
import glob
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import yaml

from sertk.core.documents import parse_json, parse_yaml
from sertk.core.errors import SertkError

PathLike = os.PathLike[str] | str  # what users name a file or folder by
T = TypeVar("T")


def aside_of(path: PathLike, kind: str = "tmp") -> Path:
    """The hidden name beside `path` under which this process, of all machines, writes it."""
    path = Path(path)
    return path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.{kind}")


@contextlib.contextmanager
def write_aside(path: PathLike, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a temporary file beside `path` and renames it to `path` when the block ends well.

    The temporary file is removed when the block raises. Folders are made as needed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    encoding = None if "b" in mode else "utf-8"
    try:
        with naming(path), open(aside, mode, encoding=encoding) as handle:
            yield handle
            to_disk(handle, path)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_aside(path: PathLike) -> Iterator[Path]:
    """Yields a new folder beside `path`, which takes the place of `path` when the block ends well.

    A folder that was there is replaced whole; it stays, and the new one goes, when anything fails.
    """
    with scratch_folder(path) as aside:
        yield aside
        replace_folder(aside, path)


@contextlib.contextmanager
def scratch_folder(path: PathLike) -> Iterator[Path]:
    """Yields a new folder beside `path`, on its disk, which is gone after the block unless it was renamed there.

    What processes of this machine that were killed left there goes first.
    """
    aside = aside_of(path)
    for left in aside.parent.glob(glob.escape(f".{Path(path).name}.{platform.node()}.") + "*.tmp"):
        number = left.name.split(".")[-2]
        if left == aside or number.isdecimal() and not is_running(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def is_running(process: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of somebody else; no number of a process
        return True
    return True


def replace_folder(aside: PathLike, path: PathLike) -> None:
    """Renames the folder `aside` to `path`; a folder that was there goes, or comes back when this fails."""
    path, old = Path(path), aside_of(path, "old")
    try:
        if path.is_dir():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(path, old)
        os.replace(aside, path)
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(path: PathLike) -> None:
    """Removes what killed processes left of writing `path` aside; nobody may be writing it now."""
    path = Path(path)
    for kind in ("tmp", "old"):
        for left in path.parent.glob(f".{glob.escape(path.name)}.*{kind}"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextlib.contextmanager
def naming(name: PathLike) -> Iterator[None]:
    """Puts the name of what is written in the block, which the system leaves out, into an OSError."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise OSError(error.errno, error.strerror, str(name)) from error
        raise


def to_disk(handle: IO[Any], name: PathLike) -> None:
    """Writes all that is buffered, so that a disk that is full says so here."""
    with naming(name):
        handle.flush()
        os.fsync(handle.fileno())


def write_text(path: PathLike, text: str) -> None:
    with write_aside(path) as handle:
        handle.write(text)


def write_json(path: PathLike, value: object) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_yaml(path: PathLike, value: object) -> None:
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100))


def read_text(path: PathLike) -> str:
    """A whole UTF-8 file; raises SertkError if it is missing or with the line of the first other byte."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise SertkError(f"{path}: {error.strerror}") from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        known = " -f UTF-16 -t UTF-8" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
        raise SertkError(f"{path}:{line}: not UTF-8 text; convert the file with iconv{known}") from error


def read_yaml(path: PathLike) -> Any:
    """The content of a YAML file, as data alone; raises SertkError with the place of what is wrong."""
    return read_parsed(path, lambda text: parse_yaml(text)[0], "YAML")


def read_json(path: PathLike) -> Any:
    """The content of a JSON file; raises SertkError with the place of what is wrong."""
    return read_parsed(path, parse_json, "JSON")


def read_parsed(path: PathLike, parse: Callable[[str], T], language: str) -> T:
    """What `parse` makes of a file's text; raises SertkError for an unreadable one, and for what `parse` refuses."""
    text = read_text(path)
    try:
        return parse(text)
    except (yaml.YAMLError, ValueError) as error:
        raise SertkError(f"{path}: not valid {language}: {' '.join(str(error).split())}") from error


def file_digest(path: PathLike, algorithm: str) -> str:
    """The hexadecimal `algorithm` (md5, sha256) digest of a file's bytes."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

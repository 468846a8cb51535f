"""Files that are either whole or absent: everything is written aside and renamed."""

import contextlib
import hashlib
import json
import os
import platform
from pathlib import Path

import yaml

from sertk.core.errors import SertkError


def aside_of(path, kind="tmp"):
    """The hidden name beside `path` under which this process, of all machines, writes it."""
    path = Path(path)
    return path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.{kind}")


@contextlib.contextmanager
def write_aside(path, mode="w"):
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
def naming(name):
    """Puts the name of what is written in the block, which the system leaves out, into an OSError."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise OSError(error.errno, error.strerror, str(name)) from error
        raise


def to_disk(handle, name):
    """Writes all that is buffered, so that a disk that is full says so here."""
    with naming(name):
        handle.flush()
        os.fsync(handle.fileno())


def write_text(path, text):
    with write_aside(path) as handle:
        handle.write(text)


def write_json(path, value):
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_yaml(path, value):
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100))


def read_yaml(path):
    """The content of a YAML file, as data alone; raises SertkError with the place of a syntax error."""
    return read_parsed(path, yaml.safe_load, yaml.YAMLError, "YAML")


def read_json(path):
    """The content of a JSON file; raises SertkError with the place of a syntax error."""
    return read_parsed(path, json.load, json.JSONDecodeError, "JSON")


def read_parsed(path, parse, syntax_error, language):
    try:
        with open(path, encoding="utf-8") as handle:
            return parse(handle)
    except OSError as error:
        raise SertkError(f"{path}: {error.strerror}") from error
    except (syntax_error, UnicodeDecodeError) as error:
        raise SertkError(f"{path}: not valid {language}: {' '.join(str(error).split())}") from error


def file_digest(path, algorithm):
    """The hexadecimal `algorithm` (md5, sha256) digest of a file's bytes."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

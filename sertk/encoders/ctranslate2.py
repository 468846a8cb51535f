"""Weights of CTranslate2's files `model.bin`, of versions 4 to 6, without what computes with them.

All numbers are little-endian. A file has its version (uint32), the name of what it describes and a revision (uint32);
a number of variables (uint32), each with name, rank (uint8), dims (uint32 each), type (uint8), bytes (uint32) and data;
then a number of aliases (uint32), each with its name and that of a variable. Texts begin with their length (uint16)
and end with a zero byte. Quantised weights have a variable `NAME_scale`; the weight is the number divided by its scale.
"""

import math
import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

import torch
from torch import Tensor

from sertk.core.errors import SertkError
from sertk.core.files import PathLike

VERSIONS = (4, 5, 6)
TYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)
QUANTISED = (torch.int8, torch.int16)
SCALE = "_scale"


@dataclass(frozen=True)
class Variable:
    """Where a variable lies in its file."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    start: int  # bytes from the beginning of the file
    size: int  # bytes


class Reader:
    """Numbers and texts of a file, one after the other; raises SertkError where it ends too early."""

    def __init__(self, handle: BinaryIO, path: PathLike):
        self.handle, self.path = handle, path
        self.size = os.fstat(handle.fileno()).st_size

    def take(self, count: int) -> bytes:
        self.require(count)
        return self.handle.read(count)

    def skip(self, count: int) -> int:
        """Where the bytes that are skipped begin."""
        self.require(count)
        start = self.handle.tell()
        self.handle.seek(count, os.SEEK_CUR)
        return start

    def require(self, count: int) -> None:
        if count > self.size - self.handle.tell():
            raise SertkError(f"{self.path}: ends too early for a CTranslate2 file; get it again")

    def number(self, kind: str) -> int:
        return struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0]

    def text(self) -> str:
        content = self.take(self.number("H"))
        try:
            if content.endswith(b"\0"):
                return content[:-1].decode("utf-8")
        except UnicodeDecodeError:
            pass
        raise SertkError(f"{self.path}: not a CTranslate2 file, or a damaged one: a name cannot be read")


def is_model(path: PathLike) -> bool:
    """Whether a file begins like one of CTranslate2's: with a small version, and the length of a name."""
    with open(path, "rb") as handle:
        head = handle.read(6)
    return len(head) == 6 and head[0] > 0 and head[1:4] == bytes(3) and head[5] == 0


def read_model(path: PathLike, expected: str, prefix: str) -> dict[str, Tensor]:
    """The variables whose names begin with `prefix`, by name; what is quantised as float32, the others as they are.

    Raises SertkError for other files, damaged ones, and those that describe something else than `expected`.
    """
    with open(path, "rb") as handle:
        reader = Reader(handle, path)
        version = reader.number("I")
        if version not in VERSIONS:
            raise SertkError(
                f"{path}: CTranslate2's version {version} of such files, known are 4 to 6; convert it anew"
            )
        found = reader.text()
        if found != expected:
            raise SertkError(f"{path}: holds a {found}, expected a {expected}: it is another encoder")
        reader.number("I")
        variables = dict(read_variable(reader) for _ in range(reader.number("I")))
        for _ in range(reader.number("I")):
            alias, name = reader.text(), reader.text()
            if name not in variables:
                raise SertkError(f"{path}: {alias} is an alias of {name}, which is missing")
            variables[alias] = variables[name]
        if handle.tell() != reader.size:
            raise SertkError(f"{path}: {reader.size - handle.tell()} bytes follow the end of the CTranslate2 file")
        raw = {name: load(handle, each) for name, each in variables.items() if name.startswith(prefix)}
    scaled = {name: value for name, value in raw.items() if not name.endswith(SCALE)}
    return {name: dequantised(name, value, raw, path) for name, value in scaled.items()}


def read_variable(reader: Reader) -> tuple[str, Variable]:
    """The name and the place of the next variable; its data is left unread."""
    name = reader.text()
    shape = struct.unpack(f"<{(rank := reader.number('B'))}I", reader.take(4 * rank))
    kind, size = reader.number("B"), reader.number("I")
    if kind >= len(TYPES):
        raise SertkError(f"{reader.path}: {name} is of the unknown type {kind}; convert the model to float16")
    if math.prod(shape) * TYPES[kind].itemsize != size:
        raise SertkError(f"{reader.path}: damaged: {name} of {shape_text(shape)} has {size} bytes")
    return name, Variable(shape, TYPES[kind], reader.skip(size), size)


def load(handle: BinaryIO, variable: Variable) -> Tensor:
    """The data of a variable as a tensor of its shape."""
    handle.seek(variable.start)
    content = bytearray(handle.read(variable.size))
    if not content:
        return torch.empty(variable.shape, dtype=variable.dtype)
    return torch.frombuffer(content, dtype=variable.dtype).reshape(variable.shape)


def dequantised(name: str, value: Tensor, raw: dict[str, Tensor], path: PathLike) -> Tensor:
    """A weight in its own values, of one scale, or one for each row; settings, which have no dims, stay numbers."""
    if value.dtype not in QUANTISED or not value.ndim:
        return value
    scale = raw.get(name + SCALE)
    rows = len(value) if value.dtype == torch.int8 else 1
    if scale is None or scale.numel() not in (1, rows):
        found = "no scale" if scale is None else f"{scale.numel()} scales, expected {rows}"
        raise SertkError(f"{path}: {name} is quantised and has {found}; get the file again")
    return value.float() / scale.float().reshape(-1, *[1] * (value.ndim - 1))


def shape_text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "no dims"

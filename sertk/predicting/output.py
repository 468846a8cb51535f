"""Results as text and archives."""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from tqdm import tqdm

from sertk.core.files import PathLike
from sertk.core.messages import shown
from sertk.kaldi.archives import MatrixWriter
from sertk.predicting.recognizer import Result


class Lines:
    """Writes one line for each recording or, with `segments`, for each of its windows; subclasses have `line`."""

    def __init__(self, classes: Sequence[str], paths: Iterable[PathLike], segments: bool, out: TextIO):
        self.classes, self.segments, self.out = list(map(shown, classes)), segments, out
        self.width = max([len("file"), *(len(shown(path)) for path in paths)])
        self.widths = [max(6, len(name)) for name in self.classes]
        self.label_width = max(len("label"), *map(len, self.classes))

    def __enter__(self):
        self.print(self.line("file", ("start", "end"), "label", self.classes))
        return self

    def __exit__(self, *exception):
        """Nothing is left to do."""

    def line(self, path: str, times: Sequence[str], label: str, values: Sequence[str]) -> str:
        """A line of the columns, with the `times` of a window if there are `segments`."""
        raise NotImplementedError

    def print(self, line: str) -> None:
        tqdm.write(line, file=self.out)
        self.out.flush()

    def write(self, path: PathLike, result: Result) -> None:
        if not self.segments:
            posteriors = result.posteriors
            self.print(
                self.line(shown(path), ("", ""), shown(result.label), [f"{value:.4f}" for value in posteriors.values()])
            )
            return
        for (start, end), row in zip(result.times, result.rows):
            times = f"{start:.3f}", f"{end:.3f}"
            self.print(
                self.line(shown(path), times, self.classes[int(row.argmax())], [f"{value:.4f}" for value in row])
            )


class Table(Lines):
    """Columns for people."""

    def line(self, path: str, times: Sequence[str], label: str, values: Sequence[str]) -> str:
        times = [f"{time:>9}" for time in times] if self.segments else []
        columns = [f"{value:>{width}}" for value, width in zip(values, self.widths)]
        return "  ".join([f"{path:{self.width}}", *times, f"{label:{self.label_width}}", *columns])


class Tsv(Lines):
    """Columns between tabs."""

    def line(self, path: str, times: Sequence[str], label: str, values: Sequence[str]) -> str:
        return "\t".join([path, *(times if self.segments else ()), label, *values])


class Json(Lines):
    """A JSON object on each line, of a recording, with its windows if there are `segments`."""

    def __enter__(self):
        return self

    def write(self, path: PathLike, result: Result) -> None:
        line = {
            "file": os.fspath(path),  # JSON escapes what needs it
            "seconds": round(result.seconds, 4),
            "label": result.label,
            "posteriors": result.posteriors,
        }
        if self.segments:
            line["windows"] = [vars(window) for window in result.windows]
        self.print(json.dumps(line))


class Archive:
    """A vector (classes,) for each recording or, with `segments`, a matrix (windows, classes); keys have no spaces."""

    def __init__(self, wspecifier: str, segments: bool):
        self.segments, self.writer, self.files = segments, MatrixWriter(wspecifier), contextlib.ExitStack()

    def __enter__(self):
        self.files.enter_context(self.writer)
        return self

    def __exit__(self, *exception):
        return self.files.__exit__(*exception)

    def write(self, path: PathLike, result: Result) -> None:
        rows = result.rows if self.segments else result.rows.mean(0)
        self.writer.write(archive_key(path), rows.astype("float32"))


def archive_key(path: PathLike) -> str:
    """What an archive calls a recording: its path without spaces."""
    return re.sub(r"\s", "_", shown(path))

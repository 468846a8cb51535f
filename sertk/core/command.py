"""What all commands share: options, messages, progress bars, exit codes."""

import argparse
import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn, TypeVar

from tqdm import tqdm

from sertk.core.errors import SertkError, UsageError, is_out_of_memory
from sertk.core.messages import OneLine, say, shown

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """One whose complaint of a wrong word is one line."""

    def error(self, message: str) -> NoReturn:
        super().error(shown(message))


def make_parser(name: str, description: str, example: str) -> argparse.ArgumentParser:
    """An argument parser with `--debug` and an example at the end of its help."""
    parser = Parser(
        prog=name,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def run_command(
    parser: argparse.ArgumentParser,
    function: Callable[[argparse.Namespace], int | None],
    argv: Sequence[str] | None = None,
) -> int:
    """Parses `argv`, calls `function(args)` and returns the exit status.

    0 is success, 1 an error that is printed as one line, 2 wrong usage, 130 an interruption (Ctrl-C).
    """
    args = parser.parse_args(argv)
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may be unable to show every letter
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = function(args) or 0
        if sys.stdout:
            sys.stdout.flush()
        return status
    except SertkError as error:
        if args.debug:
            raise
        say(f"{parser.prog}: {error}")
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        say(f"{parser.prog}: interrupted")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # What is still buffered would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        say(f"{parser.prog}: what reads the output ended before it had read all")
        return 1
    except (MemoryError, RuntimeError) as error:
        if args.debug or not is_out_of_memory(error):
            raise
        what = f" ({str(error).splitlines()[0][:200]})" if str(error) else ""
        say(f"{parser.prog}: not enough memory{what}: free some, or take a smaller model or less at once")
        return 1
    except OSError as error:
        if args.debug:
            raise
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        say(f"{parser.prog}: {what}")
        return 1


def progress(items: Iterable[T], description: str | None, total: int | None = None) -> Iterable[T]:
    """`items` with a bar on a terminal, and silently elsewhere, or without a description."""
    if description is None:
        return items
    return tqdm(items, desc=description, total=total, disable=not sys.stderr.isatty(), leave=False)

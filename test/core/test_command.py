"""What commands say: one line, whatever is in it."""

import pytest

from sertk.core.command import make_parser, run_command
from sertk.core.errors import SertkError
from sertk.core.messages import shown


def said(message, capsys):
    def fail(args):
        raise SertkError(message)

    assert run_command(make_parser("sertk-x", "X.", "sertk-x"), fail, []) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "text, expected",
    [
        ("plain Jürgen 你", "plain Jürgen 你"),
        ("a\nb\tc", r"a\x0ab\x09c"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\u202egpj", r"\u202egpj"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("\ufeffx", r"\ufeffx"),
    ],
)
def test_an_error_is_one_line_of_letters(text, expected, capsys):
    assert shown(text) == expected
    assert said(f"a.yaml: {text} is wrong", capsys) == f"sertk-x: a.yaml: {expected} is wrong\n"


@pytest.mark.parametrize(
    "error, what",
    [
        (MemoryError(), ""),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried\nmore"), "you tried"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to allocate 2 GiB"), "2 GiB"),
    ],
)
def test_too_little_memory_is_said_in_one_line(error, what, capsys):
    def fail(args):
        raise error

    assert run_command(make_parser("sertk-x", "X.", "sertk-x"), fail, []) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sertk-x: not enough memory") and what in line


def test_other_runtime_errors_are_not_hidden():
    def fail(args):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run_command(make_parser("sertk-x", "X.", "sertk-x"), fail, [])


def test_a_very_long_line_keeps_its_ends(capsys):
    line = said(f"feats/{'x' * 3000}.scp: no such file", capsys)
    assert len(line) < 1000 and line.startswith("sertk-x: feats/xxx") and line.endswith("xx.scp: no such file\n")


def test_a_list_of_mistakes_keeps_its_lines(capsys):
    assert said("a.csv: 2 lines are wrong:\n  one\n  two", capsys) == (
        "sertk-x: a.csv: 2 lines are wrong:\n  one\n  two\n"
    )

"""What others named, on a terminal: one line, which moves no cursor and turns no letters round."""

import logging
import os
import subprocess
import sys

import pytest

from sertk.bin import data_dir, predict
from sertk.core.messages import OneLine, counted, shown

HOSTILE = "a\x1b[31m\nb\x9b2J\u202egpj.\u2028\udcff\ud800"
HARMLESS = r"a\x1b[31m\x0ab\x9b2J\u202egpj.\u2028\xff\ud800"


def test_a_name_is_one_line_that_any_terminal_can_show():
    assert shown(HOSTILE) == HARMLESS
    assert shown("ein schöner Tag, 晴れ \u200d \\n.wav") == "ein schöner Tag, 晴れ \u200d \\n.wav"


@pytest.mark.parametrize("command", [predict.main, data_dir.main])
def test_errors_of_commands_are_one_line(command, tmp_path, capfd):
    name = str(tmp_path / "a\x1b[31m\nb")
    arguments = [name, name] if command is predict.main else ["validate", name]
    assert command(arguments) == 1
    error = capfd.readouterr().err
    assert r"a\x1b[31m\x0ab" in error and error.count("\n") == 1 and "\x1b" not in error


def test_usage_errors_are_one_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        data_dir.main(["validate", "--wrong\x1b[31m", "x"])
    assert capsys.readouterr().err.endswith("error: unrecognized arguments: --wrong\\x1b[31m\n")


def test_messages_of_the_log_are_one_line_each_but_not_their_traceback():
    try:
        raise ValueError("x")
    except ValueError:
        record = logging.LogRecord("a", logging.INFO, "a.py", 1, "read %s", (HOSTILE,), sys.exc_info())
    message, *traceback = OneLine().format(record).splitlines()
    assert message == f"read {HARMLESS}" and traceback[0].startswith("Traceback") and traceback[-1] == "ValueError: x"


def test_output_that_cannot_show_a_letter(tmp_path):
    (tmp_path / "conf.yaml").write_text("ü: {rule: random, valid: 0.2, test: 0.2}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "sertk.bin.make_splits", "--config", tmp_path / "conf.yaml", "--list"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("\\xfc\n", "")


def test_one_and_several():
    assert [counted(number, "line") for number in (0, 1, 2)] == ["0 lines", "1 line", "2 lines"]
    assert [counted(number, "line is", "lines are") for number in (1, 3)] == ["1 line is", "3 lines are"]

"""Some inputs of the fuzzer, and that it notices what it is there for."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
INPUTS = 300


@pytest.fixture(scope="module")
def fuzz():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOLS)
        import fuzz

        yield fuzz
    for name in [name for name in sys.modules if name.partition(".")[0] in ("fuzz", "fuzzing")]:
        del sys.modules[name]


def test_damaged_inputs_end_in_a_line(fuzz, capsys):
    assert fuzz.main(["--inputs", str(INPUTS)]) == 0, capsys.readouterr().out


def test_an_input_is_the_same_each_time(fuzz, tmp_path):
    from fuzzing.mutations import mutate

    made = set()
    for _ in range(3):
        path = tmp_path / "table.csv"
        path.write_text("path,label\na.wav,sad\nb.wav,calm\n")
        mutate(path, fuzz.random.Random("tables 7"))
        made.add(path.read_bytes() if path.is_file() else None)
    assert len(made) == 1


@pytest.mark.parametrize(
    "status, err, wrong",
    [
        (0, "a warning\n", None),
        (1, "sertk-score: a.yaml: not there\n", None),
        (1, "sertk-score: 2 lines are wrong:\n  one\n  two\n", None),
        (2, "usage: sertk-score [-h]\nsertk-score: error: no EXP\n", None),
        (1, "", "without a line"),
        (1, "sertk-score: \n", "without a line"),
        (1, "sertk-score: a\nb\n", "without a line"),
        (3, "sertk-score: a\n", "exit status 3"),
        (None, "Traceback (most recent call last):\n", "exit status None"),
        (0, "x.py:1: RuntimeWarning: overflow\n", "RuntimeWarning"),
        (1, f"sertk-score: {'x' * 2000}\n", "a line of 2013 characters"),
    ],
)
def test_what_counts_as_a_fault(fuzz, status, err, wrong):
    found = fuzz.complaint("score", status, err)
    assert found is None if wrong is None else wrong in found


def test_what_ends_the_process_is_noticed(fuzz, monkeypatch):
    def die():
        os.kill(os.getpid(), signal.SIGTERM)

    assert fuzz.in_child([lambda: "1", lambda: "2"]) == ["1", "2"]
    assert fuzz.in_child([lambda: "1", die, lambda: "2"]) == ["1", "killed by SIGTERM"]
    (hungry,) = fuzz.in_child([lambda: bytearray(2**40).hex()])
    assert "MemoryError" in hungry
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    assert fuzz.in_child([lambda: time.sleep(60)]) == ["more than 1 s"]


def test_inputs_behind_one_that_kills_the_process_are_run(fuzz, monkeypatch, tmp_path):
    def run_input(folder, name, number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return f"{name} {number}"

    monkeypatch.setattr(fuzz, "run_input", run_input)
    (tmp_path / "valid").mkdir()
    outcomes = fuzz.outcomes_of(tmp_path / "valid", [("tables", number) for number in range(4)])
    assert list(outcomes) == ["tables 0", "killed by SIGTERM", "tables 2", "tables 3"]

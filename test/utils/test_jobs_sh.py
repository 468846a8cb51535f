"""What scripts need that give commands to run.pl and its like."""

import subprocess
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[2] / "utils"


def bash(line, *arguments):
    command = ["bash", "-euc", f". {UTILS}/jobs.sh; {line}", "bash", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        ((), "JOB"),
        (("data/own", "job"), "JOB"),
        (("data/JOB_interviews", "x"), "JOBX"),
        (("x", "JOBX/JOBS"), "JOBXX"),
        (("TASK", "exp/a.JOB/log"), "JOBX"),
    ],
)
def test_a_name_for_the_number_of_a_job_is_in_no_text(texts, name):
    assert bash('job_name "$@"', *texts) == f"{name}\n"


WORDS = [
    "plain",
    "",
    "a b",
    "a&b;(c)",
    "$HOME",
    "it's",
    'say"hi"',
    "*",
    "{a,b}",
    "back\\slash",
    "new\nline",
    "\u00fc",
    "~",
    "#",
]


def test_quoted_words_arrive_as_they_are(tmp_path):
    line = f"quote printf '%s\\0' \"$@\"; {UTILS}/run.pl {tmp_path}/a.log \"${{quoted[@]}}\" '>' {tmp_path}/out"
    bash(line, *WORDS)
    assert (tmp_path / "out").read_text().split("\0") == [*WORDS, ""]

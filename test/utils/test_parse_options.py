import os
import subprocess
from pathlib import Path

import pytest

PARSE = Path(__file__).resolve().parents[2] / "utils" / "parse_options.sh"
SCRIPT = f"""
set -euo pipefail
stage=0
nj=4
feature_type=fbank40
flag=false
words=
help_message="usage: demo.sh [options] DIR"
. {PARSE}
printf '%s\\n' "$stage" "$nj" "$feature_type" "$flag" "$words" "$#" "$@"
"""


@pytest.fixture
def options(tmp_path):
    (tmp_path / "demo.sh").write_text(SCRIPT)

    def run(*arguments):
        command = ["bash", "demo.sh", *arguments]
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ([], ["0", "4", "fbank40", "false", "", "0"]),
        (["--stage", "3", "data"], ["3", "4", "fbank40", "false", "", "1", "data"]),
        (["--stage=3", "a", "--nj", "5"], ["3", "4", "fbank40", "false", "", "3", "a", "--nj", "5"]),
        (["--feature-type", "a=b c", "--flag", "true"], ["0", "4", "a=b c", "true", "", "0"]),
        (["--feature_type=x", "--words", ""], ["0", "4", "x", "false", "", "0"]),
        (["--words", "--not-ours 3", "--nj", "-1"], ["0", "-1", "fbank40", "false", "--not-ours 3", "0"]),
        (["--nj", "1", "--", "--nj"], ["0", "1", "fbank40", "false", "", "1", "--nj"]),
        (["--nj", "1", "-"], ["0", "1", "fbank40", "false", "", "1", "-"]),
    ],
)
def test_values_and_what_is_left(options, arguments, expected):
    done = options(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[:-1] == expected


@pytest.mark.parametrize("value", ["$(touch hacked)", "`touch hacked`", "x; touch hacked", "'\"$nj\\n*", "a\nb"])
def test_values_are_never_code(options, tmp_path, value):
    done = options("--words", value)
    assert done.stdout == f"0\n4\nfbank40\nfalse\n{value}\n0\n"
    assert not (tmp_path / "hacked").exists()


def test_command_line_beats_config_wherever_it_stands(options, tmp_path):
    (tmp_path / "my.conf").write_text("stage=7\nnj=8 # comment\nwords='a b'\n")
    done = options("--stage", "1", "--config", "my.conf", "data")
    assert done.stdout.splitlines() == ["1", "8", "fbank40", "false", "a b", "1", "data"]
    assert options("--config=my.conf").stdout.splitlines()[:2] == ["7", "8"]


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(options, option):
    done = options("--nj", "3", option)
    assert (done.returncode, done.stdout) == (0, "usage: demo.sh [options] DIR\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--unknown", "1"], "demo.sh: unknown option --unknown"),
        (["--x[$(touch hacked)]", "1"], "demo.sh: unknown option --x[$(touch hacked)]"),
        (["--1x=1"], "demo.sh: unknown option --1x"),
        (["-stage", "1"], "demo.sh: unknown option -stage"),
        (["--flag", "yes"], "demo.sh: option --flag takes true or false, not 'yes'"),
        (["--flag="], "demo.sh: option --flag takes true or false, not ''"),
        (["--stage"], "demo.sh: option --stage needs a value"),
        (["--stage", "--nj", "4"], "demo.sh: option --stage needs a value"),
        (["--config", "none.conf"], "demo.sh: cannot read the file of --config: none.conf"),
        (["--config"], "demo.sh: option --config needs a value"),
    ],
)
def test_errors(options, tmp_path, arguments, message):
    done = options(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message) and done.stderr.count("\n") == 1
    assert not (tmp_path / "hacked").exists()


def test_config_is_an_ordinary_option_of_a_script_with_such_a_variable(tmp_path):
    script = tmp_path / "own.sh"
    script.write_text(f'config=\n. {PARSE}\necho "config is $config"\n')
    (tmp_path / "model.yaml").write_text("echo sourced\n")
    done = subprocess.run(
        ["bash", script, "--config", tmp_path / "model.yaml"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"config is {tmp_path}/model.yaml\n"


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ([], ["3", "--first", "x"]),
        (["--folds", "1 2", "--nj", "5", "--a=8"], ["5", "--first", "x", "--folds", "1 2", "--a=8"]),
        (["--config", "model.yaml", "--b", ""], ["3", "--first", "x", "--config", "model.yaml", "--b", ""]),
        (["--nj=4", "--", "--folds", "1"], ["4", "--first", "x"]),
    ],
)
def test_options_of_another_command_are_passed_on(passing_on, arguments, expected):
    done = passing_on(*arguments)
    assert (done.returncode, done.stdout.splitlines()) == (0, expected)


def test_options_that_are_passed_on_need_values_too(passing_on):
    done = passing_on("--folds", "--nj", "4")
    assert (done.returncode, done.stdout) == (1, "")
    assert "option --folds needs a value" in done.stderr


@pytest.fixture
def passing_on(tmp_path):
    """Runs a script that knows --nj and passes other options on."""
    script = tmp_path / "own.sh"
    show = """printf '%s\\n' "$nj" "${other_options[@]}"\n"""
    script.write_text(f"nj=3\nother_options=(--first x)\n. {PARSE}\n{show}")
    (tmp_path / "model.yaml").write_text("echo sourced\n")

    def run(*arguments):
        command = ["bash", script, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run

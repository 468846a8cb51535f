"""How recipes are called: their help, and what they refuse before they start anything."""

import os
import subprocess
import sys

import pytest
from recipes import ROOT, copy_recipes, run_recipe

RECIPES = sorted(path.parent.name for path in ROOT.glob("egs/*/run.sh") if "ser.sh" in path.read_text())


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of egs/, and an environment in bin/ whose commands know two protocols, plans without needs, and no GPU."""
    tree = copy_recipes(tmp_path_factory.mktemp("tree"))
    (tree / "bin").mkdir()
    plan = 'case "$*" in *cuda*) exit 1 ;; *) echo "tag " ;; esac'
    scripts = {"python3": "exit 99", "sertk-make-splits": "echo random75; echo mini", "sertk-make-experiment": plan}
    for name, script in scripts.items():
        (tree / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tree / "bin" / name).chmod(0o755)
    return tree


@pytest.mark.parametrize("recipe", RECIPES)
def test_help_lists_options_models_and_protocols(tree, recipe):
    done = run_recipe(tree, recipe, "--help", PATH=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    for word in ("--stage", "--db_root", "blstm_capsule", "random75"):
        assert word in done.stdout


@pytest.mark.parametrize(
    "recipe, options, message",
    [
        ("mini", ["--model", "perceptron", "--stage", "3"], "no model perceptron (there are: ae_lstm blstm"),
        ("mini", ["--stage", "x"], "--stage x: expected a whole number from 0"),
        ("mini", ["--stop_stage", "7"], "--stop_stage 7: the last stage is 6"),
        ("mini", ["--stage", "3", "--stop_stage", "2"], "--stage 3: behind --stop_stage 2, so that no stage would run"),
        ("own", ["--csv", "x.csv", "--stage", "6"], "--stage 6: behind --stop_stage 5, so that no stage would run"),
        ("asr", ["--stop_stage", "5"], "--stop_stage 5: the last stage is 4"),
        ("asr", ["--stage", "4", "--stop_stage", "3"], "--stage 4: behind --stop_stage 3, so that no stage would run"),
        ("mini", ["--mem", "lots"], "--mem lots: expected a size such as 8G"),
        ("asr", ["--mem", "8 G"], "--mem 8 G: expected a size such as 8G"),
        (
            "mini",
            ["--asr_exp", "/nope"],
            "--asr_exp /nope: blstm_capsule takes no layers of a speech recogniser of ours",
        ),
        ("mini", ["--num_threads", "0"], "--num_threads 0: expected a whole number from 1"),
        ("mini", ["--tag", "a;b"], "--tag a;b: letters, digits"),
        ("mini", ["--folds", "one"], "--folds one: expected numbers"),
        ("mini", ["--colour", "red"], "unknown option --colour"),
        ("mini", ["--stage", "1", "--db_root", "nowhere"], "--db_root nowhere: no such folder"),
        ("mini", ["--protocol", "si"], "no protocol 'si' (there are: random75 mini)"),
        ("mini", ["--nj", "0"], "--nj 0: expected a whole number from 1"),
        ("mini", ["--ngpu", "2"], "--ngpu 2: torch finds no GPU on this machine; --ngpu 0 takes the CPU"),
        ("asr", ["--ngpu", "1", "--tag", "x"], "--ngpu 1: torch finds no GPU on this machine"),
        ("mini", ["--compress", "yes"], "--compress yes: expected true or false"),
        ("mini", ["--language", "en"], "--language en: expected en-us or de"),
        ("own", ["--csv", "none.csv", "--model", "perceptron"], "no model perceptron (there are: ae_lstm blstm"),
        ("own", ["--csv", "none.csv", "--protocol", "si"], "no protocol 'si'"),
        ("iemocap", ["--subset", "spoken"], "--subset spoken: expected one of complete improvised scripted"),
        ("iemocap", ["--partial", "yes"], "--partial takes true or false"),
        ("own", [], "--csv FILE is needed"),
        ("own", ["--csv", "none.csv"], "--csv none.csv: no such file"),
        ("own", ["--csv", "none.csv", "--stage", "3"], "data/none/utt2spk is missing; stage 1 makes it"),
        ("own", ["--csv", "none.csv", "--db_root", "x"], "named by --csv alone"),
        ("asr", ["--train_sets", "librispeech", "--tag", "x"], "librispeech: expected sets such as librispeech/train"),
        ("asr", ["--train_sets", "tedlium/../x", "--tag", "x"], "tedlium/../x: expected sets such as"),
        ("asr", ["--dev_sets", " ", "--tag", "x"], "--train_sets and --dev_sets must name a set each"),
        ("asr", ["--token_type", "a b"], "--token_type a b: letters, digits"),
        ("asr", ["--num_nodes", "2"], "--num_nodes 2: a training on several nodes needs Slurm (CMD_BACKEND=slurm)"),
        ("asr", ["--colour", "red"], "unknown option --colour"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_started(tree, recipe, options, message):
    bare = {"PATH": "/usr/bin:/bin", "SERTK_PYTHON": str(tree / "bin/python3")}
    done = run_recipe(tree, recipe, *options, **bare)
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert not (tree / "egs" / recipe / "data").exists() and not (tree / "egs" / recipe / "exp").exists()


def test_a_list_that_a_loop_around_recipes_reads_stays_whole(tree):
    reading = tree / "reading"
    reading.mkdir()
    for name in ("python3", "sertk-make-experiment"):
        (reading / name).symlink_to(tree / "bin" / name)
    (reading / "sertk-make-splits").write_text("#!/bin/sh\ncat > /dev/null\necho random75\n")
    (reading / "sertk-make-splits").chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", "printf 'one\ntwo\n' | while read -r each; do ./run.sh --csv $each.csv; done"],
        cwd=tree / "egs/own",
        env={"PATH": "/usr/bin:/bin", "SERTK_PYTHON": str(reading / "python3")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line.split()[2] for line in done.stderr.splitlines()] == ["one.csv:", "two.csv:"]


def test_a_missing_environment_is_named(tree):
    done = run_recipe(tree, "mini", "--stage", "9", SERTK_PYTHON="/no/such/python")
    assert done.returncode == 1 and "SERTK_PYTHON=/no/such/python is no command" in done.stderr
    done = run_recipe(tree, "mini", SERTK_PYTHON="")
    assert done.returncode == 1 and "make -C" in done.stderr


def test_an_unknown_backend_is_named(tree):
    done = run_recipe(tree, "mini", "--stage", "9", CMD_BACKEND="abacus")
    assert done.returncode == 1 and "CMD_BACKEND=abacus" in done.stderr

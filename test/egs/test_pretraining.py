"""Stage 2 of the recipes, which pretrains a speech recogniser, with a stand-in for egs/asr/run.sh."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from patience import HOUR

ROOT = Path(__file__).resolve().parents[2]
# It takes its time, notes that it ran, and fails where another runs.
STAND_IN = """#!/usr/bin/env bash
set -euo pipefail
[[ $* != *--print_exp* ]] || { echo exp/small; exit; }
mkdir exp/running
echo "$*" >> exp/runs
sleep 0.5
echo "set=a.b=1 c.d=2" > exp/small/.done
rmdir exp/running
"""
# What ser.sh has set when it sources asr.sh
RECIPE = f"""set -euo pipefail
need() {{ [ -e "$1" ] || {{ echo "$1 is missing; stage $2 makes it" >&2; exit 1; }}; }}
nj=1 ngpu=0 num_threads=1 asr_model=small asr_download=false asr_exp="$1" asr_set="$2"
asr_config='' asr_tag='' asr_train_sets='' asr_dev_sets='' asr_test_sets='' asr_partial='' asr_data=''
librispeech_root='' tedlium_root='' voxforge_root=''
. {ROOT}/egs/common/asr.sh
$3
echo "then stage 3"
"""


@pytest.fixture
def egs(tmp_path):
    for folder in ("toy", "asr/exp"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "asr/run.sh").write_text(STAND_IN)
    (tmp_path / "asr/run.sh").chmod(0o755)
    return tmp_path


def recipe(egs, settings="", asr_exp="", function="pretrain"):
    return subprocess.run(
        ["bash", "-c", RECIPE, "./run.sh", asr_exp, settings, function],
        cwd=egs / "toy",
        capture_output=True,
        text=True,
        check=False,
        timeout=HOUR,
    )


def test_recipes_at_once_train_it_once(egs):
    with ThreadPoolExecutor(3) as pool:
        done = [*pool.map(lambda _: recipe(egs), range(3))]
    assert [each.returncode for each in done] == [0, 0, 0], done
    assert len((egs / "asr/exp/runs").read_text().splitlines()) == 1
    assert sum("../asr/exp/small is trained already" in each.stdout for each in done) == 2
    assert all(each.stdout.endswith("then stage 3\n") for each in done)


def test_one_that_was_trained_with_other_settings_is_not_taken_for_it(egs):
    for settings in ("a.b=1 c.d=2", "", "a.b=1 c.d=2"):
        assert recipe(egs, settings).returncode == 0
    other = recipe(egs, "a.b=1")
    assert other.returncode == 1 and other.stdout == ""
    assert (
        "../asr/exp/small was trained with another --asr_set; give an --asr_tag, or remove the folder" in other.stderr
    )
    assert len((egs / "asr/exp/runs").read_text().splitlines()) == 1


def test_stage_3_waits_for_the_end_of_the_training(egs):
    for folder in ("asr/exp/small", "asr/exp/mine"):
        (egs / folder / "checkpoints").mkdir(parents=True)
        (egs / folder / "checkpoints/best.pt").touch()
    early = recipe(egs, function="need_pretrained")
    assert (early.returncode, early.stderr) == (1, "../asr/exp/small/.done is missing; stage 2 makes it\n")
    for function in ("need_pretrained", "pretrain"):
        assert recipe(egs, asr_exp="../asr/exp/mine", function=function).returncode == 0
    none = recipe(egs, asr_exp="../asr/exp/none")
    assert (none.returncode, none.stderr) == (
        1,
        "../asr/exp/none/checkpoints/best.pt is missing; stage 3 of egs/asr/run.sh makes it\n",
    )
    assert not (egs / "asr/exp/runs").exists()


def test_a_training_that_fails_stops_the_recipe(egs):
    (egs / "asr/run.sh").write_text(STAND_IN.replace("sleep 0.5", "exit 3"))
    done = recipe(egs)
    assert done.returncode == 1 and "--asr_exp DIR takes one" in done.stderr and done.stdout == ""

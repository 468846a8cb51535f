"""egs/asr/local/torchrun_nodes.sh where srun is a small script; test/cluster has a real Slurm."""

import os
import subprocess
from pathlib import Path

import pytest
from patience import HOUR, wait_until

SCRIPT = Path(__file__).resolve().parents[2] / "egs/asr/local/torchrun_nodes.sh"
FAKES = {
    "srun": """echo "srun $*" >> calls
trap 'echo "srun is stopped" >> calls' TERM
until [ "$1" = bash ]; do shift; done
for node in 0 1; do
  SLURM_NODEID=$node SLURM_NNODES=2 SLURM_LAUNCH_NODE_IPADDR=10.0.0.7 "$@" &
  echo $! >> tasks
done
wait -n && wait -n
""",
    "scancel": """echo scancel $* >> calls
kill -TERM $(cat tasks)
until [ $(grep -c "torchrun is stopped" calls) = 2 ] && [ -e told_twice ]; do sleep 0.05; done
kill -TERM $(cat tasks)
touch scancelled
""",
    "torchrun": """[ $4 = 0 ] || until [ -e started0 ]; do sleep 0.05; done
echo "torchrun $*" >> calls
trap 'echo torchrun is stopped >> calls; until [ -e scancelled ]; do sleep 0.05; done; exit 1' TERM
touch started$4
[ ! -e fast ] || exit $(cat fast)
while :; do sleep 0.05; done
""",
}


@pytest.fixture
def start(tmp_path):
    (tmp_path / "bin").mkdir()
    for name, text in FAKES.items():
        (tmp_path / "bin" / name).write_text(f"#!/usr/bin/env bash\n{text}")
        (tmp_path / "bin" / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "SLURM_JOB_ID": "12345",
        "SLURM_CPUS_PER_TASK": "3",
    }
    command = [SCRIPT, "--nproc_per_node", "2", "train", "two  words"]
    return lambda: subprocess.Popen(
        ["env", "--default-signal", *command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("code", [0, 5])
def test_each_node_knows_its_place_and_the_first_ones_address(start, tmp_path, code):
    (tmp_path / "fast").write_text(str(code))
    running = start()
    assert running.communicate(timeout=HOUR) == (None, "") and running.returncode == code
    srun, *calls = (tmp_path / "calls").read_text().splitlines()
    assert srun.startswith("srun --ntasks-per-node=1 --cpus-per-task=3 --kill-on-bad-exit=1 bash ")
    where = "--master_addr 10.0.0.7 --master_port 20345 --nproc_per_node 2 train two  words"
    assert calls == [f"torchrun --nnodes 2 --node_rank {node} {where}" for node in range(len(calls))]


def test_every_torchrun_is_stopped_once_and_waited_for(start, tmp_path):
    running = start()
    wait_until(lambda: (tmp_path / "started0").exists() and (tmp_path / "started1").exists(), running)
    running.terminate()
    wait_until(lambda: "scancel" in (tmp_path / "calls").read_text(), running)
    running.terminate()
    (tmp_path / "told_twice").touch()
    assert running.communicate(timeout=HOUR) == (None, "") and running.returncode == 1
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[3:] == ["scancel --quiet --signal=TERM 12345", *2 * ["torchrun is stopped"]]


def test_outside_a_job_it_does_not_run():
    environment = {name: value for name, value in os.environ.items() if name != "SLURM_JOB_ID"}
    done = subprocess.run([SCRIPT, "true"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.endswith("torchrun_nodes.sh runs inside a job of Slurm\n")

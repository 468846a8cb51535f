"""Job runners on the schedulers of this machine (tools/ci_clusters.sh start)."""

import shutil
import subprocess

import pytest
from patience import HOUR
from recipes import ROOT, copy_recipes, environment_of_recipes

ENGINES = {"slurm": ["sinfo", "--noheader"], "queue": ["qstat", "-f"]}  # and how to see whether they run


def skip_without(name):
    command = ENGINES[name]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HOUR)
    if done.returncode or not done.stdout.strip():
        pytest.skip(f"{command[0]} answers: {' '.join((done.stdout + done.stderr).split())}")


class Cluster:
    """Job runner `name` (slurm or queue) in a folder of its own; the config asks every second."""

    def __init__(self, name, folder):
        skip_without(name)
        self.name, self.folder = name, folder
        self.environment = environment_of_recipes()
        (folder / "conf").mkdir(parents=True, exist_ok=True)
        config = (ROOT / "utils" / f"{name}.conf").read_text().replace("poll 20 ", "poll 1  ")
        assert "poll 1 " in config
        (folder / "conf" / f"{name}.conf").write_text(config + "option partition=* --partition=$0\n")

    def start(self, *words):
        # env: the tests themselves may run with signals ignored, as by nohup, and the script respects that.
        return subprocess.Popen(
            ["env", "--default-signal", ROOT / "utils" / f"{self.name}.pl", *words],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )

    def recipe(self, name):
        """The folder of a copy of a recipe that has the config."""
        recipe = copy_recipes(self.folder) / "egs" / name
        shutil.copy(self.folder / "conf" / f"{self.name}.conf", recipe / "conf")
        return recipe

    def start_recipe(self, recipe, *options, backend=None):
        backend = backend or {"queue": "sge"}.get(self.name, self.name)
        return subprocess.Popen(
            ["env", "--default-signal", "./run.sh", *options],
            cwd=recipe,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, "CMD_BACKEND": backend},
        )

    def end(self, running):
        """Exit status and messages, without the name of the script."""
        stdout, stderr = running.communicate(timeout=HOUR)
        assert stdout == ""
        return running.returncode, stderr.replace(f"{self.name}.pl: ", "")

    def __call__(self, *words):
        return self.end(self.start(*words))

    def job_of(self, title):
        """The number of the job of that title which is in the queue."""
        if self.name == "slurm":
            lines = ask("squeue", "--noheader", f"--name={title}", "--format=%F").split()
        else:
            lines = [words[0] for words in map(str.split, ask("qstat").splitlines()) if title in words[2:3]]
        return lines[0] if lines else None

    def remove(self, job, task):
        ask(*(["scancel", f"{job}_{task}"] if self.name == "slurm" else ["qdel", f"{job}.{task}"]))


def ask(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=HOUR)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

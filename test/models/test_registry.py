"""What is known of the models without their networks."""

import subprocess
import sys

import pytest

from sertk.config.schema import Config
from sertk.core.errors import SertkError
from sertk.core.typed import build
from sertk.models.registry import MODELS


def build_config(name, segment):
    own = {"model": {"name": name}, "task": MODELS[name].task, "training": {"select": "last"}}
    return build(Config, {"features": ["toy"], "segment": segment, **own}, "model.yaml", "steps.last.")


@pytest.mark.parametrize("module", ["models.registry", "config.schema", "config.loading"])
def test_configs_are_read_without_torch(module):
    check = f"import sys, sertk.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize("name", ["ae", "blstm_capsule", "blstm_cnn", "capsule", "capsule_blstm", "cnn_gap", "cvae"])
def test_models_of_windows_refuse_whole_utterances(name):
    message = f"model.yaml: steps.last.segment is null, expected a mapping with frames: {name} classifies windows"
    with pytest.raises(SertkError, match=message):
        build_config(name, None)
    assert build_config(name, {"frames": 15}).segment.frames == 15


@pytest.mark.parametrize("name", ["blstm_ctc", "deepspeech", "gru", "mean_pool", "progressive", "random"])
def test_models_of_whole_utterances_refuse_windows(name):
    message = f"model.yaml: steps.last.segment is .*, expected none: {name} takes whole utterances"
    with pytest.raises(SertkError, match=message):
        build_config(name, {"frames": 15})
    assert build_config(name, None).segment is None

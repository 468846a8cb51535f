import pytest
from decoded_experiments import make_experiment


@pytest.fixture
def experiment(tmp_path):
    return make_experiment(tmp_path / "exp" / "ravdess_8_emobox" / "blstm_capsule_wide")

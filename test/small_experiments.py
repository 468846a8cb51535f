"""Experiments on small corpora, made, trained and decoded by the commands."""

from sertk.bin import decode, make_experiment, train

CPU = ["--device", "cpu", "--num_threads", "1"]


def make_experiment_of(corpus, config, exp, *settings, labels="3", options=()):
    """The exit status of making the experiment `exp`, of the protocol `toy`."""
    data = ["--data", str(corpus), "--splits", str(corpus / "splits" / "toy"), "--labels", labels]
    return make_experiment.main(["--config", str(config), "--set", " ".join(settings), *data, *options, str(exp)])


def status_of_training(corpus, config, exp, *settings, seed=1, labels="3", options=()):
    """The exit status of making an experiment or, where that succeeds, of training its first fold."""
    return make_experiment_of(corpus, config, exp, *settings, labels=labels, options=options) or train.main(
        ["--fold", "1", "--seed", str(seed), *CPU, str(exp)]
    )


def train_run(corpus, config, exp, *settings, seed=1, labels="3", options=()):
    """The folder of the first fold's run, trained."""
    assert status_of_training(corpus, config, exp, *settings, seed=seed, labels=labels, options=options) == 0
    return exp / "fold1" / f"seed{seed}"


def decode_run(run):
    """The folder in which a run's test split is decoded."""
    assert decode.main([*CPU, str(run)]) == 0
    return run / "decode_test"

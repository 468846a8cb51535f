"""Is one system better than another? Both decoded under the same protocol."""

import itertools
from collections.abc import Sequence
from typing import Any

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.evaluation.intervals import FEW_SPEAKERS, paired_bootstrap, z_test
from sertk.evaluation.metrics import scores
from sertk.evaluation.results import speaker_confusions
from sertk.evaluation.runs import DecodedRun, other_inputs, read_runs
from sertk.experiments.card import read_experiment_card


def compare(better: PathLike, worse: PathLike, draws: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Tests whether experiment folder `better` beats `worse` on the folds both have; all values in 0..1.

    `bootstrap` is `paired_bootstrap` by speaker, the seeds' predictions pooled; `z_test` compares the
    accuracies (means over seeds) as proportions of the distinct utterances, as if these were independent.
    Raises SertkError unless classes, protocol and test utterances are the same.
    """
    cards = [read_experiment_card(experiment) for experiment in (better, worse)]
    for key in ("corpus", "label_set", "classes", "protocol"):
        if cards[0][key] != cards[1][key]:
            raise SertkError(f"{better} and {worse} differ in {key}: {cards[0][key]} and {cards[1][key]}")
    classes = cards[0]["classes"]
    runs = [read_runs(experiment, classes) for experiment in (better, worse)]
    folds = sorted({run.fold for run in runs[0]} & {run.fold for run in runs[1]})
    if not folds:
        raise SertkError(f"{better} and {worse} have no fold in common; train and decode the same folds")
    runs = [[run for run in system if run.fold in folds] for system in runs]
    for experiment, system in zip((better, worse), runs):
        _check_complete(experiment, system)
    tests = [_test_utterances(system) for system in runs]
    if tests[0] != tests[1]:
        odd = min(tests[0] ^ tests[1])
        raise SertkError(f"{better} and {worse} decoded other utterances: fold {odd[0]}, {odd[1]}")
    for one, other in itertools.product(*runs):
        if one.fold == other.fold and (different := other_inputs(one.inputs, other.inputs)):
            raise SertkError(f"{one.path} and {other.path} have other {', '.join(different)}; train one of them anew")

    confusions = [speaker_confusions(system, len(classes)) for system in runs]
    points = [{name: float(value) for name, value in scores(each.sum(0)).items()} for each in confusions]
    utterances = len({utterance for _, utterance, _, _ in tests[0]})
    z, p = z_test(points[0]["accuracy"], utterances, points[1]["accuracy"], utterances)
    return {
        "better": str(better),
        "worse": str(worse),
        "folds": folds,
        "utterances": utterances,
        "speakers": len(confusions[0]),
        "descriptive": len(confusions[0]) < FEW_SPEAKERS,
        "draws": draws,
        "metrics": {"better": points[0], "worse": points[1]},
        "bootstrap": paired_bootstrap(confusions[0], confusions[1], draws, seed),
        "z_test": {"z": z, "p": p},
    }


def _check_complete(experiment, runs):
    """Every seed must have every fold: else some utterances would weigh more in one system."""
    done = {(run.fold, run.seed) for run in runs}
    for fold in sorted({fold for fold, _ in done}):
        for seed in sorted({seed for _, seed in done}):
            if (fold, seed) not in done:
                raise SertkError(f"{experiment}: seed {seed} lacks fold {fold}; stages 3 and 4 make it")


def _test_utterances(runs: Sequence[DecodedRun]) -> set[tuple[int, str, str, int]]:
    """{(fold, utterance, speaker, reference class)} of all runs."""
    return {
        (run.fold, utterance, speaker, int(reference))
        for run in runs
        for utterance, speaker, reference in zip(
            run.predictions.utterances, run.predictions.speakers, run.predictions.reference
        )
    }

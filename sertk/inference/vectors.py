"""Vectors of a trained model's layers, for figures and as features of the trainings that follow."""

from sertk.batches.dataset import own_feats
from sertk.inference.decoding import write_rows
from sertk.inference.inputs import read_labelled, read_part
from sertk.inference.trained import TrainedModel
from sertk.kaldi.archives import MatrixWriter


def write_vectors(pairs, layer, wspecifier, mean=False):
    """Writes a matrix (rows, dims) of the layer's vectors for each utterance; `pairs` are of a model and a Dataset.

    With `mean` it is the one row that is the mean of them.
    """
    with MatrixWriter(wspecifier) as writer:
        for trained, dataset in pairs:
            matrices = (rows.numpy() for rows in trained.vectors(dataset, layer))
            if mean:
                matrices = (rows.mean(0, keepdims=True) for rows in matrices)
            write_rows(writer, dataset.utterances, matrices)


def extract_features(run, step, held, device):
    """Writes what a trained step's config names as `extract` into RUN_DIR/feats, for all parts of the fold.

    `run` is as for training.step.train_step. `held` are the parts of the training part that were left out of the
    step's crossfit trainings, which each extract theirs; without any, the step itself extracts the training part.
    """
    trained = TrainedModel(run.run_dir, device, step)
    scp = own_feats(run.run_dir, trained.config.extract)
    scp.parent.mkdir(exist_ok=True)
    write_vectors(pairs(run, trained, held), trained.config.extract, f"ark,scp:{scp.with_suffix('.ark')},{scp}")


def pairs(run, trained, held):
    """Each trained model of a step with the Dataset of what it extracts, one at a time."""
    for number, part in enumerate(held, 1):
        own = trained.crossfit(number)
        yield own, read_labelled(own, run.data, part, run.labels).dataset
    for part in ("valid", "test") if held else ("train", "valid", "test"):
        yield trained, read_part(trained, run.data, run.splits, run.fold, part, run.labels).dataset

"""Vectors of a trained model's layers, for figures and as features of the trainings that follow."""

from sertk.archives import MatrixWriter
from sertk.datadir import SPLIT_PARTS
from sertk.decoding.emotion import write_rows
from sertk.decoding.inputs import read_part
from sertk.tasks.emotion import TrainedEmotionModel


def write_vectors(trained, dataset, layer, wspecifier):
    """Writes a matrix (rows, dims) of the layer's vectors for each utterance of a normalised Dataset."""
    with MatrixWriter(wspecifier) as writer:
        write_rows(writer, dataset.utterances, trained.vectors(dataset, layer).numpy())


def extract_features(run_dir, step, device, data_dir, splits_dir, fold, label_set):
    """Writes what a trained step's config names as `extract` into RUN_DIR/feats, for all parts of the fold."""
    trained = TrainedEmotionModel(run_dir, device, step)
    layer = trained.config.extract
    table = trained.run_dir / "feats" / layer
    table.parent.mkdir(exist_ok=True)
    with MatrixWriter(f"ark,scp:{table}.ark,{table}.scp") as writer:
        for part in SPLIT_PARTS:
            dataset = read_part(trained, data_dir, splits_dir, fold, part, label_set).dataset
            write_rows(writer, dataset.utterances, trained.vectors(dataset, layer).numpy())

"""Vectors of a trained model's layers, for figures and as features of the trainings that follow."""

from sertk.archives import MatrixWriter
from sertk.datadir import SPLIT_PARTS
from sertk.decoding.emotion import write_rows
from sertk.decoding.inputs import read_part
from sertk.tasks.dataset import own_feats
from sertk.tasks.trained import TrainedModel


def write_vectors(trained, datasets, layer, wspecifier):
    """Writes a matrix (rows, dims) of the layer's vectors for each utterance of normalised Datasets."""
    with MatrixWriter(wspecifier) as writer:
        for dataset in datasets:
            write_rows(writer, dataset.utterances, trained.vectors(dataset, layer).numpy())


def extract_features(run_dir, step, device, data_dir, splits_dir, fold, label_set):
    """Writes what a trained step's config names as `extract` into RUN_DIR/feats, for all parts of the fold."""
    trained = TrainedModel(run_dir, device, step)
    layer = trained.config.extract
    scp = own_feats(run_dir, layer)
    scp.parent.mkdir(exist_ok=True)
    parts = (read_part(trained, data_dir, splits_dir, fold, part, label_set).dataset for part in SPLIT_PARTS)
    write_vectors(trained, parts, layer, f"ark,scp:{scp.with_suffix('.ark')},{scp}")

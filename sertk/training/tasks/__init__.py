"""The tasks: what is trained, on which data, with which loss and metric. FOLD_TASKS are those on a fold, by name."""

from sertk.training.tasks.autoencoder import AutoencoderTask
from sertk.training.tasks.emotion import EmotionTask
from sertk.training.tasks.fold import FoldTask

FOLD_TASKS: dict[str, type[FoldTask]] = {"autoencoder": AutoencoderTask, "emotion": EmotionTask}

"""The tasks: what is trained, on which data, with which loss and metric. FOLD_TASKS are those on a fold, by name."""

from sertk.training.tasks.autoencoder import AutoencoderTask
from sertk.training.tasks.emotion import EmotionTask

FOLD_TASKS = {"autoencoder": AutoencoderTask, "emotion": EmotionTask}

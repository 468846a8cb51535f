"""The tasks by name: what is trained, on which data, with which loss and metric."""

from sertk.tasks.autoencoder import AutoencoderTask
from sertk.tasks.emotion import EmotionTask

TASKS = {"autoencoder": AutoencoderTask, "emotion": EmotionTask}

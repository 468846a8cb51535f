"""The task of classifying the emotion of utterances."""

from sertk.batches.means import utterance_means
from sertk.evaluation.metrics import confusion_matrix, scores
from sertk.models.base import EmotionModel, known
from sertk.training.tasks.fold import FoldTask


class EmotionTask(FoldTask):
    """Training and validation of a classifier on one fold."""

    def validate(self, model: EmotionModel) -> dict[str, float]:
        """valid_loss (cross-entropy of the utterances' posteriors), valid_uar and valid_accuracy of `model`.

        Windows are as far apart as in training.
        """
        model.eval()
        posteriors = utterance_means(model.posteriors, self.valid, self.config.segment, self.device, "train_hop")
        labels = known(self.valid.labels, "labels").cpu()
        own = posteriors.gather(1, labels[:, None]).clamp(min=1e-12)
        confusion = confusion_matrix(labels.numpy(), posteriors.argmax(1).numpy(), len(self.classes))
        values = scores(confusion)
        return {
            "valid_loss": float(-own.log().mean()),
            "valid_uar": float(values["uar"]),
            "valid_accuracy": float(values["accuracy"]),
        }

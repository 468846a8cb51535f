"""The emotion models by name. A model is a class with a frozen dataclass `Config`; see base.EmotionModel."""

from sertk.models.jalal import BlstmCapsule, BlstmCnn, Capsule, CapsuleBlstm, MeanBlstm

MODELS = {
    "blstm": MeanBlstm,
    "blstm_capsule": BlstmCapsule,
    "blstm_cnn": BlstmCnn,
    "capsule": Capsule,
    "capsule_blstm": CapsuleBlstm,
}

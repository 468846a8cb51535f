"""The emotion models by name. A model is a class with a frozen dataclass `Config`; see base.EmotionModel."""

from sertk.models.jalal import BlstmCapsule, MeanBlstm

MODELS = {
    "blstm": MeanBlstm,
    "blstm_capsule": BlstmCapsule,
}

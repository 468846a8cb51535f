"""The models by name. A model is a class with a frozen dataclass `Config`; see base.EmotionModel."""

from sertk.models.chance import MostFrequent, Random
from sertk.models.deepspeech import DeepSpeech
from sertk.models.gmm import ClassGmms
from sertk.models.jalal import BlstmCapsule, BlstmCnn, Capsule, CapsuleBlstm, MeanBlstm
from sertk.models.lakomkin import Gru, MeanPool, Progressive
from sertk.models.latif import Autoencoder, ConditionalAutoencoder, Lstm, VariationalAutoencoder
from sertk.models.li import AttentionCnn, AverageCnn, BilinearCnn
from sertk.models.vectors import Svm, VectorCnn
from sertk.models.zhao import BlstmCtc

MODELS = {
    "ae": Autoencoder,
    "blstm": MeanBlstm,
    "blstm_capsule": BlstmCapsule,
    "blstm_cnn": BlstmCnn,
    "blstm_ctc": BlstmCtc,
    "capsule": Capsule,
    "capsule_blstm": CapsuleBlstm,
    "class_gmms": ClassGmms,
    "cnn_attpool": AttentionCnn,
    "cnn_bilinear": BilinearCnn,
    "cnn_gap": AverageCnn,
    "cvae": ConditionalAutoencoder,
    "deepspeech": DeepSpeech,
    "gru": Gru,
    "lstm": Lstm,
    "mean_pool": MeanPool,
    "most_frequent": MostFrequent,
    "progressive": Progressive,
    "random": Random,
    "svm": Svm,
    "vae": VariationalAutoencoder,
    "vector_cnn": VectorCnn,
}

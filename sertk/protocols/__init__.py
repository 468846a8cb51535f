"""Evaluation protocols: which utterances are trained on, validated on and tested, fold by fold.

A protocol is data (conf/protocols.yaml): the name of one of the rules of rules.py, and the rule's options.
"""

from sertk.protocols.classes import check_classes
from sertk.protocols.lists import (
    check_lists,
    choose_folds,
    list_digests,
    list_folds,
    read_card,
    read_fold,
    without_repeats,
)
from sertk.protocols.options import load_protocol, protocol_names
from sertk.protocols.rules import Corpus
from sertk.protocols.splits import make_splits

__all__ = [
    "Corpus",
    "check_classes",
    "check_lists",
    "choose_folds",
    "list_digests",
    "list_folds",
    "load_protocol",
    "make_splits",
    "protocol_names",
    "read_card",
    "read_fold",
    "without_repeats",
]

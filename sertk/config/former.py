"""Configs, cards and checkpoints as they were written before version 0.3, in today's words.

Then a layer of a speech recogniser was the only thing that could be taken from an encoder: the stream `asr`, or
`asr:LAYER`, described by the section `asr`, and it was never normalised.
"""

from collections.abc import Mapping
from typing import Any

from sertk.config.encoder import RECOGNISER
from sertk.models.encoder_streams import ENCODER

FORMER = "asr"


def current_config(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config of one training, or of several parts, in today's words."""
    config = dict(stored)
    if isinstance(config.get("steps"), dict):
        config["steps"] = {name: current_config(part) for name, part in config["steps"].items()}
    if FORMER not in config:
        return config
    reused = config.pop(FORMER)
    if isinstance(reused, dict):
        own = {key: value for key, value in reused.items() if key != "network"}
        if isinstance(own.get("source"), dict):
            own["source"] = current_config(own["source"])
        config[ENCODER] = {"name": RECOGNISER, **own, "digest": reused.get("network")}
        if not own.get("in_loop"):  # where its layers stay as they are anyway
            config[ENCODER]["normalise"] = []
        config["features"] = [ENCODER if is_former(name) else name for name in config.get("features", [])]
    return config


def current_export(exported: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds of its task, in today's words."""
    if FORMER not in exported["config"]:
        return dict(exported)
    config = current_config(exported["config"])
    in_loop = isinstance(config.get(ENCODER), dict) and config[ENCODER].get("in_loop")
    by_stream = {
        key: {current_stream(name, in_loop): value for name, value in exported[key].items()}
        for key in ("dims", "normalisers", "feature_options")
        if key in exported
    }
    return {**exported, "config": config, **by_stream}


def current_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """A protocol card in today's words."""
    card = dict(card)
    if isinstance(card.get("features"), list):
        names = (name.replace(FORMER, RECOGNISER, 1) if is_former(name) else name for name in card["features"])
        card["features"] = sorted(names)
    if isinstance(card.get("normalisation"), str):
        card["normalisation"] = card["normalisation"].replace(f", {FORMER}:", f", {RECOGNISER}:")
    if isinstance(card.get(FORMER), dict):
        card[ENCODER] = {"name": RECOGNISER, **card.pop(FORMER)}
    return card


def current_stream(name: str, in_loop: object = False) -> str:
    """The name of a stream; in the loop it was named by the layer, and held what the recogniser takes."""
    if not is_former(name):
        return name
    return ENCODER if in_loop else name.replace(FORMER, ENCODER, 1)


def is_former(stream: object) -> bool:
    return isinstance(stream, str) and stream.partition(":")[0] == FORMER

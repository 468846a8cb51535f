"""What is stored of an experiment, a checkpoint or a package, in the words of before version 0.3.

Then the stream of a speech recogniser's layer was `asr:LAYER`, also where it was computed in the loop, where it held
what the recogniser takes, and the section `asr` of a config said which.
"""

import re


def former_stream(name, layer):
    return f"asr:{layer}" if name.partition(":")[0] == "encoder" else name


def former_config(config):
    """A resolved config of one training, or of several parts."""
    config = dict(config)
    if "steps" in config:
        return {**config, "steps": {name: former_config(part) for name, part in config["steps"].items()}}
    encoder = config.pop("encoder", None)
    config["asr"] = None
    if encoder:
        kept = {key: encoder[key] for key in ("layer", "in_loop", "unfreeze", "tokens")}
        source = encoder["source"] and former_config(encoder["source"])
        config["asr"] = {**kept, "network": encoder["digest"], "source": source}
        config["features"] = [former_stream(name, encoder["layer"]) for name in config["features"]]
    return config


def former_task(task):
    """What a checkpoint or a package says of a model."""
    encoder = task["config"]["encoder"]
    layer = encoder and encoder["layer"]
    streams = {
        key: {former_stream(name, layer): value for name, value in task[key].items()}
        for key in ("dims", "normalisers", "feature_options")
        if key in task
    }
    return {**task, "config": former_config(task["config"]), **streams}


def former_weights(weights):
    """{name: weight} of a model, or of the running mean of it; a recogniser in the loop was the network itself."""
    return {
        re.sub(r"^(module\.)?pretrained\.network\.", r"\1pretrained.", name): each for name, each in weights.items()
    }


def former_checkpoint(checkpoint):
    weights = {key: former_weights(checkpoint[key]) for key in ("model", "average") if checkpoint.get(key)}
    return {**checkpoint, "task": former_task(checkpoint["task"]), **weights}


def former_card(card):
    card = dict(card)
    encoder = card.pop("encoder", None)
    if encoder:
        card["asr"] = {key: value for key, value in encoder.items() if key != "name"}
        card["features"] = sorted(name.replace("recogniser:", "asr:") for name in card["features"])
        card["normalisation"] = card["normalisation"].replace("recogniser:", "asr:").removeprefix("own ")
    return card

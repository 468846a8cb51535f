"""Experiment folders as training and decoding leave them."""

import json

import numpy as np
import yaml

CLASSES = ["neutral", "happy", "sad"]


def write_predictions(path, rows, classes=CLASSES):
    """`rows` of (utterance, speaker, reference, predicted); the predicted class gets posterior 0.8."""
    lines = ["\t".join(["utterance", "speaker", "reference", "predicted", *classes])]
    rest = 0.2 / (len(classes) - 1)
    for utterance, speaker, reference, predicted in rows:
        posteriors = [f"{0.8 if name == predicted else rest:.6f}" for name in classes]
        lines.append("\t".join([utterance, speaker, reference, predicted, *posteriors]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def random_rows(generator, speakers, per_speaker, classes, right=0.6):
    rows = []
    for speaker in speakers:
        for number in range(per_speaker):
            reference = classes[number % len(classes)]
            predicted = reference if generator.random() < right else str(generator.choice(classes))
            rows.append((f"{speaker}-{number:03d}", speaker, reference, predicted))
    return rows


def write_run(experiment, fold, seed, rows, classes=CLASSES, epochs=4, select="valid_uar"):
    folder = experiment / f"fold{fold}" / f"seed{seed}"
    write_predictions(folder / "decode_test" / "predictions.tsv", rows, classes)
    config = {"model": {"name": "blstm_capsule"}, "training": {"select": select}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    lines = [
        {
            "epoch": epoch,
            "train_loss": 2 / epoch,
            "valid_loss": (2 + 0.1 * fold) / epoch + 0.1 * epoch,
            "valid_uar": 0.5 - 0.01 * (epoch - 2) ** 2 + 0.02 * fold - 0.005 * seed,
            "valid_accuracy": 0.5,
            "lr": 0.001,
            "seconds": 10.0 + epoch,
            "steps": 7 * epoch,
        }
        for epoch in range(1, epochs + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "command.txt").write_text(f"sertk-train --fold {fold} --seed {seed}\n")
    return folder


def write_card(experiment, classes=CLASSES, **changes):
    card = {
        "corpus": "ravdess",
        "label_set": "8",
        "classes": list(classes),
        "protocol": "emobox",
        "rule": "six published folds",
        "speaker_disjoint": True,
        "normalisation": "global",
        "selection": "validation UAR",
        "class_counts": {name: 10 for name in classes},
        "options": {"test_speakers": 6},
        "folds": [
            {"fold": fold, "test_speakers": [f"f{fold}s00"], "utterances": {"test": 5}, "sha256": {"test": "ab"}}
            for fold in (1, 2, 3)
        ],
    }
    experiment.mkdir(parents=True, exist_ok=True)
    card = {key: value for key, value in (card | changes).items() if value is not None}
    (experiment / "card.yaml").write_text(yaml.safe_dump(card, sort_keys=False))


def make_experiment(folder, done=(1, 2), seeds=(1, 2), classes=CLASSES, speakers=6, right=0.6, number=0, **card):
    """An experiment of `speakers` per fold with 12 utterances each; `number` seeds the mistakes."""
    generator = np.random.default_rng(number)
    write_card(folder, classes, **card)
    for fold in done:
        names = [f"f{fold}s{speaker:02d}" for speaker in range(speakers)]
        for seed in seeds:
            write_run(folder, fold, seed, random_rows(generator, names, 12, classes, right), classes)
    return folder

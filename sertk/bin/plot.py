"""Draws results of experiments and vectors of a layer."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sertk.bin._options import add_device_options, choose_device, named_specifiers
from sertk.core.command import make_parser, run_command
from sertk.core.errors import SertkError, UsageError

EXAMPLE = """sertk-plot confusion --out confusion.pdf --out confusion.png exp/ravdess_8_emobox/blstm_capsule
  sertk-plot recall --out recall.svg exp/ravdess_8_emobox/*
  sertk-plot sweep --key model.capsules --out sweep.svg exp/ravdess_8_emobox/blstm_capsule_capsules*
  sertk-plot tsne --utt2label data/ravdess/labels/8 --out tsne.png train=scp:train.scp test=scp:test.scp"""

AddKind = Callable[..., argparse.ArgumentParser]  # name, help and settings of a kind of picture to its parser


def build_parser() -> argparse.ArgumentParser:
    parser = make_parser("sertk-plot", "Draws results of experiments and vectors of a layer.", EXAMPLE)
    names = "confusion|curves|recall|sweep|tsne|attention|timeline|neuron"
    kinds = parser.add_subparsers(dest="kind", required=True, metavar=names)

    def add(name, help, **more):
        kind = kinds.add_parser(name, help=help, allow_abbrev=False, **{"description": help} | more)
        kind.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        kind.add_argument(
            "--out",
            required=True,
            action="append",
            metavar="FILE",
            help="picture to write, .png, .svg or .pdf; repeat it for several formats",
        )
        return kind

    add_kinds_of_results(add)
    add_tsne(add)
    add_kinds_of_utterances(add)
    return parser


def add_kinds_of_results(add: AddKind) -> None:
    """What is drawn of scored experiments."""
    for name, description in (
        ("confusion", "the confusion matrix, all folds and seeds pooled"),
        ("curves", "loss and validation UAR by epoch"),
    ):
        add(name, description).add_argument("experiment", metavar="EXP", help="scored experiment folder")
    recall = add("recall", "recall of each class, of one system or of several side by side")
    recall.add_argument("experiments", nargs="+", metavar="EXP", help="scored experiment folder")
    sweep = add("sweep", "a metric, and the recall of each class, by a number of the systems' configs")
    sweep.add_argument("--key", required=True, help="of config.yaml, such as model.x or steps.NAME.model.x")
    sweep.add_argument(
        "--metric", choices=("uar", "accuracy", "macro_f1", "weighted_f1"), default="uar", help="default: %(default)s"
    )
    sweep.add_argument("experiments", nargs="+", metavar="EXP", help="scored experiment folder, two or more")


def add_tsne(add: AddKind) -> None:
    """What is drawn of vectors."""
    tsne = add(
        "tsne",
        "vectors of a layer in the plane, by t-SNE",
        description="Every row of every utterance is a point. Several archives are embedded together, in\n"
        "one t-SNE, and drawn as panels on the same axes, so that places can be compared between them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tsne.add_argument("--utt2label", metavar="FILE", help="labels: a table such as labels/8 or utt2spk")
    tsne.add_argument("--by", choices=("label", "row"), help="groups (default: label with --utt2label)")
    tsne.add_argument(
        "--perplexity", type=float, metavar="P", help="default: 30, of fewer than 90 points a third of them"
    )
    tsne.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    tsne.add_argument(
        "--max_points",
        type=int,
        default=4000,
        metavar="N",
        help="of more points, N are drawn at random (default: %(default)s)",
    )
    tsne.add_argument("--embedding", metavar="FILE", help="also write the coordinates, tab-separated")
    tsne.add_argument(
        "archives",
        nargs="+",
        metavar="NAME=RSPECIFIER",
        help="a panel: vectors (dims) or matrices (rows, dims) by utterance, as sertk-extract writes them",
    )


def add_kinds_of_utterances(add: AddKind) -> None:
    """What is drawn of a single utterance."""
    attention = add("attention", "the maps of a network with attention pooling over the spectrogram of an utterance")
    timeline = add("timeline", "waveform, spectrogram and posteriors of every frame of an utterance that was decoded")
    neuron = add(
        "neuron",
        "the unit of a speech recogniser's layer that follows loudness best, over an utterance",
        description="Correlates every unit with the recordings' loudness, frame by frame, and draws one.\n"
        "Beside the first picture, as .tsv, it writes the correlations of all units, the strongest first.\n"
        "Loudness is the mean square, in dB, of the spectrogram's window in the middle of those that the\n"
        "network's convolutions make a frame of.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for kind in (attention, timeline, neuron):
        kind.add_argument("--data", required=True, help="data folder")
        kind.add_argument("--utt", required=True, metavar="ID", help="utterance")
        kind.add_argument("--feats_config", metavar="FILE", help="YAML file of a feature type of one's own")
    for kind in (attention, timeline):
        kind.add_argument("run_dir", help="folder of a trained fold and seed")
    neuron.add_argument("--unit", type=int, metavar="N", help="which to draw, from 1 (default: the best one)")
    neuron.add_argument("rspecifier", help="the layer's table, such as scp:data/NAME/feats/asr2_NETWORK.scp")
    attention.add_argument("--label", help="class whose top-down map is drawn (default: the one recognised)")
    add_device_options(attention)


def execute(args: argparse.Namespace) -> None:
    from sertk.reports.plots.pictures import check_pictures, save_figure

    check_pictures(args.out)
    save_figure(FIGURES[args.kind](args), args.out)


def _confusion(args):
    from sertk.evaluation.results import read_results
    from sertk.reports.figures import draw_confusion

    return draw_confusion(read_results(args.experiment))


def _curves(args):
    from sertk.reports.figures import draw_curves

    return draw_curves(args.experiment)


def _recall(args):
    from sertk.reports.figures import draw_recalls

    return draw_recalls(args.experiments)


def _sweep(args):
    if len(args.experiments) < 2:
        raise UsageError("a sweep takes two experiments or more")
    from sertk.reports.figures import draw_sweep

    return draw_sweep(args.experiments, args.key, args.metric)


def _tsne(args):
    by = args.by or ("label" if args.utt2label else "row")
    if by == "label" and not args.utt2label:
        raise UsageError("--by label needs --utt2label")
    if args.perplexity is not None and not args.perplexity > 0 or args.max_points < 1 or args.seed < 0:
        raise UsageError("--perplexity and --max_points are above 0, --seed at least 0")
    import numpy as np

    from sertk.kaldi.archives import refuse_shared_input
    from sertk.kaldi.datadir import read_table
    from sertk.reports.plots.embedding import draw_points, embed, read_points, write_embedding
    from sertk.reports.plots.scatter import group_points, scatter_figure

    labels = read_table(args.utt2label) if args.utt2label else None
    archives = named_specifiers(args.archives, "tsne")
    refuse_shared_input(*archives.values())
    points = draw_points(read_points(archives, labels), args.max_points, args.seed)
    groups = group_points(points, by)
    coordinates = embed(np.stack([point.vector for point in points]), args.perplexity, args.seed)
    if args.embedding:
        write_embedding(args.embedding, points, coordinates)
    return scatter_figure(coordinates, [point.archive for point in points], groups)


def _attention(args):
    from sertk.inference.attention import attention_maps
    from sertk.inference.trained import TrainedModel
    from sertk.reports.plots.attention import attention_figure

    trained = TrainedModel(args.run_dir, choose_device(args))
    maps = attention_maps(trained, args.data, args.utt, args.label)
    (feature_type,) = trained.config.streams
    extractor = _spectrogram(feature_type, args.feats_config)
    return attention_figure(maps, extractor.shift / extractor.sample_frequency, extractor.bin_hertz)


def _spectrogram(feature_type, feats_config):
    from sertk.features.registry import load_extractor
    from sertk.features.spectrogram import Spectrogram

    extractor = load_extractor(feature_type, feats_config)
    if not isinstance(extractor, Spectrogram):
        raise SertkError(f"{feats_config or feature_type} is no spectrogram")
    return extractor


def _timeline(args):
    from sertk.inference.timeline import read_timeline
    from sertk.reports.plots.timeline import timeline_figure

    return timeline_figure(read_timeline(args.run_dir, args.data, args.utt, args.feats_config))


def _neuron(args):
    from sertk.inference.neurons import loudness_correlations, read_heard, write_correlations
    from sertk.kaldi.archives import read_scp, split_rspecifier
    from sertk.reports.plots.neuron import neuron_figure

    kind, location, permissive = split_rspecifier(args.rspecifier)
    if kind != "scp" or permissive:
        raise UsageError(f"{args.rspecifier}: expected a table, scp:FILE, read in the recordings' order")
    table, extractor = read_scp(location), _spectrogram("spectrogram161", args.feats_config)
    if args.utt not in table:
        raise SertkError(f"{location}: no utterance {args.utt}")
    (heard,) = read_heard(table, args.data, [args.utt], extractor)
    units = heard.activations.shape[1]
    if args.unit is not None and not 1 <= args.unit <= units:
        raise SertkError(f"--unit {args.unit}: the layer has the units 1 to {units}")
    if not len(heard.loudness):
        raise SertkError(f"{args.utt}: too short for a frame of the network")
    correlations, frames = loudness_correlations(table, args.data, extractor)
    write_correlations(Path(args.out[0]).with_suffix(".tsv"), correlations)
    unit = args.unit or int(abs(correlations).argmax()) + 1
    return neuron_figure(heard, unit, correlations[unit - 1], frames)


FIGURES = {
    "confusion": _confusion,
    "curves": _curves,
    "recall": _recall,
    "sweep": _sweep,
    "tsne": _tsne,
    "attention": _attention,
    "timeline": _timeline,
    "neuron": _neuron,
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())

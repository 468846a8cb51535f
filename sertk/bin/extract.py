"""Extracts the vectors of a trained model's layer, or of a pretrained encoder's."""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.bin._options import (
    add_device_options,
    add_input_options,
    add_run_options,
    check_input_options,
    choose_device,
    read_input,
)
from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError
from sertk.experiments.experiment import require_trained
from sertk.experiments.layout import find_run
from sertk.features import audio

log = logging.getLogger(__name__)


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-extract",
        "Extracts the vectors of one layer of a run's model: a matrix per utterance, with the layer's rows\n"
        "(the capsules of `lower`; one row in `output`), averaged over the utterance's windows, or its frames (the\n"
        "layers of a speech recogniser, whose EXP is its experiment).\n\n"
        "With --encoder NAME, of the cache (sertk-get-encoder) or the experiment of a speech recogniser, recordings\n"
        "(RSPECIFIER) take the place of EXP, and an utterance's matrix is (frames, dims) of a layer, in 16 bits.\n"
        "Several layers (--layer 2,3 or all) go to archives with {layer} in their names.\n\n"
        "What is extracted is named as for sertk-decode: --split of the run's fold (default: test), --data for all of\n"
        "a data folder, --feats for archives. --list prints the layers that the model has.",
        "sertk-extract --layer lower --fold 1 exp/ravdess_8_emobox/blstm_capsule ark,scp:lower.ark,lower.scp",
    )
    parser.add_argument(
        "--layer",
        help="the layer (default: output, the scores); of an encoder its number, several or all (default: all)",
    )
    parser.add_argument("--encoder", metavar="NAME", help="an encoder, in the place of a trained model")
    parser.add_argument(
        "--pool", choices=("none", "mean", "meanstd"), help="of an encoder: the mean over time, and standard deviation"
    )
    parser.add_argument("--segments", metavar="FILE", help="with --encoder: cut the recordings, as sertk-compute-feats")
    parser.add_argument("--utt2hash", metavar="FILE", help="with --encoder: refuse recordings that are not as it says")
    parser.add_argument("--channel", type=int, metavar="N", help="with --encoder: take this channel, not their mean")
    parser.add_argument("--uncompressed", action="store_true", help="with --encoder: archives of 32-bit floats")
    parser.add_argument("--mean", action="store_true", help="one row for each utterance, the mean of its rows")
    parser.add_argument("--list", action="store_true", help="print the layers and extract nothing")
    parser.add_argument("--part", help="an earlier part of the model, such as gmm (default: the last)")
    add_input_options(parser)
    add_run_options(parser, needed=False)
    parser.add_argument("wspecifier", nargs="?", help="where the vectors go")
    add_device_options(parser)
    return parser


def execute(args: Namespace) -> None:
    if args.encoder:
        extract_encoder(args)
        return
    if args.pool or args.segments or args.utt2hash or args.channel is not None or args.uncompressed:
        raise UsageError("--pool, --segments, --utt2hash, --channel and --uncompressed are of an --encoder")
    check_input_options(args)
    if not args.exp:
        raise UsageError("EXP says whose layers are meant, or --encoder NAME")
    if not (args.list or args.wspecifier):
        raise UsageError("a WSPECIFIER says where the vectors go")
    path = find_run(args.exp, args.fold, args.seed)
    require_trained(path)
    from sertk.inference.trained import TrainedModel
    from sertk.inference.vectors import write_vectors
    from sertk.pipeline import Run

    trained = TrainedModel(path, choose_device(args), args.part)
    if args.list:
        print("\n".join(trained.model.layers))
        return
    run = None if args.data or args.feats else Run.of(path)
    write_vectors(
        [(trained, read_input(trained, run, args).dataset)], args.layer or "output", args.wspecifier, args.mean
    )


def extract_encoder(args: Namespace) -> None:
    """The layers of an encoder; `args.exp` is the rspecifier of the recordings."""
    if args.split or args.data or args.feats or args.part or args.mean or args.fold or args.seed:
        raise UsageError("an --encoder takes recordings: give RSPECIFIER and WSPECIFIER, and no run's options")
    if not (args.list or args.wspecifier):
        raise UsageError("a WSPECIFIER says where the vectors go")
    from sertk.inference.encoding import load_encoder, numbered, write_layers

    loaded = load_encoder(args.encoder, choose_device(args))
    if args.list:
        print("\n".join(map(str, loaded.layers)))
        return
    layers = numbered(args.layer or "all", loaded)
    if len(layers) > 1 and "{layer}" not in args.wspecifier:
        raise UsageError(f"{args.wspecifier}: {len(layers)} layers need {{layer}} in the archive's name")
    wspecifiers = {layer: args.wspecifier.replace("{layer}", str(layer)) for layer in layers}
    recordings = audio.read_prepared(args.exp, args.segments, args.channel, args.utt2hash)
    count = write_layers(loaded, recordings, layers, wspecifiers, args.pool or "none", not args.uncompressed)
    log.info("of %d utterances: layers %s of %s", count, ", ".join(map(str, layers)), args.encoder)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())

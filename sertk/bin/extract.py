"""Extracts the vectors of a trained model's layer."""

import sys

from sertk.bin._options import add_input_options
from sertk.core.command import make_parser, run_command
from sertk.core.device import add_device_options, choose_device
from sertk.core.errors import UsageError


def build_parser():
    parser = make_parser(
        "sertk-extract",
        "Extracts the vectors of one layer of the model trained in RUN_DIR: a matrix per utterance, whose rows are\n"
        "the layer's parts (the capsules of `lower`; one row in `output`), averaged over the utterance's windows, or\n"
        "its frames (the layers of a speech recogniser, whose RUN_DIR is its experiment).\n\n"
        "What is extracted is named as for sertk-decode: --data and --splits for a part of the run's fold, --data\n"
        "alone for all of a data folder, --feats for archives. --list prints the layers that the model has.",
        "sertk-extract --layer lower --data data/ravdess --splits data/ravdess/splits/emobox --fold 1 --labels 8 \\\n"
        "    exp/ravdess_8_emobox/blstm_capsule/fold1/seed1 ark,scp:lower.ark,lower.scp",
    )
    parser.add_argument("--layer", default="output", help="the layer (default: output, the scores)")
    parser.add_argument("--mean", action="store_true", help="one row for each utterance, the mean of its rows")
    parser.add_argument("--list", action="store_true", help="print the layers and extract nothing")
    parser.add_argument("--step", help="an earlier step of the training, such as gmm (default: the last)")
    add_input_options(parser)
    parser.add_argument("run_dir", help="folder of a trained fold and seed")
    parser.add_argument("wspecifier", nargs="?", help="where the vectors go")
    add_device_options(parser)
    return parser


def run(args):
    from sertk.inference.inputs import check_input_options, read_input
    from sertk.inference.trained import TrainedModel
    from sertk.inference.vectors import write_vectors

    if not args.list:
        check_input_options(args)
        if not args.wspecifier:
            raise UsageError("a WSPECIFIER says where the vectors go")
    trained = TrainedModel(args.run_dir, choose_device(args), args.step)
    if args.list:
        print("\n".join(trained.model.layers))
        return
    write_vectors([(trained, read_input(trained, args).dataset)], args.layer, args.wspecifier, args.mean)


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())

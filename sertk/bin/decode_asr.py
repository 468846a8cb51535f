"""Recognises the words of a data folder."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.bin._options import add_device_options, choose_device
from sertk.core.command import make_parser, run_command


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-decode-asr",
        "Recognises the utterances of DATADIR, a folder called NAME, by the best path, into EXP_DIR/decode_NAME/text.\n"
        "Where DATADIR has texts it prints character and word error rates, and brings EXP_DIR/RESULTS.md up to date.",
        "sertk-decode-asr --data data/test exp/char",
    )
    parser.add_argument("--data", required=True, metavar="DATADIR")
    parser.add_argument("exp_dir", help="what sertk-train-asr trained")
    add_device_options(parser)
    return parser


def execute(args: Namespace) -> None:
    from sertk.asr.decoding import decode_asr
    from sertk.inference.trained import TrainedModel
    from sertk.reports.asr_page import write_asr_page

    results = decode_asr(TrainedModel(args.exp_dir, choose_device(args)), args.data)
    if results:
        write_asr_page(args.exp_dir)
        print(f"CER {100 * results['cer']:.2f} %, WER {100 * results['wer']:.2f} %, {results['utterances']} utterances")


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())

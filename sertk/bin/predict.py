"""Recognises the emotion of recordings."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

import yaml
from tqdm import tqdm

from sertk.bin._options import add_device_options, add_model_options, choose_device, named_specifiers
from sertk.core.command import make_parser, progress, run_command
from sertk.core.errors import SertkError, UsageError
from sertk.core.messages import shown

if TYPE_CHECKING:
    from sertk.predicting.recognizer import Recognizer

FORMATS = ("table", "tsv", "json", "ark")


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-predict",
        "Recognises the emotion of recordings, of any rate and number of channels, and of any format that libsndfile\n"
        "reads, or ffmpeg, where that is installed (m4a, mp4, webm, wma, amr ...).\n\n"
        "MODEL is a packed model (sertk-pack), a run folder, or an experiment folder. A file that cannot be used is\n"
        "named, the others go on, and the exit status is 1. A system that classifies windows does so in recordings of\n"
        "any length; another one takes up to --window seconds (30) as one utterance, and cuts longer recordings into\n"
        "windows of that length. The posteriors of a recording are the mean over its windows.",
        "sertk-predict --format tsv ravdess.zip recordings/ > emotions.tsv",
    )
    add_model_options(parser)
    parser.add_argument(
        "--format",
        default="table",
        choices=FORMATS,
        help="what is written to standard output: columns for people, columns between tabs, a JSON object on each "
        "line; or archives, to --out (default: %(default)s)",
    )
    parser.add_argument("--out", metavar="WSPECIFIER", help="where the archives of --format ark go, such as ark,t:-")
    parser.add_argument(
        "--segments",
        action="store_true",
        help="each window with its start and end in seconds, instead of the mean over them",
    )
    parser.add_argument(
        "--window", type=float, metavar="SECONDS", help="of systems without windows of their own (default: 30)"
    )
    parser.add_argument(
        "--hop", type=float, metavar="SECONDS", help="from one such window to the next (default: --window)"
    )
    parser.add_argument(
        "--channel", type=int, metavar="N", help="take this channel, from 0; all are averaged by default"
    )
    parser.add_argument(
        "--spk",
        metavar="all|folder|FILE",
        help="whose the recordings are, for systems that normalise by "
        "speaker: one speaker's, one's in each folder, or as lines `file speaker` tell",
    )
    parser.add_argument(
        "--plot", metavar="DIR", help="also draw waveform, log-mel and posteriors of each file into DIR"
    )
    parser.add_argument("--mic", action="store_true", help="listen to the microphone, instead of files")
    parser.add_argument("--card", action="store_true", help="only print what the system was trained and measured on")
    parser.add_argument("model", metavar="MODEL", help="the trained system")
    parser.add_argument(
        "recordings", nargs="*", metavar="FILE-OR-FOLDER", help="recordings, and folders of them at any depth"
    )
    add_device_options(parser)
    parser.parse_args = parser.parse_intermixed_args  # options may stand between the files
    return parser


def check_options(args: Namespace) -> None:
    if (args.format == "ark") != bool(args.out):
        raise UsageError("--format ark and --out WSPECIFIER go together; other formats go to standard output")
    if bool(args.recordings) == (args.mic or args.card):
        raise UsageError("give files or folders, or else --mic or --card")
    if args.channel is not None and args.channel < 0:
        raise UsageError("--channel counts from 0")


def execute(args: Namespace) -> int:
    check_options(args)
    recognizer = load(args)
    if args.card:
        print(yaml.safe_dump(recognizer.card, sort_keys=False, allow_unicode=True), end="")
        return 0
    if args.mic:
        from sertk.predicting.mic import listen_to_microphone

        listen_to_microphone(recognizer)
        return 0
    return predict(recognizer, args)


def load(args: Namespace) -> "Recognizer":
    from sertk.predicting.load import load_recognizer

    options = named_specifiers(args.feats_config, "--feats_config")
    return load_recognizer(args.model, choose_device(args), fold=args.fold, seed=args.seed, feats_config=options)


def predict(recognizer: "Recognizer", args: Namespace) -> int:
    """Recognises what the arguments name; 1 if any of it could not be used."""
    from sertk.predicting.sources import find_recordings, find_speakers

    paths, errors, others = find_recordings(args.recordings)
    for error in errors:
        say(error)
    if paths and others:
        say(f"{others.total()} other files are passed over ({' '.join(sorted(others))})")
    if not paths:
        return 1
    check_outputs(args, paths)
    speakers = find_speakers(paths, args.spk)
    if recognizer.chain.pools_speakers and not args.spk:
        say("the system normalises by speaker: each file is taken for a speaker of its own, without --spk")
    if args.plot:
        os.makedirs(args.plot, exist_ok=True)
    bad, odd = len(errors), 0
    results = recognizer.recognize(list(paths), args.window, args.hop, speakers, args.channel)
    with open_output(recognizer, args, paths) as output:
        for path, result in progress(results, "recognising", len(paths)):
            try:
                if isinstance(result, SertkError):
                    raise result
                output.write(path, result)
                odd += bool(result.warnings)
                for warning in result.warnings:
                    say(f"warning: {warning}")
                if args.plot:
                    draw(args, path, result)
            except SertkError as error:
                bad += 1
                named = str(error) if str(error).startswith(str(path)) else f"{path}: {error}"
                say(named)
    for number, what in ((odd, "have a warning"), (bad, "could not be used")):
        if number:
            say(f"{number} of {len(paths) + len(errors)} {what}")
    return int(bad > 0)


def check_outputs(args, paths):
    """Raises SertkError where two recordings would be written as one."""
    from sertk.predicting.sources import require_own_names

    if args.format == "ark":
        from sertk.predicting.output import archive_key

        require_own_names(paths, archive_key)
    if args.plot:
        from sertk.predicting.overview import picture_path

        require_own_names(paths, lambda path: picture_path(args.plot, path))


def say(text):
    tqdm.write(shown(f"sertk-predict: {text}"), file=sys.stderr)


def open_output(recognizer, args, paths):
    from sertk.predicting.output import Archive, Json, Table, Tsv

    if args.format == "ark":
        return Archive(args.out, args.segments)
    lines = {"table": Table, "tsv": Tsv, "json": Json}[args.format]
    return lines(recognizer.classes, paths, args.segments, sys.stdout)


def draw(args, path, result):
    from sertk.predicting.overview import overview_of, picture_path
    from sertk.reports.plots.pictures import save_figure
    from sertk.reports.plots.prediction import prediction_figure

    figure = prediction_figure(
        shown(path), overview_of(path, result.seconds, args.channel), result.classes, result.times, result.rows
    )
    save_figure(figure, [picture_path(args.plot, path)])


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())

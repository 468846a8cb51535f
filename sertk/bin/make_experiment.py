"""Makes an experiment folder: its resolved config, its protocol card, its list of jobs."""

import sys
from pathlib import Path

from sertk.bin._options import add_config_options
from sertk.config.loading import data_needed, derive_tag, load_parts
from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError
from sertk.core.files import write_text
from sertk.experiments.pretrained import pretrained_config, with_pretrained


def build_parser():
    parser = make_parser(
        "sertk-make-experiment",
        "Makes EXP_DIR with config.yaml and card.yaml, refusing one that was made with other settings, and a jobs\n"
        "file (one line `fold seed` per training); or, with --print, only says what the config asks for.",
        "sertk-make-experiment --config ../common/conf/blstm.yaml --set training.max_epochs=3 \\\n"
        "    --data data/ravdess --splits data/ravdess/splits/emobox --labels 8 --corpus ravdess \\\n"
        "    --jobs exp/x/blstm/jobs.txt exp/x/blstm",
    )
    add_config_options(parser)
    parser.add_argument("--overlay", metavar="FILE", help="a YAML file laid over the config, under the settings")
    parser.add_argument(
        "--print",
        choices=["steps", "data", "tag"],
        help="print this and make nothing (data: what the data folder is to hold)",
    )
    parser.add_argument(
        "--asr_exp", metavar="DIR", help="the speech recogniser's experiment, where the model takes a layer"
    )
    parser.add_argument("--data", help="data folder")
    parser.add_argument("--splits", help="folder of the protocol's fold lists")
    parser.add_argument("--labels", help="label set")
    parser.add_argument("--corpus", help="the corpus's name, for the card")
    parser.add_argument("--subset", help="the part of the corpus, where it is not all")
    parser.add_argument("--jobs", metavar="FILE", help="where the list of trainings goes")
    parser.add_argument("--folds", type=fold_numbers, default=[], metavar="'F ...'", help="default: all")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("exp_dir", nargs="?")
    return parser


def fold_numbers(text):
    return [int(number) for number in text.split()]


def run(args):
    steps = load_parts(args.config, args.set, args.overlay)
    if args.asr_exp or not args.print:
        steps = with_pretrained(steps, args.asr_exp)
    if args.print:
        archived = any(config.asr and not config.asr.in_loop for config in steps.values())
        recogniser = {"asr": pretrained_config(args.asr_exp)} if args.asr_exp and archived else {}
        print(
            {
                "steps": "\n".join(steps),
                "data": "\n".join(data_needed({**recogniser, **steps})),
                "tag": derive_tag(args.set, args.overlay),
            }[args.print]
        )
        return
    if not all((args.data, args.splits, args.labels, args.corpus, args.jobs, args.exp_dir)):
        raise UsageError("give --data, --splits, --labels, --corpus, --jobs and EXP_DIR")
    if args.repeats < 1:
        raise UsageError(f"--repeats {args.repeats}: expected 1 or more")
    from sertk.experiments.experiment import create_experiment, list_jobs

    jobs = list_jobs(args.splits, args.folds, args.repeats, args.seed)
    names = {"model": Path(args.config).stem, "corpus": args.corpus}
    if args.subset:
        names["subset"] = args.subset
    create_experiment(args.exp_dir, steps, args.data, args.splits, args.labels, names, args.asr_exp)
    write_text(args.jobs, "".join(f"{fold} {seed}\n" for fold, seed in jobs))


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())

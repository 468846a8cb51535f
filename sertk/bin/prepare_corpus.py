"""sertk-prepare-corpus: a corpus release on disk -> a data folder."""

import inspect
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path

from sertk.bin._options import split_words
from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError
from sertk.corpora import CORPORA

# Options of single corpora: each goes to the functions in CORPORA that have such an argument.
OWN_OPTIONS = ("transcriptions", "subset", "min_seconds", "max_seconds", "columns")


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-prepare-corpus",
        "Makes the data folder of a corpus release, and names every file of it that is wrong.",
        "sertk-prepare-corpus ravdess downloads/ravdess data/ravdess",
    )
    parser.add_argument("corpus", choices=sorted(CORPORA), help="which corpus")
    parser.add_argument("root", metavar="ROOT", help="the folder of the release; of csv, the CSV or TSV file")
    parser.add_argument("datadir", metavar="DATADIR", help="the data folder to write")
    parser.add_argument("--partial", action="store_true", help="accept a part of the corpus")
    parser.add_argument("--transcriptions", metavar="FILE", help="lines `utterance words...`, for the text (fau_aibo)")
    parser.add_argument("--subset", help="folder of the release, such as train-clean-100 (librispeech, tedlium)")
    parser.add_argument("--min_seconds", type=float, metavar="S", help="drop what is shorter (ASR corpora; default: 1)")
    parser.add_argument("--max_seconds", type=float, metavar="S", help="drop what is longer (ASR corpora; default: 15)")
    parser.add_argument(
        "--columns",
        type=split_words,
        metavar="'ROLE=COLUMN ...'",
        help="columns of other names, such as 'label=emotion speaker=\"spk id\"' (csv)",
    )
    parser.add_argument(
        "--feats",
        metavar="TYPES",
        help="feature types, or YAML files of one's own, with spaces between: recordings have to be long enough for "
        "them (csv; default: 25 ms)",
    )
    parser.add_argument("--nj", type=int, default=None, help="threads that read audio (default: the CPUs)")
    return parser


def execute(args: Namespace) -> None:
    if args.nj is not None and args.nj < 1:
        raise UsageError(f"--nj {args.nj}: must be at least 1")
    prepare = CORPORA[args.corpus]
    own = {name: getattr(args, name) for name in OWN_OPTIONS if getattr(args, name) is not None}
    if args.feats:
        own["needs"] = needs_of(args.feats.split())
    parameters = inspect.signature(prepare).parameters
    for name in own.keys() - parameters.keys():
        raise UsageError(f"--{'feats' if name == 'needs' else name}: not an option of {args.corpus}")
    if "subset" in parameters and args.subset is None:
        raise UsageError(f"{args.corpus} needs --subset")
    prepare(args.root, args.datadir, partial=args.partial, threads=args.nj, **own)


def needs_of(types: Iterable[str]) -> dict[str, float]:
    """{feature type: the least seconds that a recording needs}."""
    from sertk.features.extractor import least_seconds
    from sertk.features.registry import load_extractor

    found = {name: load_extractor(name, name if name.endswith(".yaml") else None) for name in types}
    return {Path(name).stem: least_seconds(extractor) for name, extractor in found.items()}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())

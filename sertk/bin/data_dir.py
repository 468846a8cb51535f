"""sertk-data-dir: validates, mends and reshapes data folders."""

import argparse
import sys
from collections.abc import Sequence

from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError
from sertk.core.messages import shown
from sertk.kaldi import checks as datadir_checks
from sertk.kaldi import tools as datadir_tools
from sertk.kaldi.datadir import DataDir
from sertk.kaldi.digests import recordings_digest

CHOICES = ("first", "last", "shortest", "per-spk", "speakers")


def build_parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "sertk-data-dir",
        "Validate, mend and reshape data folders; utils/*_data_dir.sh are short names for this.",
        "sertk-data-dir subset --spk-list speakers.txt data/ravdess data/ravdess_men",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def add(name, help, **more):
        action = actions.add_parser(name, help=help, allow_abbrev=False, **more)
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return action

    validate = add("validate", "say which file, line and key is wrong, if any")
    for what in ("feats", "text", "wav"):
        validate.add_argument(f"--no-{what}", action="store_true", help=f"{what} need not be there")
    validate.add_argument("folder", metavar="DIR")

    fix = add("fix", "sort, and drop what is not in every file")
    fix.add_argument("folder", metavar="DIR")

    subset = add(
        "subset",
        "some of the utterances",
        usage="sertk-data-dir subset [--first | --last | --shortest | --per-spk | --speakers] SRC N DEST\n"
        "       sertk-data-dir subset (--utt-list FILE | --spk-list FILE) SRC DEST",
        description="N random utterances, or those the option says; --speakers takes whole random speakers "
        "with N utterances or more.",
    )
    how = subset.add_mutually_exclusive_group()
    how.add_argument("--utt-list", metavar="FILE", help="the utterances named in FILE")
    how.add_argument("--spk-list", metavar="FILE", help="the speakers named in FILE")
    for choice in CHOICES:
        # The next word is N or, as Kaldi has it, SRC.
        how.add_argument(f"--{choice}", nargs="?", const="", metavar="N")
    subset.add_argument("--seed", type=int, default=0, help="of the random choice")
    subset.add_argument("arguments", nargs="+", metavar="SRC [N] DEST")

    split = add("split", "DIR/splitN/1 ... N, speakers kept whole")
    split.add_argument("--per-utt", action="store_true", help="DIR/splitNutt, speakers may be cut")
    split.add_argument("folder", metavar="DIR")
    split.add_argument("count", type=int, metavar="N")

    combine = add("combine", "several folders into one")
    combine.add_argument("--extra-files", default="", metavar='"F1 F2"', help="further tables to join")
    combine.add_argument("--skip-fix", metavar="BOOL", help="as in Kaldi; nothing needs fixing here")
    combine.add_argument("destination", metavar="DEST")
    combine.add_argument("sources", nargs="+", metavar="SRC")

    digest = add("digest", "one number for all recordings, which changes when one of them does")
    digest.add_argument("folder", metavar="DIR")

    copy = add("copy", "a copy, renamed or with one feature type for Kaldi")
    copy.add_argument("--utt-prefix", default="", metavar="P")
    copy.add_argument("--spk-prefix", default="", metavar="P")
    copy.add_argument("--feats", metavar="TYPE", help="for Kaldi: feats.scp is feats/TYPE.scp")
    copy.add_argument("source", metavar="SRC")
    copy.add_argument("destination", metavar="DEST")
    return parser


def execute(args: argparse.Namespace) -> None:
    ACTIONS[args.action](args)


def _validate(args):
    datadir_checks.validate(args.folder, feats=not args.no_feats, text=not args.no_text, wav=not args.no_wav)
    print(shown(f"Successfully validated data-directory {args.folder}"))


def _fix(args):
    kept, total = datadir_checks.fix(args.folder)
    print(f"kept {kept} utterances out of {total}")


def _subset(args):
    options = vars(args)
    how = next((choice for choice in CHOICES if options[choice.replace("-", "_")] is not None), "random")
    words = [word for word in (options.get(how.replace("-", "_")), *args.arguments) if word]
    list_path = args.utt_list or args.spk_list
    if len(words) != (2 if list_path else 3):
        raise UsageError(f"expected SRC {'' if list_path else 'N '}DEST, not '{' '.join(words)}'; see --help")
    source, destination = words[0], words[-1]
    if list_path:
        chosen = datadir_tools.choose_listed(source, list_path, speakers=args.spk_list is not None)
    else:
        number = words[1]
        if words[0].isdecimal() and not number.isdecimal():
            number, source = words[:2]
        if not number.isdecimal():
            raise UsageError(f"expected a number of utterances, not '{number}'; see --help")
        chosen = datadir_tools.choose_number(source, how, int(number), args.seed)
    kept = datadir_tools.subset(source, destination, chosen)
    print(shown(f"{destination}: {kept} utterances of {source}"))


def _split(args):
    datadir_tools.split(args.folder, args.count, per_utterance=args.per_utt)


def _combine(args):
    total = datadir_tools.combine(args.destination, args.sources, args.extra_files.split())
    print(shown(f"{args.destination}: {total} utterances of {len(args.sources)} folders"))


def _copy(args):
    total = datadir_tools.copy(args.source, args.destination, args.utt_prefix, args.spk_prefix, args.feats)
    print(shown(f"{args.destination}: {total} utterances of {args.source}"))


def _digest(args):
    folder = DataDir(args.folder)
    print(recordings_digest(folder.path, list(folder.table("segments" if folder.has("segments") else "wav.scp"))) or "")


ACTIONS = {
    "validate": _validate,
    "fix": _fix,
    "subset": _subset,
    "split": _split,
    "combine": _combine,
    "copy": _copy,
    "digest": _digest,
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())

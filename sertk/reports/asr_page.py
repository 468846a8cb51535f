"""The page of a speech network: how well it recognises words."""

from pathlib import Path

from sertk.core.files import PathLike, read_yaml, write_text
from sertk.experiments.encoders import decoded_sets
from sertk.experiments.layout import read_epochs
from sertk.reports.blocks import Heading, Listing, Table
from sertk.reports.formatting import percent
from sertk.reports.markdown import markdown


def write_asr_page(exp_dir: PathLike) -> None:
    """Writes EXP_DIR/RESULTS.md: what was trained on what, and the error rates of all that was decoded."""
    exp_dir = Path(exp_dir)
    card, config = read_yaml(exp_dir / "card.yaml"), read_yaml(exp_dir / "config.yaml")
    model = ", ".join(f"{key} {value}" for key, value in config["model"].items() if key != "name")
    best = min(read_epochs(exp_dir), key=lambda line: line["valid_cer"])
    rows = [
        [name, each["utterances"], f"{each['hours']:.2f}", percent(each["cer"]), percent(each["wer"])]
        for name, each in decoded_sets(exp_dir).items()
    ]
    sizes = {name: card[name] for name in ("train", "dev")}
    facts = [
        f"model: {config['model']['name']} ({model})",
        *(f"{name}: {size['utterances']} utterances, {size['hours']:.2f} hours" for name, size in sizes.items()),
        f"tokens: {card['tokens']}, and the blank",
        f"chosen: epoch {best['epoch']}, by the CER on the dev split, which is {percent(best['valid_cer'])} %",
        "decoding: best path, no language model",
    ]
    page = [
        Heading(f"{exp_dir.name}: speech recognition", 1),
        Table(["set", "utterances", "hours", "CER %", "WER %"], rows),
        Listing(facts),
    ]
    write_text(exp_dir / "RESULTS.md", markdown(page))

import base64
import hashlib
import io
import os
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from decoded_experiments import CLASSES, write_card, write_run
from matplotlib.figure import Figure

from sertk.bin import report
from sertk.core.files import write_json
from sertk.evaluation.mistakes import confident_mistakes
from sertk.evaluation.results import score
from sertk.evaluation.runs import read_runs
from sertk.reports.blocks import Code, Heading, Listing, Table, Text
from sertk.reports.html import html_page
from sertk.reports.markdown import Marked, markdown
from sertk.reports.plots.inline import inline_svg
from sertk.reports.recordings import LONGEST, MOST_BYTES, RATE, Recordings, flac

VOID = {"meta", "img", "br"}
HOSTILE = '<script>alert("x")</script>&\'$\\frac$*a*_b_ `c`|&lt;'
ROWS = [
    ("a-1", "a", "sad", "happy"),
    ("a-2", "a", "sad", "sad"),
    ("b-1", "b", "happy", "neutral"),
    ("b-2", "b", "neutral", "neutral"),
]


class Elements(HTMLParser):
    """All elements of a page with their attributes, and its texts; fails where one is not closed."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.open = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.open += [tag] * (tag not in VOID)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def make_scored(folder, rows=ROWS, classes=CLASSES, **card):
    write_card(folder, classes, **card)
    write_run(folder, 1, 1, rows, classes)
    write_json(folder / "results.json", score(folder, draws=100))
    return folder


def make_data(folder, utterances, rate=8000, seconds=1.0):
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in utterances:
        soundfile.write(folder / f"{name}.wav", 0.1 * random.normal(size=(int(seconds * rate), 2)), rate)
    (folder / "wav.scp").write_text("".join(f"{name} {folder}/{name}.wav\n" for name in sorted(utterances)))
    return folder


def page_of(tmp_path, *arguments):
    out = tmp_path / "page.html"
    assert report.main([*map(str, arguments), "--html", str(out)]) == 0
    return out.read_text()


def test_one_page_loads_and_runs_nothing(tmp_path, capsys):
    experiments = [make_scored(tmp_path / name, model=name) for name in ("blstm", "cnn")]
    data = make_data(tmp_path / "data", ["a-1", "b-1"])
    page = page_of(tmp_path, "--data", data, *experiments)
    assert capsys.readouterr().out == ""
    found = Elements(page)
    tags = {tag for tag, _ in found.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for _, attributes in found.elements:
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert re.match("data:(audio/flac|image/png);base64,|#", attributes.get(name, "#"))
    policy = next(each for each in found.named("meta") if each.get("http-equiv"))["content"]
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ") and f"style-src 'sha256-{digest}'; " in policy
    assert "unsafe" not in policy and page.index("Content-Security-Policy") < page.index("<style>")
    # One recall figure of both, and confusion, recall and curves of each.
    assert len(found.named("svg")) == 7 and len(found.named("audio")) == 4
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    used = {attributes["href"] for attributes in found.named("use")}
    assert used <= {f"#{name}" for name in ids} and len(set(ids)) == len(ids)
    assert page_of(tmp_path, "--data", data, *experiments) == page


def test_text_stays_text_whatever_its_characters(tmp_path):
    classes = ["sad", HOSTILE]
    rows = [(f"{HOSTILE}-{n}", f"{HOSTILE}{n}", classes[n % 2], classes[n // 2]) for n in range(4)]
    rows.append(("</td><img src=x>", "</details>", HOSTILE, "sad"))
    experiment = make_scored(
        tmp_path / "<b onclick=x>",
        rows,
        classes,
        corpus=HOSTILE,
        model=HOSTILE,
        note=f"</style>{HOSTILE}",
        source='"><svg/onload=x>',
    )
    page = page_of(tmp_path, "--title", f"</title>{HOSTILE}", experiment)
    found = Elements(page)
    assert not found.named("script") and not found.named("b") and not found.named("img")
    assert page.count("<title>") == page.count("<style>") == 1
    text = "".join(found.texts)
    for expected in (
        f"note: </style>{HOSTILE}",
        f"{HOSTILE}-1",
        "</td><img src=x>",
        '"><svg/onload=x>',
        f"</title>{HOSTILE}",
    ):
        assert expected in text
    assert all(not name.startswith("on") for _, attributes in found.elements for name in attributes)


def test_both_renderings_hold_the_same_text():
    blocks = [
        Heading("A & B", 1),
        Text(Marked("**no**, *Seeds*: 2 * 3, Feature* + x; {}").format("Feature* + *y*")),
        Text("* few"),
        Listing(["<x>"]),
        Table(["a", "b"], [["[1, 2]*", 3]]),
        Code(["a <b>"]),
    ]
    page = html_page("T", blocks)
    assert "<h1>A &amp; B</h1>" in page and "<li>&lt;x&gt;</li>" in page and ">a &lt;b&gt;</pre>" in page
    assert "<strong>no</strong>, <em>Seeds</em>: 2 * 3, Feature* + x; Feature* + *y*</p>" in page
    assert "<p>* few</p>" in page
    assert '<td class="left">[1, 2]*</td><td>3</td>' in page
    assert markdown(blocks) == (
        "# A & B\n\n**no**, *Seeds*: 2 * 3, Feature* + x; Feature* + \\*y*\n\n\\* few\n\n- \\<x>\n\n"
        "| a | b |\n| - | -: |\n| [1, 2]* | 3 |\n\n````\na <b>\n````\n"
    )


def test_mistakes_are_those_of_the_most_certain_run(tmp_path):
    write_card(tmp_path)
    head = "utterance\tspeaker\treference\tpredicted\t" + "\t".join(CLASSES)
    runs = {
        1: ["u1 s happy neutral .6 .3 .1", "u2 s sad sad .1 .2 .7", "u3 s sad happy .1 .5 .4"],
        2: ["u1 s happy sad .1 .2 .7", "u2 s sad happy .1 .7 .2", "u3 s sad sad .1 .1 .8"],
    }
    for seed, lines in runs.items():
        folder = write_run(tmp_path, 1, seed, [("u1", "s", "happy", "happy")])
        table = "\n".join([head, *("\t".join(line.split()) for line in lines)]) + "\n"
        (folder / "decode_test" / "predictions.tsv").write_text(table)
    found = confident_mistakes(read_runs(tmp_path, CLASSES), CLASSES, 9)
    facts = [
        (each.utterance, each.predicted, each.posterior, each.of_reference, each.wrong, each.decoded) for each in found
    ]
    assert facts == [("u1", "sad", 0.7, 0.2, 2, 2), ("u2", "happy", 0.7, 0.2, 1, 2), ("u3", "happy", 0.5, 0.4, 1, 2)]
    assert [each.utterance for each in confident_mistakes(read_runs(tmp_path, CLASSES), CLASSES, 1)] == ["u1"]


def test_recall_of_each_speaker(tmp_path):
    text = " ".join(Elements(page_of(tmp_path, make_scored(tmp_path / "x"), "--mistakes", 0)).texts).split("Speakers")[
        1
    ]
    cells = [cell for cell in text.split("\n")[-40:] if cell.strip()]
    flat = " ".join(" ".join(cells).split())
    assert "a 2 50.0 - - 50.0" in flat and "b 2 50.0 100.0 0.0 -" in flat and "mistakes" not in flat


def test_recordings_are_small(tmp_path):
    random = np.random.default_rng(1)
    samples, rate = soundfile.read(io.BytesIO(flac(0.1 * random.normal(size=30 * 8000).astype(np.float32), 8000)))
    assert (rate, len(samples)) == (RATE, LONGEST * RATE)
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32) / 2
    samples, _ = soundfile.read(io.BytesIO(flac(tone, RATE)))
    np.testing.assert_allclose(samples, tone, atol=1 / 2**15)

    data = make_data(tmp_path / "data", ["a-1", "b-1"])
    (data / "segments").write_text("b-1 b-1 0.5 1.0\nc-1 a-1 0 0.25\n")
    recordings = Recordings(data)
    kept, notes = recordings.read([], ["b-1", "c-1", "d-1"])
    seconds = {name: soundfile.info(io.BytesIO(content)).duration for name, content in kept.items()}
    assert seconds == {"b-1": 0.5, "c-1": 0.25} and notes == [f"1 of the utterances are not in {data}."]
    assert recordings.left == MOST_BYTES - sum(map(len, kept.values()))
    recordings.left = len(kept["b-1"])
    kept, notes = recordings.read([], ["b-1", "c-1"])
    assert list(kept) == ["b-1"] and notes == ["More recordings than 12 MB are left out."]
    (data / "b-1.wav").write_bytes(b"")
    kept, notes = Recordings(data).read([], ["b-1", "c-1"])
    assert list(kept) == ["c-1"] and notes == [f"No recording of b-1: {data}/b-1.wav: an empty file."]


@pytest.mark.parametrize("place", ["recipe", "."])
def test_the_data_folder_is_the_one_decoded(tmp_path, monkeypatch, place):
    recipe = tmp_path / "recipe"
    experiment = recipe / "exp" / "x" / "blstm"
    run = experiment / "fold1" / "seed1"
    run.mkdir(parents=True)
    for name in ("config.yaml", "card.yaml"):
        (experiment / name).write_text("{}")
    monkeypatch.chdir(tmp_path / place)

    def read(data=None):
        return Recordings(data).read([SimpleNamespace(path=run)], ["a-1"])

    assert read()[1][0].endswith("blstm/data.yaml: missing; stage 3 writes it (sertk-make-experiment).")
    (experiment / "data.yaml").write_text("data: ../../../data\nsplits: s\nlabel_set: '8'\n")
    data = recipe / "data"
    assert read() == ({}, [f"No recordings: {os.path.relpath(data)} has no wav.scp; name the data folder with --data."])
    make_data(data, ["a-1", "b-1"])
    kept, notes = read()
    assert list(kept) == ["a-1"] and notes == []

    made = tmp_path / "made"
    for entry in (f"touch {made} |:7", f"touch {made} |"):
        (data / "wav.scp").write_text(f"a-1 {entry}\n")
        kept, (note,) = read()
        assert not kept and "holds commands, which are only run where --data names the folder" in note
        assert not made.exists()
    read(data)
    assert made.exists()


def test_pictures_of_layers(tmp_path):
    experiment = make_scored(tmp_path / "x")
    layers = experiment / "fold1" / "seed1" / "layers"
    layers.mkdir()
    Figure(figsize=(1, 1)).savefig(layers / "tsne_output.png")
    (experiment / "tsne_all.png").write_bytes(bytes(1_000_001))
    page = page_of(tmp_path, experiment, "--mistakes", "0")
    (image,) = Elements(page).named("img")
    assert base64.b64decode(image["src"].partition(",")[2]) == (layers / "tsne_output.png").read_bytes()
    assert "tsne_all.png is left out, as it is larger than 1 MB." in page


def test_inline_figures_have_attributes_for_styles():
    figure = Figure()
    axes = figure.add_subplot()
    axes.bar([0, 1], [1, 2], hatch="//", color="0.5", label="a < b\x01")
    axes.legend()
    svg = inline_svg(figure, 'A "title"')
    found = Elements(svg)
    assert 'aria-label="A &quot;title&quot;"' in svg and "a < bU+0001" in found.texts
    assert not re.search("style|<metadata|DejaVu|xmlns", svg)
    (clip,) = {each["clip-path"] for each in found.named("path") if "clip-path" in each}
    (defined,) = found.named("clippath")
    assert clip == f"url(#{defined['id']})"
    hatched = {each["fill"] for each in found.named("path") if each.get("fill", "").startswith("url")}
    assert {f"url(#{pattern['id']})" for pattern in found.named("pattern")} >= hatched != set()


def test_wrong_usage(tmp_path, capsys):
    experiment = str(make_scored(tmp_path / "x"))
    assert report.main([experiment, "--mistakes", "3"]) == report.main([experiment, "--data", "d"]) == 2
    assert report.main([experiment, "--html", str(tmp_path / "p.html"), "--mistakes", "-1"]) == 2
    assert "--mistakes is at least 0" in capsys.readouterr().err
    assert not (tmp_path / "p.html").exists()

"""Pages as Markdown: what users wrote shows as it is, and stays readable without a renderer."""

import html
import random
import re

import pytest
from decoded_experiments import write_card, write_run
from markdown_it import MarkdownIt

from sertk.evaluation.comparison import compare
from sertk.reports.blocks import Code, Heading, Listing, Picture, Table, Text
from sertk.reports.comparison_page import comparison_page
from sertk.reports.formatting import plain
from sertk.reports.markdown import Marked, inline, markdown
from sertk.reports.writing import write_results

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
PIECES = [*"ab1 _*`<>&;|\\[]()!#-+~.:$=\"'/é😀–", "**", "__", "```", "~~", "&amp;", "<b>", "1. ", "\n"]
PIECES += ["[a](b)", "[a]: b"]


def shown(text):
    """A text as a renderer has to write it, where it is no markup."""
    return html.escape(" ".join(text.split())).replace("&#x27;", "'")


def render(*blocks):
    return RENDERER.render(markdown(blocks))


def random_texts():
    chance = random.Random(0)
    texts = ("".join(chance.choice(PIECES) for _ in range(chance.randint(1, 9))) for _ in range(4000))
    return [text for text in texts if text.strip()]


def test_every_text_shows_as_it_is_in_every_block():
    for text in ["<unk>", "$high_$", "take_$1_$2.wav", "C #", "---", "* a", "1. a", "[a]: b", *random_texts()]:
        expected = shown(text)
        assert render(Heading(text)) == f"<h2>{expected}</h2>\n"
        assert render(Text(text)) == f"<p>{expected}</p>\n"
        assert render(Listing([text, "x"])) == f"<ul>\n<li>{expected}</li>\n<li>x</li>\n</ul>\n"
        cells = re.findall("<t[hd].*?>(.*?)</t[hd]>", render(Table([text, "x"], [["x", text], [text, "x"]])))
        assert cells == [expected, "x", "x", expected, expected, "x"]
        warning = Marked("**Warning:** {}.").format(text)
        assert render(Text(warning)) == f"<p><strong>Warning:</strong> {expected}.</p>\n"
        lines = html.escape(text).replace("&#x27;", "'")
        assert render(Code([text, "x"])) == f"<pre><code>{lines}\nx\n</code></pre>\n"


@pytest.mark.parametrize(
    "text",
    [
        "blstm_capsule speaker_norm: ravdess, labels 8",
        "exp/mini_2_loso/blstm__2/fold1",
        "[50.1, 62.0]*",
        "(F0 + MFCC*) + Feature* + BLSTM",
        "2 * 3 < 7 & 1 > 0",
        "p < 0.001",
        "-0.5 -x --against",
        "[1] Doe 2019, Table 3. UA is taken for accuracy (see above), 3.5 % of $5",
        "C:\\data # x ~/exp",
        "reference \\ predicted",
    ],
)
def test_nothing_is_escaped_without_need(text):
    assert markdown([Text(text)]) == f"{text}\n"


def test_escapes_by_hand():
    assert inline("<unk> $a$ __init__ 5*3 *x* `y` a\\*b") == r"\<unk> \$a$ \_\_init__ 5\*3 \*x* \`y\` a\\\*b"
    assert inline(" a\n b ") == "a b"
    assert inline("\x1b[31m\u202ered") == r"\x1b[31m\u202ered"
    blocks = [Text("* few"), Text("2. a"), Text("---"), Listing(["> a", "# b"]), Heading("C #", 3)]
    assert markdown(blocks) == "\\* few\n\n2\\. a\n\n\\---\n\n- \\> a\n- \\# b\n\n### C \\#\n"
    assert markdown([Table(["a|b", "c"], [["[1]*", 3]])]) == "| a\\|b | c |\n| - | -: |\n| [1]* | 3 |\n"
    assert markdown([Code(["````"])]) == "`````\n````\n`````\n"
    assert markdown([Picture("A <b>", "a.png")]) == "![A \\<b>](a.png)\n"


def test_markup_of_our_own_stands_beside_what_users_wrote():
    text = Marked("; ").join([Marked("**no** for {}").format("*x*"), "<y>"])
    assert text == r"**no** for \*x*; \<y>"
    assert render(Text(text)) == "<p><strong>no</strong> for *x*; &lt;y&gt;</p>\n"
    assert Marked("**{name}**, {}").format("<y>", name="*x*") == r"**\*x***, \<y>"
    card = {"a_b": [True, False], "c": "*d*", "e": None}
    assert plain(card) == r"a b yes, **no**, c \*d*, e not stated"


def test_pages_of_experiments_show_hostile_names(tmp_path):
    classes = ["<unk>", "$high_$", "a|b", "*"]
    for name, predicted in (("good_<b>_x", classes), ("_bad_", classes[::-1])):
        write_card(tmp_path / name, classes, corpus="*c*", model=name, note="`x` & &amp; **y**", rule="# [a](b)")
        rows = [(f"u{place}", f"s{place}", *pair) for place, pair in enumerate(zip(classes, predicted))]
        write_run(tmp_path / name, 1, 1, rows, classes)
        write_results(tmp_path / name, draws=100)
        page = RENDERER.render((tmp_path / name / "RESULTS.md").read_text())
        assert f"<h1>{shown(f'{name}: *c*, labels 8, protocol emobox')}</h1>" in page
        for text in ("classes: <unk>, $high_$, a|b, *", "note: `x` & &amp; **y**", "rule: # [a](b)"):
            assert f"<li>{shown(text)}</li>" in page
        for label in classes:
            assert f"<td>{shown(label)}</td>" in page  # of the tables of classes
    good, bad = tmp_path / "good_<b>_x", tmp_path / "_bad_"
    page = render(*comparison_page(compare(good, bad, draws=100)))
    assert f"<li>A: {shown(str(good))}</li>\n<li>B: {shown(str(bad))}</li>" in page
    assert "<p>* fewer than ten speakers: interval and p describe" in page

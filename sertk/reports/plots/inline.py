"""Figures as SVG elements inside an HTML page."""

import hashlib
import io
import re
import warnings
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from sertk.reports.plots.pictures import METADATA, STABLE_IDS, lay_out

SVG = "{http://www.w3.org/2000/svg}"


def inline_svg(figure: Figure, title: str) -> str:
    """A figure as an <svg> element whose texts stay texts, in the page's font.

    It has no styles, which a page's policy may forbid, but attributes; its ids are its own on the page.
    """
    written = io.StringIO()
    with warnings.catch_warnings(), matplotlib.rc_context({**STABLE_IDS, "svg.fonttype": "none"}):
        warnings.filterwarnings("ignore", r"Glyph .* missing from")  # the reader's fonts matter, and none here
        lay_out(figure, fonts_of_readers=True)
        figure.savefig(written, format="svg", metadata=METADATA[".svg"])
    text = written.getvalue()
    root = ElementTree.fromstring(text)
    for name in ("metadata", "defs"):  # the first defs holds the style of all elements
        root.remove(next(root.iterfind(f"{SVG}{name}")))
    prefix = hashlib.sha256(text.encode()).hexdigest()[:8]
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        element.attrib = _attributes(element.attrib, f"{prefix}-")
        element.tail = None
        if element.tag != "text":
            element.text = None
    root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt", "role": "img", "aria-label": title}
    return ElementTree.tostring(root, encoding="unicode")


def _attributes(attributes, prefix):
    """Attributes with those that `style` holds, without namespaces, and with `prefix` before all ids."""
    flat = {}
    for name, value in attributes.items():
        if name == "style":
            pairs = (pair.split(":", 1) for pair in value.split(";") if pair.strip())
            flat |= {key.strip(): setting.strip() for key, setting in pairs}
        else:
            flat[name.rpartition("}")[2]] = " ".join(value.split())
    flat.pop("font-family", None)
    for name, value in flat.items():
        if name == "id":
            flat[name] = prefix + value
        elif name == "href":
            flat[name] = re.sub("^#", f"#{prefix}", value)
        else:
            flat[name] = value.replace("url(#", f"url(#{prefix}")
    return flat

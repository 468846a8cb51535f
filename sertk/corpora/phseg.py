"""Phone segmentations (.phseg) that Sphinx's aligner writes: a heading, a line for each phone, a total.

       SFrm  EFrm   SegAScr Phone
          0    54  -3475541 SIL
         55    61   -687412 EH SIL K b
     Total score:   -9386478

First and last frame, score, phone; for a phone of a word also its neighbours and its place in the word.
"""

import re

from sertk.core.files import PathLike, read_text

HEADING = ["SFrm", "EFrm", "SegAScr", "Phone"]
PHONE = re.compile(r"\s*\d+\s+\d+\s+-?\d+\s+(\S+)(?:\s+\S+\s+\S+\s+[biesu])?\s*")  # begin, in, end, single
TOTAL = re.compile(r"\s*Total score:\s+-?\d+\s*")
FILLER = re.compile(r"SIL|\+.+\+")  # silence and noises, such as +LAUGHTER+
STRESS = "012"

# The phones of CMU's dictionary, of Sphinx's models (BD, TD...: stops at the end of a word) and of TIMIT.
VOICED = (
    "AA AE AH AO AW AX AXR AY EH ER EY IH IX IY OW OY UH UW UX EL EM EN ENG "
    "B BD D DD DH DX G GD HV JH L M N NG NX R V W Y Z ZH"
)
VOICELESS = "CH F HH K KD P PD Q S SH T TD TH TS"
ARPABET = dict.fromkeys(VOICED.split(), True) | dict.fromkeys(VOICELESS.split(), False)  # is it voiced?


def count_voiced(path: PathLike) -> tuple[int, list[str]]:
    """The number of voiced phones in a segmentation, and its faults as `file:line: what is wrong`."""
    heading, *lines = read_text(path).splitlines() or [""]
    problems = [] if heading.split() == HEADING else [f"{path}:1: expected {' '.join(HEADING)}, got '{heading}'"]
    if not (lines and TOTAL.fullmatch(lines[-1])):
        problems.append(f"{path}: cut off: the last line is not 'Total score: ...'")
    voiced = 0
    for number, line in enumerate(lines, 2):
        fields = PHONE.fullmatch(line)
        phone = fields[1].rstrip(STRESS) if fields else ""
        if phone in ARPABET:
            voiced += ARPABET[phone]
        elif fields and not FILLER.fullmatch(phone):
            problems.append(f"{path}:{number}: unknown phone '{fields[1]}'")
        elif not (fields or TOTAL.fullmatch(line)):
            problems.append(f"{path}:{number}: expected frames, a score and a phone, got '{line}'")
    return voiced, problems

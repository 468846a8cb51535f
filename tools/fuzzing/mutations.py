"""Damage to valid inputs: to their bytes, to the fields of tables, to the values of nested data, to whole files."""

import codecs
import hashlib
import io
import json
import warnings
import zipfile

import torch
import yaml

ODD_VALUES = (
    *(None, True, False, 0, -1, 1, 3, 2**31, 2**63, 10**30, -(10**30), 0.5, -0.5, 1e-300, 1e300),
    *(float("nan"), float("inf"), -float("inf"), "", " ", "x", "1", "-1", "1e-3", "nan", "null", "no", "2024-01-01"),
    *("Jürgen", "Ju\u0308rgen", "\ufeffx", "a b", "a/b", "../a", "a\tb", "a\nb", "x" * 3000),
    *("\u202e\x1b[31m", "a\0b", "\ud800"),
    *([], {}, [[]], [None], [1, "a"], {"a": {}}, {"name": "x"}, {1: 2}, {None: [{}]}, [[1, 2], [3]], {"": ""}),
)
ODD_FIELDS = ("", "-", "?", "0", "-1", "nan", "inf", "1e999", "9" * 40, "a", "Ä", "a\u0308", "a/b", "..", '"', "'", ",")
ODD_YAML = (
    "&a [*a]",
    "{a: &a {b: *a}}",
    "&a {<<: *a}",
    "!!python/none x",
    "2024-13-45",
    "0x",
    "0b",
    "1__0",
    "@",
    "- :",
    "%",
)
LINE_FILES = (".tsv", ".csv", ".jsonl", ".scp", ".txt", "")  # the last one: a table of a data folder


def mutate(path, random):
    """Damages one file, each in ways that suit it."""
    if random.random() < 0.05:
        of_whole_file(path, random)
    elif random.random() < 0.3:
        path.write_bytes(of_bytes(path.read_bytes(), random))
    else:
        by_structure(path, random)
    if path.is_file() and path.suffix not in (".pt", ".zip", ".ark"):
        path.write_bytes(path.read_bytes().replace(b"|", b"!"))  # nothing may become a command


def of_whole_file(path, random):
    path.unlink()
    how = random.choice(("missing", "folder", "empty", "zeros"))
    if how == "folder":
        path.mkdir()
    elif how != "missing":
        path.write_bytes(b"\0" * 100 if how == "zeros" else b"")


def of_bytes(content, random):
    """Content with some bytes flipped, cut off, put in, or there twice, or in another encoding."""
    place = random.randrange(len(content) + 1)
    if random.random() < 0.5:
        place = min(place, random.choice((8, 64, 512)))  # heads have most of the sense
    length = random.choice((1, 2, 4, 16, 100))
    flipped = bytes(byte ^ (1 << random.randrange(8)) for byte in content[place : place + length])
    after = content[place + length :]
    return random.choice(
        (
            content[:place] + flipped + after,
            content[:place] + random.randbytes(length) + after,
            content[:place] + random.choice((b"\0", b"\xff")) * length + after,
            content[:place],
            content[:place] + random.randbytes(length) + content[place:],
            content[: place + length] + content[place:],
            content[:place] + after,
            codecs.BOM_UTF8 + content,
            content.replace(b"\n", b"\r\n"),
            content.decode("latin-1").encode("utf-16"),
            content + b"\xe9\n",
        )
    )


def by_structure(path, random):
    if path.suffix in (".yaml", ".json"):
        of_document(path, random)
    elif path.suffix in LINE_FILES:
        path.write_bytes(of_table(path.read_bytes(), random))
    elif path.suffix == ".pt":
        content = torch.load(path, weights_only=True)
        torch.save(of_nested(content, random), path)
    elif path.suffix == ".zip":
        of_package(path, random)
    else:
        path.write_bytes(of_bytes(path.read_bytes(), random))


def of_document(path, random):
    """A value of a YAML or JSON file, or a piece of YAML that is hard to read."""
    if path.suffix == ".json":
        path.write_text(json.dumps(of_nested(json.loads(path.read_text()), random, text_keys=True)))
        return
    text = path.read_text()
    if random.random() < 0.2:
        lines = text.splitlines()
        number = random.randrange(len(lines))
        key, colon, _ = lines[number].partition(":")
        lines[number] = f"{key}{colon} {random.choice(ODD_YAML)}"
        path.write_text("\n".join(lines))
    else:
        changed = of_nested(yaml.safe_load(text), random)
        path.write_text(yaml.safe_dump(changed, sort_keys=False, allow_unicode=random.random() < 0.5))


def of_nested(data, random, text_keys=False):
    """Nested data in which one value is another, missing, named otherwise, there twice, or deeper down."""
    if not isinstance(data, (dict, list, tuple)) or not data or random.random() < 0.03:
        return odd_value(data, random)
    changed = dict(data) if isinstance(data, dict) else list(data)
    key = random.choice(list(data) if isinstance(data, dict) else range(len(data)))
    if isinstance(data[key], (dict, list, tuple)) and random.random() < 0.8:
        changed[key] = of_nested(data[key], random, text_keys)
        return changed
    how = random.random()
    if how < 0.15:
        del changed[key]
    elif how < 0.25:
        if isinstance(changed, dict):
            name = random.choice(("", "x", "name", 7, None, "Ä", True))
            changed[str(name) if text_keys else name] = changed.pop(key)
        else:
            changed.append(changed[key])
    elif how < 0.35:
        changed[key] = random.choice(([data[key]], {"a": data[key]}, [data[key]] * 2))
    else:
        changed[key] = odd_value(data[key], random)
    return changed


def odd_value(value, random):
    """Another value in the place of one; of a tensor also another shape, type, or some NaN."""
    if isinstance(value, torch.Tensor) and value.numel() and random.random() < 0.7:
        return random.choice(
            (
                value[..., None],
                value.flatten()[:-1],
                value.double(),
                value.to(torch.int64),
                value * float("nan"),
                -value,
            )
        )
    if isinstance(value, (int, float)) and random.random() < 0.3:
        return random.choice((value * 10, -value, value + 1, str(value)))
    return random.choice(ODD_VALUES)


def of_table(content, random):
    """Lines of fields in which one line or field is missing, there twice, elsewhere, or another."""
    lines = content.split(b"\n")
    number = random.randrange(len(lines))
    separator = next((each for each in (b"\t", b",", b";", b" ") if each in lines[0]), b" ")
    fields = lines[number].split(separator)
    place = random.randrange(len(fields))
    how = random.randrange(7)
    if how == 0:
        del lines[number]
    elif how == 1:
        lines.insert(random.randrange(len(lines)), lines[number])
    elif how == 2:
        del fields[place]
    elif how == 3:
        fields.insert(place, random.choice(ODD_FIELDS).encode())
    else:
        fields[place] = random.choice(ODD_FIELDS).encode()
    if how > 1:
        lines[number] = separator.join(fields)
    return b"\n".join(lines)


def of_package(path, random):
    """The manifest, or the weights with a new checksum, of a packed model; or an entry of the zip."""
    with zipfile.ZipFile(path) as package:
        contents = {name: package.read(name) for name in package.namelist()}
    name = random.choice(list(contents))
    manifest = json.loads(contents["model.json"])
    if name == "model.json" or random.random() < 0.2:
        manifest = of_nested(manifest, random, text_keys=True)
    else:
        weights = io.BytesIO()
        loaded = torch.load(io.BytesIO(contents[name]), weights_only=True)
        torch.save(of_nested(loaded, random), weights)
        contents[name] = weights.getvalue()
        manifest["files"][name] = hashlib.sha256(contents[name]).hexdigest()
    contents["model.json"] = json.dumps(manifest).encode()
    if random.random() < 0.1:
        contents[random.choice(("x.pt", "../x", "model.pt"))] = b"x"
    compression = random.choice([zipfile.ZIP_STORED] * 9 + [zipfile.ZIP_DEFLATED])
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w", compression) as package:
        for name, content in contents.items():
            package.writestr(name, content)


def of_setting(setting, random):
    """A `KEY=VALUE` text for --set with an odd key or value."""
    key, _, value = setting.partition("=")
    if random.random() < 0.2:
        return random.choice((key, f"={value}", f"{key}.x={value}", f"{key}..a={value}", "=", f"{key[:-1]}={value}"))
    odd = random.choice((*ODD_YAML, *(yaml.safe_dump(each, width=10**6) for each in ODD_VALUES)))
    return f"{key}={odd}".removesuffix("\n").removesuffix("\n...")

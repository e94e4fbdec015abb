"""Fonts of a PDF as `pdffonts` lists them: name, and whether the file holds their letters."""

import re
import zlib

FONT_FILES = (b"/FontFile ", b"/FontFile2 ", b"/FontFile3 ")


def pdf_fonts(content):
    """{name: embedded} of every font; a composite one is what its descendant is, Type 3 draws its letters itself."""
    objects = dict(re.findall(rb"(?:^|\n)(\d+) 0 obj\s(.*?)\sendobj", content, re.DOTALL))
    for packed in [each for each in objects.values() if b"/ObjStm" in each]:
        objects |= _unpacked(packed)
    fonts = [each for each in objects.values() if re.search(rb"/Type\s*/Font\b(?!Descriptor)", each)]
    top = [font for font in fonts if b"/CIDFontType" not in font]
    return {_name(font): _embedded(font, objects) for font in top}


def _unpacked(packed):
    """Objects in a stream of objects."""
    head, _, stream = packed.partition(b"stream")
    data = zlib.decompress(stream.strip(b"\r\n").rpartition(b"endstream")[0].rstrip(b"\r\n"))
    first, count = (int(re.search(rb"/%s\s+(\d+)" % key, head).group(1)) for key in (b"First", b"N"))
    numbers = data[:first].split()
    starts = [first + int(start) for start in numbers[1 : 2 * count : 2]]
    ends = [*starts[1:], len(data)]
    return {number: data[a:b] for number, a, b in zip(numbers[: 2 * count : 2], starts, ends, strict=True)}


def _name(font):
    found = re.search(rb"/(?:BaseFont|Name)\s*/([^\s/>]+)", font)
    return found.group(1).decode() if found else "?"


def _embedded(font, objects):
    if b"/Type3" in font:
        return True
    inner = re.search(rb"/DescendantFonts\s*\[\s*(\d+) 0 R", font)
    inner = objects[inner.group(1)] if inner else font
    described = re.search(rb"/FontDescriptor\s+(\d+) 0 R", inner)
    return bool(described) and any(key in objects[described.group(1)] + b" " for key in FONT_FILES)

"""Damage: what transfers, spreadsheets, editors and programs do to the bytes of a delivery.

Every choice comes from a `random.Random`, so that Hypothesis can replay and shrink it.
"""

from __future__ import annotations

import base64
import gzip
import io
import re
import warnings
import zipfile
from collections.abc import Callable
from random import Random

Damage = Callable[[bytes, Random], bytes]

#: Pieces that break a parser in its own language, and characters that programs trip over.
PIECES = (
    *(b"\x00", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b"\n\n", b"\x0b\x0c"),
    *(b"\x1a", b"\x85", "\u2028\u0085".encode(), "\u00a0\u200b".encode(), b'"', b'""', b'"\n"'),
    *(b"'", b",", b";", b"\t", b"|", b"\\", b" ", b"-", b"=1+1", b"\x1b[31m", b"{", b"}"),
    *(b"[" * 99, b"]]>", b"<", b"</", b"&", b"&amp;", b"&#0;", b"<!--", b"<!DOCTYPE a [", b"%s%n"),
    *(b"\\u0000", b"\\ud800", "Đặng".encode(), "\U0001f600".encode(), b"\xc3", b"\xed\xa0\x80"),
    *(b"0", b"-1", b"1e999", b"NaN", b"null", b"9" * 40, b"99/99/9999", b"31/02/2025"),
    *(b"0001-01-01", b"A" * 70_000),
)
#: First bytes of Parquet and the old Excel form: lines mean nothing in there.
PACKED = (b"PA", b"\xd0\xcf")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1258", "latin-1", "cp437")
DELIMITERS = (b",", b";", b"\t", b"|")


def damaged(content: bytes, random: Random) -> bytes:
    """``content`` after one to three kinds of damage that fit its format."""
    kinds = list(BYTES)
    if content.startswith(b"PK"):
        kinds += [in_a_member, in_a_member, of_the_archive]
    elif content.startswith(b"\x1f\x8b"):
        kinds += [in_a_stream] * 8
    elif content[:2] not in PACKED:
        kinds += LINES
        kinds += TABLE if any(mark in content for mark in DELIMITERS) else []
        kinds += [in_a_base64] * 3 if b"<NOIDUNGFILE>" in content else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile, of a member that stands twice
        for _ in range(random.randint(1, 3)):
            content = random.choice(kinds)(content, random)
    return content


# --- bytes --------------------------------------------------------------------------------------


def _range(content: bytes, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(content))
    length = random.choice((1, 1, 2, 4, 16, 200, 4000))
    return start, min(len(content), start + random.randint(0, length))


def flip_a_bit(content: bytes, random: Random) -> bytes:
    if not content:
        return content
    place = random.randrange(len(content))
    return (
        content[:place] + bytes([content[place] ^ 1 << random.randrange(8)]) + content[place + 1 :]
    )


def insert(content: bytes, random: Random) -> bytes:
    place = random.randint(0, len(content))
    return content[:place] + random.choice(PIECES) + content[place:]


def cut_out(content: bytes, random: Random) -> bytes:
    start, end = _range(content, random)
    return content[:start] + content[end:]


def repeat(content: bytes, random: Random) -> bytes:
    start, end = _range(content, random)
    return content[:start] + content[start:end] * random.randint(2, 4) + content[end:]


def overwrite(content: bytes, random: Random) -> bytes:
    start, end = _range(content, random)
    return content[:start] + random.randbytes(end - start) + content[end:]


def cut_off(content: bytes, random: Random) -> bytes:
    return content[: random.randint(0, len(content))]


def append(content: bytes, random: Random) -> bytes:
    return content + random.choice((*PIECES, content, content[: len(content) // 2]))


BYTES: tuple[Damage, ...] = (flip_a_bit, insert, cut_out, repeat, overwrite, cut_off, append)

# --- lines --------------------------------------------------------------------------------------


def change_lines(content: bytes, random: Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    place, other = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(6)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(other, lines[place])
    elif kind == 2:
        lines[place], lines[other] = lines[other], lines[place]
    elif kind == 3:
        lines.insert(place, random.choice((b"\n", b"\r\n", b"\r", b" \n", b",,,\n", b";;;\r\n")))
    elif kind == 4:
        lines[place] = lines[place].rstrip(b"\r\n")
    else:
        random.shuffle(lines)
    return b"".join(lines)


def change_line_ends(content: bytes, random: Random) -> bytes:
    end = random.choice((b"\r\n", b"\r", b"\n", b"\n\r", b"\r\r\n", "\u2028".encode()))
    places = [found.start() for found in re.finditer(b"\r\n|\n|\r", content)]
    chosen = set(places if random.random() < 0.5 else places and [random.choice(places)])
    return re.sub(
        b"\r\n|\n|\r", lambda found: end if found.start() in chosen else found[0], content
    )


def change_encoding(content: bytes, random: Random) -> bytes:
    text = content.decode(random.choice(("utf-8", "utf-8-sig", "latin-1")), "replace")
    return text.encode(random.choice(ENCODINGS), "replace")


LINES: tuple[Damage, ...] = (change_lines, change_line_ends, change_encoding)

# --- tables -------------------------------------------------------------------------------------


def change_columns(content: bytes, random: Random) -> bytes:
    """Columns moved, doubled, dropped or renamed, in the header alone or in all rows."""
    mark = max(DELIMITERS, key=content.count)
    lines = [line.split(mark) for line in content.split(b"\n")]
    width = len(lines[0])
    place, other, kind = random.randrange(width), random.randrange(width), random.randrange(4)
    only_header = random.random() < 0.5
    for cells in lines[:1] if only_header else lines:
        if len(cells) != width:
            continue
        if kind == 0:
            cells.insert(other, cells.pop(place))
        elif kind == 1:
            cells.insert(other, cells[place])
        elif kind == 2:
            del cells[place]
        else:
            cells[place] = random.choice((cells[place].lower(), b" " + cells[place], *PIECES))
    return b"\n".join(mark.join(cells) for cells in lines)


def change_a_cell(content: bytes, random: Random) -> bytes:
    mark = max(DELIMITERS, key=content.count)
    lines = [line.split(mark) for line in content.split(b"\n")]
    cells = random.choice(lines)
    place, piece = random.randrange(len(cells)), random.choice(PIECES)
    quoted = b'"' + cells[place] + random.choice((b"", mark, b"\n", b"\r\n", b'""')) + b'"'
    cells[place] = random.choice(
        (b"", piece, cells[place] + piece, quoted, b'"' + cells[place], cells[place] + b'"')
    )
    return b"\n".join(mark.join(cells) for cells in lines)


TABLE: tuple[Damage, ...] = (change_columns, change_a_cell, change_a_cell)

# --- packed content -----------------------------------------------------------------------------


def in_a_base64(content: bytes, random: Random) -> bytes:
    """Damage in a document inside the envelope, which itself stays whole."""
    parts = list(re.finditer(rb"<NOIDUNGFILE>([^<]*)</NOIDUNGFILE>", content))
    if not parts:
        return content
    start, end = random.choice(parts).span(1)
    try:
        inner = base64.b64decode(content[start:end])
    except ValueError:
        return content
    inner = random.choice((*BYTES, *LINES))(inner, random)
    return content[:start] + base64.b64encode(inner) + content[end:]


def in_a_member(content: bytes, random: Random) -> bytes:
    """Damage in a member, in an archive that is whole."""
    members = _members(content)
    if not members:
        return content
    place = random.randrange(len(members))
    name, data = members[place]
    members[place] = (name, random.choice((*BYTES, *LINES, *TABLE))(data, random))
    return _archive(members)


def in_a_stream(content: bytes, random: Random) -> bytes:
    """Damage in the file that a whole gzip stream holds."""
    try:
        data = gzip.decompress(content)
    except Exception:  # damaged before: nothing to take apart
        return content
    return gzip.compress(random.choice((*BYTES, *LINES, *TABLE))(data, random), mtime=0)


def of_the_archive(content: bytes, random: Random) -> bytes:
    """A member dropped, doubled, renamed or added."""
    members = _members(content)
    if not members:
        return content
    place, kind = random.randrange(len(members)), random.randrange(4)
    name, data = members[place]
    if kind == 0:
        del members[place]
    elif kind == 1:
        members.append((name + random.choice(("", ".bak", "\u0301")), data))
    elif kind == 2:
        members[place] = (random.choice(("../" + name, "/" + name, "x" * 300, name.upper())), data)
    else:
        members.append((random.choice(("__MACOSX/._a", "Thumbs.db", "a.zip")), content))
    return _archive(members)


def _members(content: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return [(name, archive.read(name)) for name in archive.namelist()]
    except Exception:  # damaged before: nothing to take apart
        return []


def _archive(members: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()

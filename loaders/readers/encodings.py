"""Vietnamese text in the encodings that agencies still write, as UTF-8 in composed form (NFC).

``windows-1258`` and VNI write a tone as a mark of its own after the vowel, so decoding is not
done before the marks are composed. TCVN3 (TCVN 5712:1993, set 3; the "ABC" fonts) and VNI are
font encodings: a byte is what the font draws. TCVN3 has codes for the lower-case letters and the
capitals Ă Â Đ Ê Ô Ơ Ư only; every other accented capital is the lower-case code drawn by a
capital font (``.VnTimeH``). A text file does not carry its fonts, so nothing is guessed:
``tcvn3`` reads the codes as they stand, ``tcvn3-caps`` reads a file written in a capital font,
where every letter is a capital.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, overload

import polars as pl

from loaders.readers.base import ReaderError

BLOCK_BYTES = 256 * 1024
#: Text between two ASCII characters; more than this without one is no list of cells.
MAX_STRETCH = 64 * 1024
ALIASES = {
    "utf8": "utf-8",
    "utf-8-sig": "utf-8",
    "utf16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "cp1258": "windows-1258",
    "abc": "tcvn3",
    "tcvn-5712": "tcvn3",
    "vni-windows": "vni",
}
_GRAVE, _ACUTE, _TILDE, _HOOK, _DOT = "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"
_CIRCUMFLEX, _BREVE = "\u0302", "\u0306"
_TONES = {_GRAVE, _ACUTE, _TILDE, _HOOK, _DOT}
#: Signs that Windows programs put into text of every font: … ‘ ’ “ ” • – —
_SIGNS = {code: bytes([code]).decode("cp1252") for code in (0x85, *range(0x91, 0x98))}

_TCVN3 = {code: chr(code) for code in range(0x80)} | _SIGNS | {0xA0: "\xa0"}
_TCVN3 |= dict(zip(range(0xB0, 0xB5), (_GRAVE, _HOOK, _TILDE, _ACUTE, _DOT), strict=True))
for _first, _letters in {
    0xA1: "ĂÂÊÔƠƯĐăâêôơưđ",
    0xB5: "àảãáạ",
    0xBB: "ằẳẵắ",
    0xC6: "ặầẩẫấậè",
    0xCE: "ẻẽéẹềểễếệìỉ",
    0xDC: "ĩíịò",
    0xE1: "ỏõóọồổỗốộờởỡớợù",
    0xF1: "ủũúụừửữứựỳỷỹýỵ",
}.items():
    _TCVN3 |= dict(enumerate(_letters, _first))
_TCVN3_CAPS = {code: text.upper() for code, text in _TCVN3.items()}

#: VNI: the mark that the byte of a Latin-1 letter stands for after a vowel.
_VNI_TONES = {"ù": _ACUTE, "ø": _GRAVE, "û": _HOOK, "õ": _TILDE, "ï": _DOT}
_VNI_BREVES = {"ê": "", "é": _ACUTE, "è": _GRAVE, "ú": _HOOK, "ü": _TILDE, "ë": _DOT}
_VNI_CIRCUMFLEXES = {"â": "", "á": _ACUTE, "à": _GRAVE, "å": _HOOK, "ã": _TILDE, "ä": _DOT}
_VNI_LETTERS = {
    "ô": "ơ", "ö": "ư", "ñ": "đ", "î": "ỵ", "í": "í", "ì": "ì", "æ": "ỉ", "ó": "ĩ", "ò": "ị",
}  # fmt: skip
_VNI = {code: chr(code) for code in range(0xC0) if not 0x80 <= code < 0xA0} | _SIGNS
for _written, _meant in (
    *_VNI_TONES.items(),
    *((letter, _BREVE + tone) for letter, tone in _VNI_BREVES.items()),
    *((letter, _CIRCUMFLEX + tone) for letter, tone in _VNI_CIRCUMFLEXES.items()),
    *_VNI_LETTERS.items(),
):
    _VNI[ord(_written)] = _meant
    _VNI[ord(_written.upper())] = _meant.upper()


def _stray(marks: dict[str, str], bases: str) -> bytes:
    """Expression for a VNI mark that does not follow one of its vowels."""
    both = "".join(marks) + "".join(marks).upper()
    return b"(?<![%s])[%s]" % (bases.encode("latin-1"), both.encode("latin-1"))


_VNI_STRAY = re.compile(
    b"|".join(
        (
            _stray(_VNI_TONES, "aAeEoOuUyYôÔöÖ"),
            _stray(_VNI_BREVES, "aA"),
            _stray(_VNI_CIRCUMFLEXES, "aAeEoO"),
        )
    )
)


class _Charmap(codecs.IncrementalDecoder):
    """One byte, one piece of text; bytes without a meaning are refused."""

    def __init__(self, name: str, table: dict[int, str], stray: re.Pattern[bytes] | None) -> None:
        super().__init__("strict")
        self.name, self.table, self.stray = name, table, stray
        self.before = b""

    def decode(self, content: bytes, final: bool = False) -> str:  # type: ignore[override]
        before = len(self.before)
        if self.stray and (found := self.stray.search(self.before + content, before)):
            start = found.start() - before
            raise UnicodeDecodeError(self.name, content, start, start + 1, "mark without its vowel")
        self.before = content[-1:] or self.before
        return codecs.charmap_decode(content, "strict", self.table)[0]  # type: ignore[arg-type]


def _python(name: str) -> Callable[[], codecs.IncrementalDecoder]:
    return lambda: codecs.getincrementaldecoder(name)("strict")


#: Every encoding a contract may name, and its decoder.
DECODERS: dict[str, Callable[[], codecs.IncrementalDecoder]] = {
    "utf-8": _python("utf-8"),
    "utf-16": _python("utf-16"),
    "utf-16-le": _python("utf-16-le"),
    "utf-16-be": _python("utf-16-be"),
    "windows-1258": _python("cp1258"),
    "tcvn3": lambda: _Charmap("tcvn3", _TCVN3, None),
    "tcvn3-caps": lambda: _Charmap("tcvn3-caps", _TCVN3_CAPS, None),
    "vni": lambda: _Charmap("vni", _VNI, _VNI_STRAY),
}


def codec_name(encoding: str) -> str:
    """The encoding's own name for any usual spelling of it.

    Raises:
        ReaderError: an encoding that nobody can read here.
    """
    name = encoding.strip().lower().replace("_", "-")
    name = ALIASES.get(name, name)
    if name not in DECODERS:
        known = ", ".join(DECODERS)
        raise ReaderError(f"unknown encoding {encoding!r}; correct the contract, known: {known}")
    return name


def decode(content: bytes, encoding: str) -> str:
    """A whole text, composed.

    Raises:
        UnicodeDecodeError: bytes that mean nothing in the encoding.
        ReaderError: unknown encoding.
    """
    text = DECODERS[codec_name(encoding)]().decode(content, final=True)
    return unicodedata.normalize("NFC", text.removeprefix("\ufeff"))


def from_font(text: str, font: str) -> str:
    """Text that a workbook holds as the characters of a legacy font, such as ``B×nh`` for Bình.

    Text that is none of the font's (it is Unicode already) stays as it is.
    """
    try:
        return decode(text.encode("cp1252"), font)
    except UnicodeError:
        return text


def utf8_stream(path: Path, encoding: str) -> BinaryIO:
    """The text of a file as UTF-8 bytes without byte order mark, block by block.

    A UTF-8 file is given as it is (its validity and composition are checked where its cells are:
    ``undecodable``, ``nfc``); every other encoding is decoded, composed and re-encoded while it
    is read, in memory of one block.

    Raises:
        ReaderError: unknown encoding, ``utf-16`` without byte order mark; while reading: bytes
            that are not text in ``encoding``, with position and line.
    """
    name = codec_name(encoding)
    source = _open(path, name)
    if name == "utf-8":
        return source
    return io.BufferedReader(_Utf8(path, source, name), BLOCK_BYTES)  # type: ignore[return-value]


def undecodable(path: Path, encoding: str) -> str | None:
    """Where and why a file is not text in ``encoding``; None when it is.

    Reads the file once, block by block: for the message of an error that was met already.
    """
    name = codec_name(encoding)
    try:
        with _open(path, name) as source:
            for _ in _texts(path, source, name):
                pass
    except ReaderError as error:
        return str(error)
    return None


def _open(path: Path, name: str) -> BinaryIO:
    """The file behind its UTF-8 mark; the mark of UTF-16 is for its decoder."""
    source = path.open("rb")
    head = source.read(3)
    if name == "utf-16" and head[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        source.close()
        raise ReaderError(
            "not readable as utf-16: no byte order mark; name utf-16-le or utf-16-be in the "
            "contract, or ask for the file again"
        )
    source.seek(3 if name == "utf-8" and head == codecs.BOM_UTF8 else 0)
    return source


class _Utf8(io.RawIOBase):
    def __init__(self, path: Path, source: BinaryIO, name: str) -> None:
        self._source, self._texts, self._left = source, _texts(path, source, name), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            text = next(self._texts, None)
            if text is None:
                return 0
            self._left = text.encode()
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def close(self) -> None:
        self._source.close()
        super().close()


def _texts(path: Path, source: BinaryIO, name: str) -> Iterator[str]:
    """Composed text in pieces; a piece ends before an ASCII character, so no mark is cut off."""
    decoder, position, line, held = DECODERS[name](), 0, 1, ""
    is_start = True
    while True:
        block = source.read(BLOCK_BYTES)
        position += len(block)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            start = position - len(error.object) + error.start
            before = error.object[: error.start].decode(_line_codec(name), "ignore")
            hint = _hint(path, name)
            raise ReaderError(
                f"not readable as {name}: byte {start + 1} (line {line + before.count(chr(10))}) "
                f"is no text{hint}; ask for the file again"
            ) from error
        line += text.count("\n")
        held += text.removeprefix("\ufeff") if is_start else text
        is_start = is_start and not text
        if not block:
            yield unicodedata.normalize("NFC", held)
            return
        # An ASCII character is never composed with what stands before it.
        cut = next((i for i in range(len(held) - 1, -1, -1) if held[i] < "\x80"), 0)
        if len(held) - cut > MAX_STRETCH:
            raise ReaderError(
                f"not readable as {name}: {len(held) - cut} characters before byte {position} "
                f"(line {line}) hold no space, delimiter or line end{_hint(path, name)}; "
                "ask for the file again"
            )
        if cut:
            yield unicodedata.normalize("NFC", held[:cut])
            held = held[cut:]


def _line_codec(name: str) -> str:
    return name if name.startswith("utf-") else "latin-1"


def _hint(path: Path, name: str) -> str:
    found = detect(path)
    if found in (None, name):
        return ""
    return f"; the bytes look like {found}: if the whole file does, set encoding in the contract"


#: Characters that composition leaves alone whatever stands before them: Latin with its
#: Vietnamese block, usual punctuation, the đồng sign.
_COMPOSED = r"^[\x00-\u02ff\u1e00-\u1eff\u2010-\u2027\u20ab]*$"


@overload
def nfc(column: pl.Series) -> pl.Series: ...
@overload
def nfc(column: pl.Expr) -> pl.Expr: ...
def nfc(column: pl.Series | pl.Expr) -> pl.Series | pl.Expr:
    """A text column in composed form; only the rows that may need it are touched."""
    if isinstance(column, pl.Expr):
        return column.map_batches(nfc, return_dtype=pl.String)
    if (column.str.len_bytes() == column.str.len_chars()).all():
        return column
    rows = (~column.str.contains(_COMPOSED)).fill_null(False).arg_true()
    if rows.is_empty():
        return column
    return column.clone().scatter(rows, column.gather(rows).str.normalize("NFC"))


_SYLLABLE = re.compile(
    r"(?:ngh|ng|nh|ch|th|tr|ph|kh|gh|gi|qu|[bcdđghklmnpqrstvx])?"
    r"[aăâeêioôơuưy]{1,3}(ng|nh|ch|[cmnpt])?"
)
_SAMPLE_BYTES = 256 * 1024


def detect(path: Path) -> str | None:
    """The encoding that the bytes look like, None when nothing fits; a help for messages only.

    By byte order mark, then UTF-8, then zeros of UTF-16, then the legacy encoding in which the
    accented words are spelt as Vietnamese syllables are.
    """
    sample = _sample(path)
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    zeros = sample[::2].count(0), sample[1::2].count(0)
    if sum(zeros) > len(sample) / 8:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    try:
        # The sample may end inside a character.
        DECODERS["utf-8"]().decode(sample)
    except UnicodeDecodeError:
        scores = {name: _vietnamese(sample, name) for name in ("windows-1258", "tcvn3", "vni")}
        best = max(scores, key=scores.__getitem__)
        return best if scores[best] >= 0.75 else None
    return "utf-8"


def _sample(path: Path) -> bytes:
    """The beginning of a file, and the block where its first other than ASCII bytes are."""
    with path.open("rb") as source:
        sample = block = source.read(_SAMPLE_BYTES)
        while block.isascii() and (block := source.read(_SAMPLE_BYTES)):
            if not block.isascii():
                return sample + block
    return sample


def _vietnamese(sample: bytes, name: str) -> float:
    """Share of the accented words that are Vietnamese syllables when read so."""
    try:
        text = decode(sample, name).lower()
    except UnicodeDecodeError:
        return 0
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    return sum(map(_is_syllable, words)) / len(words) if words else 0


def _is_syllable(word: str) -> bool:
    tones, letters = [], []
    for character in unicodedata.normalize("NFD", word):
        (tones if character in _TONES else letters).append(character)
    shape = _SYLLABLE.fullmatch(unicodedata.normalize("NFC", "".join(letters)))
    if shape is None or len(tones) > 1:
        return False
    # A syllable that ends in a stop has the tone sắc or nặng.
    return shape[1] not in ("c", "ch", "p", "t") or tones in ([_ACUTE], [_DOT])

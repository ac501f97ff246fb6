"""Spellings of Vietnamese place names that mean the same, as keys to compare."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from loaders.contracts.cells import fold

#: Letters that look like Đ: Eth (old fonts and keyboards) and African D.
_LOOKALIKES = str.maketrans({"ð": "đ", "ɖ": "đ"})
_TONES = {"\u0300": "2", "\u0309": "3", "\u0303": "4", "\u0301": "5", "\u0323": "6"}
_VOWELS = frozenset("aăâeêioôơuưy")
#: Type → (full words, abbreviations that need a dot or a space after them).
_TYPES = {
    "thị trấn": (r"thị\s*trấn", r"t\.?t"),
    "thị xã": (r"thị\s*xã", r"t\.?x"),
    "thành phố": (r"thành\s*phố", r"t\.?p"),
    "đặc khu": (r"đặc\s*khu", r"đ\.?k"),
    "phường": ("phường", "p"),
    "xã": ("xã", "x"),
    "huyện": (r"huyện\s*đảo|huyện", "h"),
    "quận": ("quận", "q"),
    "tỉnh": ("tỉnh", "t"),
}
_TYPES_OF = {
    "commune": ("thị trấn", "đặc khu", "phường", "xã"),
    "district": ("thị xã", "thành phố", "huyện", "quận"),
    "province": ("thành phố", "tỉnh"),
}
_PREFIXES = {
    level: [
        (kind, re.compile(rf"^[\W_]*(?:(?:{words})[\s.:]*|(?:{short})(?:\s*[.:]\s*|\s+))(?=\w)"))
        for kind in kinds
        for words, short in [_TYPES[kind]]
    ]
    for level, kinds in _TYPES_OF.items()
}
_STATED_CODE = re.compile(r"^(.*\S)\s*\(\s*([0-9]{2,5})\s*\)$")
_WORD = re.compile(r"[^\W_]+")
#: One vowel after the consonants of a syllable: i and y are written at will there (Lý, Lí).
_ONSET_Y = re.compile(r"^(?:[bcdđghklmnpqrstvx]+|qu)y$")
#: First syllables of highland names of which Vietnamese texts have several spellings.
_DAK = frozenset({"đăk", "đak", "đâk", "dak", "dăk", "dâk"})
_SYLLABLE = re.compile(
    r"(?:ngh|ng|nh|gh|gi|kh|ch|ph|qu|th|tr|[bcdđghlmnrstvx]|k(?=[ieêy]))?"
    r"(?!oo|y[aăâeioôơuư])[aăâeêioôơuưy]{1,3}(?:ch|nh|ng|[cmnpt])?"
)


def split(written: str, level: str) -> tuple[str | None, str, str | None]:
    """Type in lower case, name, and the code that stands behind it in brackets.

    "TT. Châu Ổ (21040)" at level commune → ("thị trấn", "châu ổ", "21040").
    """
    name = fold(written).lower().translate(_LOOKALIKES)
    stated = None
    if match := _STATED_CODE.match(name):
        name, stated = match[1], match[2]
    for kind, prefix in _PREFIXES[level]:
        if match := prefix.match(name):
            return kind, name[match.end() :], stated
    return None, name, stated


def key(name: str) -> str:
    """Equal for spellings that mean the same name.

    Spaces and signs go; the tone stands behind the group of vowels that carries it.
    """
    letters = "".join(_syllable(word) for word in _words(name))
    result, tone = [], ""
    for letter in letters:
        if letter in _TONES:
            tone += _TONES[letter]
            continue
        if tone and letter not in _VOWELS:
            result.append(tone)
            tone = ""
        result.append(letter)
    return "".join(result) + tone


def bare_key(name: str) -> str:
    """For names of highland languages, whose Vietnamese marks vary: letters only, đ kept."""
    words = (_unmarked(_toneless(_syllable(word))) for word in _words(name))
    return "".join("ngok" if word == "ngoc" else word for word in words)


def is_highland(name: str) -> bool:
    """True where a syllable cannot be Vietnamese: Đắk Pxi, Kon Plông, Ngọk Bay, Pờ Ê."""
    return any(not _SYLLABLE.fullmatch(_toneless(word)) for word in _words(name))


def pairs(name: str) -> frozenset[str]:
    """Pairs of neighbouring letters without any mark, to find names that are near."""
    letters = "".join(_unmarked(_toneless(word)) for word in _words(name)).replace("đ", "d")
    return frozenset(letters[i : i + 2] for i in range(len(letters) - 1))


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    """Words in lower case: letters with their breve, circumflex or horn, tone marks behind."""
    text = fold(name).lower().translate(_LOOKALIKES)
    return tuple("".join(map(_letter_and_tone, word)) for word in _WORD.findall(text))


@lru_cache(maxsize=4096)
def _letter_and_tone(letter: str) -> str:
    decomposed = unicodedata.normalize("NFD", letter)
    tone = "".join(mark for mark in decomposed if mark in _TONES)
    rest = "".join(mark for mark in decomposed if mark not in _TONES)
    return unicodedata.normalize("NFC", rest) + tone


def _toneless(word: str) -> str:
    return "".join(letter for letter in word if letter not in _TONES)


def _unmarked(word: str) -> str:
    """No breve, circumflex or horn; đ is a letter of its own and stays."""
    return "".join(map(_base, word))


@lru_cache(maxsize=4096)
def _base(letter: str) -> str:
    return unicodedata.normalize("NFD", letter)[0]


def _syllable(word: str) -> str:
    plain = _toneless(word)
    if plain in _DAK:
        return "đăk"
    if plain == "ngok":
        return plain
    if plain.isascii() and plain.isdigit():
        return str(int(plain))
    return word.replace("y", "i") if _ONSET_Y.match(plain) else word

"""Vietnamese text in every encoding comes out as composed UTF-8, whatever the block borders."""

from __future__ import annotations

import codecs
import io
import re
import tracemalloc
import unicodedata
from itertools import chain
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.readers import ReaderError, encodings
from loaders.readers.encodings import codec_name, decode, detect, nfc, undecodable, utf8_stream

LOWER = (
    "àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩị"
    "òóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ"
)  # fmt: skip
ALPHABET = LOWER + LOWER.upper()
# What a text editor shows when the bytes are taken for Latin-1, letter by letter in LOWER's order.
TCVN3 = (
    "µ¸¶·¹¨»¾¼½Æ©ÇÊÈÉË®ÌÐÎÏÑªÒÕÓÔÖ×ÝØÜÞ"
    "ßãáâä«åèæçé¬êíëìîïóñòô\xadõøö÷ùúýûüþ"
)  # fmt: skip
TCVN3_CAPITALS = dict(zip("ĂÂĐÊÔƠƯ", "¡¢§£¤¥¦", strict=True))
VNI = re.findall(
    r"\S+",
    "aø aù aû aõ aï aê aè aé aú aü aë aâ aà aá aå aã aä ñ eø eù eû eõ eï eâ eà eá eå eã eä "
    "ì í æ ó ò oø où oû oõ oï oâ oà oá oå oã oä ô ôø ôù ôû ôõ ôï uø uù uû uõ uï "
    "ö öø öù öû öõ öï yø yù yû yõ î",
)
TO_TCVN3 = dict(zip(LOWER, TCVN3, strict=True)) | TCVN3_CAPITALS
TO_VNI = dict(zip(LOWER, VNI, strict=True))
TO_VNI |= {letter.upper(): written.upper() for letter, written in TO_VNI.items()}
TEXT = "Huyện Trà Bồng,Xã Ba Điền;người dân tộc thiểu số – Phường Nghĩa Lộ ưỡn ẹo\n"


def encode(text: str, encoding: str) -> bytes:
    """The bytes that a program of that encoding would have written."""
    if encoding == "windows-1258":
        # A vowel with its hat or horn is one code where there is one; the tone follows.
        letters: list[str] = []
        for character in text:
            decomposed = unicodedata.normalize("NFD", character)
            tone = "".join(c for c in decomposed if c in "\u0300\u0301\u0303\u0309\u0323")
            base = unicodedata.normalize("NFC", "".join(c for c in decomposed if c not in tone))
            letters.append(base + tone)
        return "".join(letters).encode("cp1258")
    table = {"tcvn3": TO_TCVN3, "tcvn3-caps": TO_TCVN3, "vni": TO_VNI}.get(encoding)
    if table is None:
        return text.encode(encoding)
    signs = {"–": b"\x96"}
    return b"".join(signs.get(c) or table.get(c, c).encode("latin-1") for c in text)


def stream(path: Path, content: bytes, encoding: str) -> str:
    path.write_bytes(content)
    with utf8_stream(path, encoding) as source:
        return source.read().decode()


def test_the_alphabet_has_134_letters() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == 134
    assert unicodedata.is_normalized("NFC", ALPHABET)


@pytest.mark.parametrize("letter", ALPHABET)
def test_every_letter_in_windows_1258_and_vni(letter: str) -> None:
    for encoding in ("windows-1258", "vni"):
        assert decode(encode(letter, encoding), encoding) == letter


@pytest.mark.parametrize("letter", [*LOWER, *TCVN3_CAPITALS])
def test_every_letter_that_tcvn3_has(letter: str) -> None:
    assert decode(encode(letter, "tcvn3"), "tcvn3") == letter
    assert decode(encode(letter, "tcvn3"), "tcvn3-caps") == letter.upper()


def test_known_spellings() -> None:
    assert decode("Céng hßa x· héi chñ nghÜa ViÖt Nam".encode("latin-1"), "tcvn3") == (
        "Cộng hòa xã hội chủ nghĩa Việt Nam"
    )
    assert decode("ñoäc laäp – töï do".encode("cp1252"), "vni") == "độc lập – tự do"
    # Capital fonts draw either case as a capital; marks of either case belong to the vowel.
    assert decode("QUNG NG·i".encode("latin-1").replace(b"QU", b"QU\xb6"), "tcvn3-caps") == (
        "QUẢNG NGÃI"
    )
    assert decode("ÑAKLAÉK Aùi".encode("latin-1"), "vni") == "ĐAKLẮK Ái"


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "windows-1258", "vni"])
def test_block_borders_cut_no_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, encoding: str
) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", block)
    assert stream(tmp_path / "a", encode(TEXT * 3, encoding), encoding) == TEXT * 3


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(st.sampled_from(ALPHABET + "abcdefghiklmnopqrstuvxy ,;\n\t0123456789–")),
    st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be", "windows-1258", "vni"]),
    st.integers(1, 40),
)
def test_any_text_survives_the_way_there_and_back(
    tmp_path: Path, text: str, encoding: str, block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "BLOCK_BYTES", block)
        assert stream(tmp_path / "a", encode(text, encoding), encoding) == text


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from(LOWER + "ĂÂĐÊÔƠƯabcKH ,\n")))
def test_any_lower_case_text_survives_tcvn3(text: str) -> None:
    assert decode(encode(text, "tcvn3"), "tcvn3") == text


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=300), st.sampled_from(sorted(encodings.DECODERS)))
def test_any_bytes_are_text_or_refused(tmp_path: Path, content: bytes, encoding: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    detect(path)
    reason = undecodable(path, encoding)
    assert reason is None or reason.startswith(f"not readable as {encoding}: ")
    if encoding == "utf-8":
        return
    try:
        with utf8_stream(path, encoding) as source:
            assert unicodedata.is_normalized("NFC", source.read().decode())
    except ReaderError:
        return


def test_utf8_is_given_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(TEXT, "utf-8")
    with utf8_stream(path, "UTF_8") as plain:
        assert isinstance(plain.raw, io.FileIO)  # type: ignore[attr-defined]
    assert stream(path, codecs.BOM_UTF8 + TEXT.encode(), "utf-8-sig") == TEXT
    assert stream(path, codecs.BOM_UTF8 + TEXT.encode(), "utf-8") == TEXT
    assert stream(path, TEXT.encode(), "utf-8-sig") == TEXT
    assert stream(path, codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "utf-16-le") == TEXT


@pytest.mark.parametrize(
    ("content", "encoding", "where"),
    [
        (b"a,b\n1,\xe9t\xe9\n", "utf-8", r"byte 7 \(line 2\)"),
        (b"a,b\n1,\xe0\n", "tcvn3", r"byte 7 \(line 2\)"),
        (b"a\nb\n\nx\xf9", "vni", r"byte 7 \(line 4\)"),
        (b"a\n\x9e", "windows-1258", r"byte 3 \(line 2\)"),
        ("a\nb".encode("utf-16-le") + b"\x00", "utf-16-le", r"byte 7 \(line 2\)"),
        (b"\xff\xfea\x00\n\x00\x00\xdca\x00", "utf-16", r"byte 7 \(line 2\)"),
    ],
)
def test_wrong_bytes_are_named_by_position_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, encoding: str, where: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    for block in (1, 5, 1024):
        monkeypatch.setattr(encodings, "BLOCK_BYTES", block)
        with pytest.raises(ReaderError, match=f"not readable as {encoding}: {where}"):
            raise ReaderError(undecodable(path, encoding))


def test_encodings_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("a".encode("utf-16-le"))
    with pytest.raises(ReaderError, match=r"no byte order mark; name utf-16-le"):
        utf8_stream(path, "utf-16")
    with pytest.raises(ReaderError, match=r"unknown encoding 'klingon'.*known: utf-8"):
        codec_name("klingon")
    path.write_bytes(b"\xb8" * 200_000)
    with pytest.raises(ReaderError, match="hold no space, delimiter or line end"):
        raise ReaderError(undecodable(path, "tcvn3"))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "windows-1258", "tcvn3", "vni"]
)
def test_detect_helps_the_message(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"" if encoding.startswith("utf-16") else b"code,value\n" * 50_000)
    with path.open("ab") as file:
        file.write(encode(TEXT, encoding))
    assert detect(path) == encoding
    if encoding in ("windows-1258", "tcvn3", "vni"):
        reason = undecodable(path, "utf-8")
        assert reason and f"the bytes look like {encoding}: if the whole file does" in reason


def test_detect_says_nothing_where_nothing_fits(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("Müller,Straße,déjà vu\n".encode("latin-1"))
    assert detect(path) is None


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    row = encode(TEXT, "vni")
    path.write_bytes(row * (24_000_000 // len(row)))
    tracemalloc.start()
    with utf8_stream(path, "vni") as source:
        while source.read(1 << 16):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * 1024 * 1024 < path.stat().st_size


def test_nfc_composes_what_needs_it_and_touches_nothing_else() -> None:
    texts = [None, "", "abc", "Quảng Ngãi", unicodedata.normalize("NFD", "Quảng Ngãi"), "Ω\u2126"]
    expected = [text and unicodedata.normalize("NFC", text) for text in texts]
    series = pl.Series("a", texts)
    assert nfc(series).to_list() == expected
    assert series.to_list() == texts
    assert series.to_frame().select(nfc(pl.col("a"))).to_series().to_list() == expected
    composed = pl.Series("a", ["Quảng Ngãi – 5 ₫", None])
    assert nfc(composed) is composed
    assert nfc(pl.Series("a", ["ascii"])).to_list() == ["ascii"]


def test_characters_that_nfc_skips_need_no_composition() -> None:
    ranges = chain(range(0x300), range(0x1E00, 0x1F00), range(0x2010, 0x2028), [0x20AB])
    for character in map(chr, ranges):
        for text in (character, "a" + character, "ư" + character):
            assert unicodedata.is_normalized("NFC", text)

"""Row ends of delimited text, whatever stands between quotes and whichever quotes are text."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.readers.quoting import Quoting

QUOTING = Quoting('"', ";")


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ("a;b\nc", "a;b\n"),
        ('a;"b\nc";d\ne;"f\n', 'a;"b\nc";d\n'),
        # Inches are text: no quote is opened in the middle of a cell.
        ('a;12" ống\nc;d\ne', 'a;12" ống\nc;d\n'),
        ('a;12" ống\nc;"d\ne";f\ng', 'a;12" ống\nc;"d\ne";f\n'),
        ('a;12" ống\nc;"d\ne', 'a;12" ống\n'),
        ('"a" "b\nc', '"a" "b\n'),
        ('"a""\nb";c\nd', '"a""\nb";c\n'),
        ('"', ""),
        ("a\rb\rc", "a\rb\r"),
    ],
)
def test_the_last_whole_row(data: str, rows: str) -> None:
    assert data.encode()[: QUOTING.end_of_rows(data.encode())].decode() == rows


@pytest.mark.parametrize(
    ("data", "is_open"),
    [('a;"b', True), ('a;"b"', False), ('a;b"', False), ('a;b"\n"c', True), ('"a""', True)],
)
def test_an_open_quote(data: str, is_open: bool) -> None:
    assert QUOTING.is_open(data.encode()) == is_open


def test_without_quotes_a_quote_is_text() -> None:
    quoting = Quoting(None, ";")
    assert quoting.end_of_rows(b'a;"b\nc";d') == 5
    assert not quoting.is_open(b'a;"b')


@given(st.text(st.sampled_from('a;"\n'), max_size=30))
def test_rows_are_those_of_another_parser(data: str) -> None:
    """Cut where a row ends, both parts give the rows that the whole gives."""
    end = QUOTING.end_of_rows(data.encode())
    parts = [
        list(csv.reader(io.StringIO(part), delimiter=";")) for part in (data[:end], data[end:])
    ]
    assert parts[0] + parts[1] == list(csv.reader(io.StringIO(data), delimiter=";"))

"""XML from outside, streamed: no DTD, no entities, no network, no tree that grows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from lxml import etree

from loaders.readers.base import ReaderError

#: lxml's own limits stay on (huge_tree off): 10 MB in one text, a few thousand levels.
SAFE_OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
MAX_DEPTH = 100


class Readable(Protocol):
    """What lxml reads from: a file, a member of an archive."""

    def read(self, size: int = -1, /) -> bytes: ...


def events(stream: Readable, what: str) -> Iterator[tuple[str, Any]]:
    """("start" | "end", element) in document order; the caller forgets elements as it goes.

    Args:
        what: the document in the words of an error message, such as "the XML file".

    Raises:
        ReaderError: not well-formed, cut off, or with a DTD.
    """
    depth = 0
    try:
        for event, element in etree.iterparse(stream, events=("start", "end"), **SAFE_OPTIONS):
            if event == "start":
                if depth == 0:
                    refuse_dtd(element, what)
                depth += 1
                if depth > MAX_DEPTH:
                    raise ReaderError(
                        f"{what} has more than {MAX_DEPTH} levels: no delivery has; ask the "
                        "sender what this file is"
                    )
            else:
                depth -= 1
            yield event, element
    except etree.XMLSyntaxError as error:
        raise ReaderError(
            f"{what} is not well-formed XML{place(error)}: damaged or cut off on the way; "
            "ask for the file again"
        ) from error


def refuse_dtd(root: Any, what: str) -> None:
    """Refuse a document type: entities can read files of this machine or fill its memory."""
    if root.getroottree().docinfo.internalDTD is not None:
        raise ReaderError(
            f"{what} brings a document type (<!DOCTYPE>), which no delivery needs and which can "
            "hide entities; ask for the file without it"
        )


def forget(element: Any) -> None:
    """Free an element that has been read, and those before it."""
    element.clear()
    parent = element.getparent()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]


def place(error: etree.XMLSyntaxError) -> str:
    """Where the parser stopped; its message may quote the text, which may be personal."""
    line, column = error.position
    return f" (line {line}, column {column})" if line else ""

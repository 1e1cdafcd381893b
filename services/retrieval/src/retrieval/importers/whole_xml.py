"""XML that is read as a whole and trusted with nothing: no DTD, no entities, no network."""

from typing import Any

from lxml import etree

from retrieval.importers.records import RecordRefused

__all__ = ["wary_parser", "xml_root"]


def wary_parser(*, recover: bool = False) -> Any:
    """Return a parser that opens nothing; with ``recover`` it goes on after what is not well-formed."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=recover)


def xml_root(data: bytes) -> Any:
    """Return the root element; raise ``RecordRefused``."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise RecordRefused("XML with a DTD or entities is refused")
    try:
        return etree.fromstring(data, wary_parser())
    except etree.XMLSyntaxError as error:
        raise RecordRefused(f"not well-formed XML (line {error.lineno})") from None

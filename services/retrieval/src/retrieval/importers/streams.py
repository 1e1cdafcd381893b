"""Files read piece by piece, whatever they claim to be: limits of size and swelling, and XML without entities.

A compressed file may swell to ``MAX_STREAM_BYTES`` and, beyond the first megabytes, to ``_MOST_SWELLING`` times its
size: published XML and JSON compress ten- to twentyfold, a bomb a thousandfold.
"""

import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from lxml import etree

from retrieval.importers.records import RecordRefused

__all__ = [
    "MAX_STREAM_BYTES",
    "Bounded",
    "elements",
    "member_bytes",
    "members",
    "open_bounded",
    "open_member",
    "open_zip",
    "parse_xml",
]

MAX_STREAM_BYTES = 4 * 1024 * 1024 * 1024
_MOST_SWELLING = 200
_FREE_BYTES = 16 * 1024 * 1024
_MOST_MEMBERS = 200_000
_OPENERS: Mapping[str, Callable[[Path], Any]] = {".gz": gzip.GzipFile, ".xz": lzma.LZMAFile}


class Bounded(io.RawIOBase):
    """A stream that ends with ``RecordRefused`` at a limit, or where it is damaged."""

    def __init__(self, inner: IO[bytes], limit: int) -> None:
        super().__init__()
        self._inner = inner
        self._limit = limit
        self._read = 0

    def readable(self) -> bool:
        """See ``io.IOBase``."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See ``io.RawIOBase``."""
        try:
            data = self._inner.read(len(buffer))
        except (OSError, EOFError, zlib.error, lzma.LZMAError, BadZipFile, RuntimeError) as error:
            # RuntimeError is what zipfile says of a password; a message of others may hold a path.
            raise RecordRefused(f"damaged or cut off ({type(error).__name__})") from None
        self._read += len(data)
        if self._read > self._limit:
            raise RecordRefused(f"swells to more than {self._limit} bytes")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """See ``io.IOBase``."""
        self._inner.close()
        super().close()


@contextmanager
def open_bounded(path: Path, limit: int = MAX_STREAM_BYTES) -> Iterator[IO[bytes]]:
    """Open a file, also one that is compressed with gzip or xz; raise ``RecordRefused`` where it cannot be read."""
    try:
        size = path.stat().st_size
        opener = _OPENERS.get(path.suffix)
        inner = path.open("rb") if opener is None else opener(path)
    except OSError as error:
        raise RecordRefused(f"cannot be read ({error.strerror})") from None
    bound = limit if opener is None else min(limit, max(_FREE_BYTES, size * _MOST_SWELLING))
    with io.BufferedReader(Bounded(inner, bound), 1 << 16) as stream:
        yield stream


def elements(stream: IO[bytes], *tags: str, wanted: Callable[[Any], bool] | None = None) -> Iterator[Any]:
    """Yield each element of ``tags`` when it has been read whole; it is emptied when the next one is asked for.

    With ``wanted`` the elements that it is false for stay as they are, for those around them, as do earlier siblings.
    A DOCTYPE that names a DTD elsewhere is passed over (it is not fetched); one that declares entities is refused.
    """
    try:
        first = True
        for _, element in etree.iterparse(
            stream,
            events=("end",),
            tag=tags,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        ):
            if first:
                _refuse_entities(element.getroottree())
                first = False
            if wanted is not None and not wanted(element):
                continue
            yield element
            element.clear()
            while wanted is None and element.getprevious() is not None:
                del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        raise RecordRefused(f"not well-formed XML (line {error.lineno})") from None


def parse_xml(data: bytes) -> Any:
    """Return the root of a small document; raise ``RecordRefused`` for entities and for what is not well-formed."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise RecordRefused(f"not well-formed XML (line {error.lineno})") from None
    _refuse_entities(root.getroottree())
    return root


def _refuse_entities(tree: Any) -> None:
    declared = tree.docinfo.internalDTD
    if declared is not None and next(declared.iterentities(), None) is not None:
        raise RecordRefused("XML that declares entities is refused")


@contextmanager
def open_zip(source: Path | IO[bytes]) -> Iterator[ZipFile]:
    """Open a zip to read its members; raise ``RecordRefused`` when it is none."""
    try:
        opened = ZipFile(source)
    except (OSError, BadZipFile, ValueError, NotImplementedError) as error:
        raise RecordRefused(f"not a zip that can be read ({type(error).__name__})") from None
    with opened:
        if len(opened.infolist()) > _MOST_MEMBERS:
            raise RecordRefused(f"a zip of more than {_MOST_MEMBERS} members")
        yield opened


def members(opened: ZipFile, *suffixes: str) -> list[ZipInfo]:
    """Return the members that end in ``suffixes``, in the order of their names.

    Nothing is ever written under a member's name; one that reaches outside is refused all the same, since whoever made
    it meant harm.
    """
    found = [one for one in opened.infolist() if not one.is_dir() and one.filename.lower().endswith(suffixes)]
    for one in found:
        path = PurePosixPath(one.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise RecordRefused("a zip with a member that reaches outside of it")
    return sorted(found, key=lambda one: one.filename)


@contextmanager
def open_member(opened: ZipFile, member: ZipInfo, limit: int = MAX_STREAM_BYTES) -> Iterator[IO[bytes]]:
    """Open a member to be read piece by piece; raise ``RecordRefused`` when it is too long, locked or damaged."""
    if member.flag_bits & 0x1:
        raise RecordRefused("locked with a password")
    try:
        inner = opened.open(member)
    except (OSError, BadZipFile, RuntimeError, NotImplementedError) as error:
        raise RecordRefused(f"damaged or cut off ({type(error).__name__})") from None
    bound = min(limit, max(_FREE_BYTES, member.compress_size * _MOST_SWELLING))
    with io.BufferedReader(Bounded(inner, bound), 1 << 16) as stream:
        yield stream


def member_bytes(opened: ZipFile, member: ZipInfo, limit: int) -> bytes:
    """Return the bytes of a member; raise as ``open_member`` does."""
    with open_member(opened, member, limit) as stream:
        return stream.read()

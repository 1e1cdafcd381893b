"""JSON that is too long to hold: its items one by one, with a limit of nesting, below which the parser is safe."""

import io
import re
from collections.abc import Iterator
from typing import IO, Any

import ijson

from retrieval.importers.records import RecordRefused

__all__ = ["json_items"]

_MOST_DEPTH = 100
_MOST_TEXT = 2 * 1024 * 1024
# A bracket, or a text: to its end, or to the end of what is there (within an escape, perhaps).
_TOKEN = re.compile(rb'[\[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*("|\\?\Z)', re.S)


def json_items(stream: IO[bytes], path: str) -> Iterator[dict[str, Any]]:
    """Yield the objects at ``path`` (``item``: those of a list, ``results.item``: those of a list called results).

    Raises ``RecordRefused`` for what is not JSON, nested without end, or holds something else there.
    """
    try:
        for item in ijson.items(io.BufferedReader(_Nesting(stream), 1 << 16), path, use_float=True):
            if not isinstance(item, dict):
                raise RecordRefused("not a list of objects")
            yield item
    except (ijson.JSONError, UnicodeDecodeError, OverflowError):
        raise RecordRefused("not JSON") from None


class _Nesting(io.RawIOBase):
    """Passes bytes on as long as brackets outside of strings are not nested deeper than ``_MOST_DEPTH``."""

    def __init__(self, inner: IO[bytes]) -> None:
        super().__init__()
        self._inner = inner
        self._begun = b""
        self._text_bytes = 0
        self._depth = 0

    def readable(self) -> bool:
        """See ``io.IOBase``."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See ``io.RawIOBase``."""
        data = self._inner.read(len(buffer))
        self._look_at(data)
        buffer[: len(data)] = data
        return len(data)

    def _look_at(self, data: bytes) -> None:
        begun, self._begun = self._begun, b""
        for token in _TOKEN.finditer(begun + data):
            found = token[0]
            if found in b"[{":
                self._depth += 1
            elif found in b"]}":
                self._depth -= 1
            elif token[1] == b'"':
                self._text_bytes = 0
            else:
                self._begun = b'"' + token[1]
                self._text_bytes += len(found)
            if self._depth > _MOST_DEPTH:
                raise RecordRefused("nested without end")
            if self._text_bytes > _MOST_TEXT:
                raise RecordRefused(f"a text of more than {_MOST_TEXT} bytes in it")

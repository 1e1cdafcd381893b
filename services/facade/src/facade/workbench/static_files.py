"""The page's own style sheet and script, served under names that change with their content."""

import hashlib
from importlib.resources import files
from typing import Final

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

__all__ = ["STATIC_PATH", "static_file", "static_url"]

STATIC_PATH: Final = "/workbench/static"
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def _read() -> dict[str, bytes]:
    folder = files("facade.workbench") / "static"
    return {item.name: item.read_bytes() for item in folder.iterdir() if item.name.rpartition(".")[2] in _TYPES}


_FILES: Final = _read()
_DIGESTS: Final = {name: hashlib.sha256(content).hexdigest()[:16] for name, content in _FILES.items()}


def static_url(name: str) -> str:
    """Return the address of a file; raise ``KeyError`` when there is none of that name."""
    return f"{STATIC_PATH}/{_DIGESTS[name]}/{name}"


@get(STATIC_PATH + "/{digest:str}/{name:str}", sync_to_thread=False)
def static_file(digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """Answer one file; what stands under one address never changes, so browsers may keep it."""
    if _DIGESTS.get(name) != digest:
        raise NotFoundException
    return Response(
        _FILES[name],
        media_type=_TYPES[name.rpartition(".")[2]],
        headers={
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        },
    )

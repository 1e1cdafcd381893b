"""Renders templates, each page with headers that let it load nothing from elsewhere."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response

__all__ = ["ICON", "STYLE", "html"]

_TEMPLATES = Environment(
    loader=PackageLoader("sandbox_ehr.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_FILES = files("sandbox_ehr.pages") / "templates"
STYLE = (_FILES / "style.css").read_text()
ICON = (_FILES / "icon.svg").read_text()


def html(
    template: str,
    *,
    status: int = 200,
    frames: str = "'none'",
    framed_by: str = "'none'",
    form_targets: str = "",
    **values: Any,
) -> Response[str]:
    """Render ``template``.

    ``frames`` are the sources the page may show in a frame, ``framed_by`` who may show it; ``form_targets`` are
    origins its forms may lead to besides this one (a browser holds a redirect after a form to them, too).
    """
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"form-action 'self' {form_targets}; frame-src {frames}; frame-ancestors {framed_by}"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    content = _TEMPLATES.get_template(template).render(**values)
    return Response(content, status_code=status, headers=headers, media_type=MediaType.HTML)

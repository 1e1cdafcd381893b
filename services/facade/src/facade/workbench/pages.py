"""Renders pages, each with the headers that keep it in the EHR's frame and out of caches."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response

from facade.ehr.registry import EhrRegistry
from facade.workbench.static_files import static_url

__all__ = ["any_registered_ehr", "message_page", "page", "security_headers"]


def _moment(value: datetime) -> str:
    return f"{value.astimezone(UTC):%d %b %Y, %H:%M} UTC"


_TEMPLATES = Environment(
    loader=PackageLoader("facade.workbench"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals["static_url"] = static_url
_TEMPLATES.filters["moment"] = _moment


def any_registered_ehr(ehrs: EhrRegistry) -> tuple[str, ...]:
    """Return every origin that may frame a page which is not about one EHR's launch."""
    return tuple(sorted({origin for ehr in ehrs for origin in ehr.frame_ancestors}))


def security_headers(frame_ancestors: Iterable[str], form_targets: Iterable[str] = ()) -> dict[str, str]:
    """Return the headers of every page: nothing inline, nothing from elsewhere, framed by nobody else, not kept.

    ``form_targets`` are further origins that a form of the page may be sent to.
    """
    ancestors = " ".join(frame_ancestors) or "'none'"
    targets = " ".join(["'self'", *form_targets])
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            f"form-action {targets}; base-uri 'none'; frame-ancestors {ancestors}"
        ),
        "Cache-Control": "no-store",
        # Not no-referrer: with it browsers send "Origin: null" with our own forms.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }


def page(
    template: str,
    frame_ancestors: Iterable[str],
    *,
    status_code: int = 200,
    form_targets: Iterable[str] = (),
    **values: Any,
) -> Response[str]:
    """Return a page; every value is escaped."""
    return Response(
        _TEMPLATES.get_template(template).render(**values),
        status_code=status_code,
        media_type="text/html; charset=utf-8",
        headers=security_headers(frame_ancestors, form_targets),
    )


def message_page(
    frame_ancestors: Iterable[str],
    *,
    status_code: int,
    title: str,
    advice: str,
    back: str | None = None,
    items: Iterable[str] = (),
) -> Response[str]:
    """Return a page that says what did not work and what to do; ``back`` is an address of ours to go on from."""
    return page(
        "message.html",
        frame_ancestors,
        status_code=status_code,
        title=title,
        advice=advice,
        back=back,
        items=tuple(items),
    )

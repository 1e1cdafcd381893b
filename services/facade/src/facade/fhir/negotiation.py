"""What a client may ask of the form of an answer: R4 in JSON, and how strictly its parameters are read."""

import re
from collections.abc import Iterable

from fhir_support.errors import BadRequest, NotAcceptable

__all__ = ["FHIR_JSON", "is_strict", "require_json", "without_form"]

FHIR_JSON = "application/fhir+json; charset=utf-8"
_JSON_FORMATS = frozenset({"json", "application/json", "application/fhir+json", "text/json"})
_JSON_RANGES = frozenset({"*/*", "application/*", "application/json", "application/fhir+json", "text/json"})
_VERSIONS = frozenset({"4.0", "4.0.1"})
FORM_PARAMETERS = frozenset({"_format", "_pretty"})


def require_json(accept: str | None, pairs: Iterable[tuple[str, str]]) -> None:
    """Raise ``NotAcceptable`` unless JSON of R4 will do; ``_format`` counts before ``Accept`` (R4, 3.1.0.1.11)."""
    formats = [value for name, value in pairs if name == "_format"]
    wanted = [formats[-1].replace(" ", "+")] if formats else (accept or "*/*").split(",")
    known = _JSON_FORMATS if formats else _JSON_RANGES
    if not any(_acceptable(one, known) for one in wanted):
        raise NotAcceptable


def without_form(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the parameters that are not about the answer's form."""
    return [pair for pair in pairs if pair[0] not in FORM_PARAMETERS]


def is_strict(prefer: str | None) -> bool:
    """Whether an unknown parameter is an error (R4, 3.1.1.4.7): it is, unless lenient handling is preferred."""
    handling = re.findall(r"(?:^|[,;\s])handling=([A-Za-z]+)", prefer or "")
    if handling and handling[-1] not in ("strict", "lenient"):
        raise BadRequest("Prefer: handling is strict or lenient.")
    return not handling or handling[-1] == "strict"


def _acceptable(media: str, known: frozenset[str]) -> bool:
    kind, *parameters = (part.strip().lower() for part in media.split(";"))
    named = dict(parameter.partition("=")[::2] for parameter in parameters)
    quality, version = named.get("q", "1"), named.get("fhirversion", "4.0").strip('"')
    return kind in known and version in _VERSIONS and not re.fullmatch(r"0(\.0{0,3})?", quality)

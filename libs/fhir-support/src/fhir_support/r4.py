"""The only module that imports ``fhir.resources``: it validates R4 resources and returns them without nulls.

The R4B classes are used because ``fhir.resources`` 8 ships no plain R4; every resource written here has the same
structure in both. Structure is judged here; bindings and invariants are judged by the official validator.
"""

import json
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

__all__ = ["Resource", "ResourceInvalid", "check", "dump", "summary_elements", "validated"]

Resource = dict[str, Any]


class ResourceInvalid(ValueError):
    """A resource is not valid R4. ``paths`` are the elements at fault; values are never repeated."""

    def __init__(self, resource_type: str, paths: tuple[str, ...]) -> None:
        super().__init__(f"{resource_type} is not valid at {', '.join(paths)}")
        self.resource_type = resource_type
        self.paths = paths


def validated(resource: Resource) -> Resource:
    """Return ``resource`` as R4 JSON without nulls; raise ``ResourceInvalid`` when its structure is wrong."""
    answer: Resource = json.loads(_parsed(resource).model_dump_json())
    return answer


def check(resource: Resource) -> None:
    """Raise ``ResourceInvalid`` as ``validated`` does, in less than half its time: nothing is written out again."""
    _parsed(resource)


def _parsed(resource: Resource) -> Any:
    resource_type = str(resource.get("resourceType", "resource"))
    try:
        model = get_fhir_model_class(resource_type)
    except (KeyError, ValueError, LookupError):
        raise ResourceInvalid("resource", ("resourceType",)) from None
    try:
        return model.model_validate(resource)
    except ValidationError as error:
        paths = tuple(".".join(str(part) for part in item["loc"]) or "." for item in error.errors())
        raise ResourceInvalid(resource_type, paths) from None
    except (TypeError, ValueError):
        # fhir.resources raises plain errors from validators of choice types.
        raise ResourceInvalid(resource_type, (".",)) from None


def summary_elements(resource_type: str) -> tuple[str, ...]:
    """Return the elements of a type that belong to its summary (R4, "Summary"); raise ``LookupError``."""
    return tuple(get_fhir_model_class(resource_type).summary_elements_sequence())


def dump(resource: Resource) -> bytes:
    """Return the JSON bytes of a resource that ``validated`` returned or that came from a server."""
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()

"""How people are named on the page, from their FHIR resources."""

from typing import Any

__all__ = ["display_name", "practitioner_name"]


def display_name(resource: dict[str, Any]) -> str | None:
    """Return the official name of a Patient or Practitioner as it is written, or None where there is none."""
    names = [name for name in resource.get("name", []) if isinstance(name, dict)]
    for use in ("official", "usual", None):
        for name in names:
            if use is None or name.get("use") == use:
                text = name.get("text") or " ".join(
                    [*name.get("prefix", []), *name.get("given", []), *([name["family"]] if "family" in name else [])]
                )
                if text:
                    return str(text)
    return None


def practitioner_name(resource: dict[str, Any]) -> str | None:
    """Return the name of a Practitioner, or of the practitioner a PractitionerRole is about."""
    if resource.get("resourceType") == "PractitionerRole":
        display = resource.get("practitioner", {}).get("display")
        return str(display) if display else None
    return display_name(resource)

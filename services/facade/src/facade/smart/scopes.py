"""Which scopes a launch asks for, and what is missing when the EHR grants fewer."""

from facade.fhir.scopes import parse_scope, parse_scopes

__all__ = ["not_granted", "requested_scopes"]

_MEANING = {
    "Patient": "the patient's name, birth date and sex",
    "Encounter": "the hospital stay",
    "Practitioner": "your name",
    "PractitionerRole": "your name",
    "online_access": "staying signed in after the EHR's token has run out",
    "offline_access": "staying signed in after the EHR's token has run out",
    "fhirUser": "who you are",
}
# What says which launch it is shows itself in the launch context, and in no other place.
_CONTEXT = frozenset({"openid", "launch", "launch/patient", "launch/encounter"})


def requested_scopes(registered: str, *, standalone: bool) -> str:
    """The registered scopes; a standalone launch asks the EHR to let the user choose the patient and the stay."""
    if not standalone:
        return registered
    kept = [scope for scope in registered.split() if scope != "launch"]
    return " ".join([*kept, *(scope for scope in ("launch/patient", "launch/encounter") if scope not in kept)])


def not_granted(requested: str, granted: str) -> tuple[str, ...]:
    """Return in plain words what was asked for and not granted; v1 and v2 syntax are compared by their meaning."""
    given, resources = set(granted.split()), parse_scopes(granted)
    missing: dict[str, None] = {}
    for text in requested.split():
        wanted = parse_scope(text)
        if wanted is None:
            if text not in given and text not in _CONTEXT:
                missing[_MEANING.get(text, text)] = None
            continue
        covered = {
            letter
            for scope in resources
            if scope.context == wanted.context
            and scope.resource_type in ("*", wanted.resource_type)
            and scope.parameters in ((), wanted.parameters)
            for letter in scope.letters
        }
        if not set(wanted.letters) <= covered:
            missing[_MEANING.get(wanted.resource_type, text)] = None
    return tuple(missing)

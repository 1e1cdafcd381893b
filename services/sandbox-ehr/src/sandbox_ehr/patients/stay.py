"""Opens and closes a stay: the changes of an Encounter on admission and discharge."""

from datetime import datetime
from typing import Any

__all__ = ["discharge", "reopen"]

Resource = dict[str, Any]

_HOME = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/discharge-disposition",
            "code": "home",
            "display": "Home",
        }
    ],
    "text": "Home",
}
_DISCHARGER = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
    "code": "DIS",
    "display": "discharger",
}


def discharge(encounter: Resource, now: datetime, discharger: str | None) -> Resource:
    """Return the encounter finished at ``now``, sent home by the practitioner ``discharger``."""
    moment = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    history = [
        {**entry, "period": {**entry["period"], "end": moment}} if "end" not in entry["period"] else entry
        for entry in encounter.get("statusHistory", [])
    ]
    closed = encounter | {
        "status": "finished",
        "period": encounter.get("period", {}) | {"end": moment},
        "hospitalization": encounter.get("hospitalization", {}) | {"dischargeDisposition": _HOME},
        "statusHistory": [*history, {"status": "finished", "period": {"start": moment}}],
    }
    if discharger:
        leaving = {"type": [{"coding": [_DISCHARGER]}], "individual": {"reference": discharger}}
        closed["participant"] = [*encounter.get("participant", []), leaving]
    return closed


def reopen(resource: Resource) -> Resource:
    """Return an encounter as it was before discharge, and a diagnosis of it as it was before it resolved."""
    if resource["resourceType"] == "Condition" and "abatementDateTime" in resource:
        status = {"coding": [resource["clinicalStatus"]["coding"][0] | {"code": "active", "display": "Active"}]}
        kept = {name: value for name, value in resource.items() if name != "abatementDateTime"}
        return kept | {"clinicalStatus": status}
    if resource["resourceType"] != "Encounter":
        return resource
    kept = {name: value for name, value in resource.items() if name != "length"}
    hospitalization = dict(resource.get("hospitalization", {}))
    hospitalization.pop("dischargeDisposition", None)
    participants = [p for p in resource.get("participant", []) if not _discharges(p)]
    history = [entry for entry in resource.get("statusHistory", []) if entry["status"] != "finished"]
    opened = kept | {
        "status": "in-progress",
        "period": {"start": resource["period"]["start"]},
        "participant": participants,
        "statusHistory": [_without_end(e) if e["status"] == "in-progress" else e for e in history],
        "location": [_present(location) for location in resource.get("location", [])],
    }
    opened.pop("hospitalization", None)
    return opened | ({"hospitalization": hospitalization} if hospitalization else {})


def _discharges(participant: Resource) -> bool:
    return any(c.get("code") == "DIS" for t in participant.get("type", []) for c in t.get("coding", []))


def _without_end(entry: Resource) -> Resource:
    return entry | {"period": {"start": entry["period"]["start"]}}


def _present(location: Resource) -> Resource:
    moved = location | {"status": "active"}
    if "period" in moved:
        moved["period"] = {name: value for name, value in moved["period"].items() if name != "end"}
    return moved

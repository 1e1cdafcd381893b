"""RiskAssessment of a triage: what was proposed, how sure, why, which published rules applied, and what was missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_support.identifiers import deterministic_id, identifier
from service_contracts.triage import FiredRule, NotScored, TriageAnswer, TriageModel

from facade.resources.narrative import xhtml
from facade.resources.vocabulary import AIAST, OUR_SYSTEM, ai_meta, coding, concept, instant_text, reference

__all__ = [
    "NOT_SCORED_WORDS",
    "AssessmentContext",
    "assessment_of",
    "decided",
    "rule_text",
    "triage_device",
    "triage_device_id",
    "triage_provenance",
]

_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_LEVEL = f"{OUR_SYSTEM}/esi-level"
_PLACE = f"{OUR_SYSTEM}/triage-proposal"
_OUTCOME_WORDS = {
    "critical": "Critical-care admission or death",
    "hospitalisation": "Hospitalisation",
}
NOT_SCORED_WORDS: dict[NotScored, str] = {
    NotScored.POSTURE: "No score: this site runs the suite as software that is no medical device.",
    NotScored.LATE: "No score: the model was late. Only the safety floor was checked.",
    NotScored.MODEL_UNAVAILABLE: "No score: no model is served now. Only the safety floor was checked.",
    NotScored.TOO_LITTLE: "No score: too little is known of the patient. Only the safety floor was checked.",
}
_POSTURE_WORDS = {
    "non-device": "Posture: non-device. Time-critical decision support is off.",
    "time-critical": "Posture: time-critical decision support. The nurse decides.",
}


@dataclass(frozen=True)
class AssessmentContext:
    """Of whom and when; ``patient`` and ``encounter`` are absolute references to the EHR."""

    id: str
    patient: str
    encounter: str | None
    at: datetime


def assessment_of(context: AssessmentContext, answer: TriageAnswer, ehr_base: str) -> dict[str, Any]:
    """Return the preliminary RiskAssessment of ``answer``."""
    notes = _notes(answer)
    resource: dict[str, Any] = {
        "resourceType": "RiskAssessment",
        "id": context.id,
        "meta": ai_meta(),
        "text": xhtml([_headline(answer), *notes]),
        "identifier": [identifier(context.id)],
        "status": "preliminary",
        "method": concept(
            coding(f"{OUR_SYSTEM}/triage-method", "esi-model-above-floor"),
            text="Emergency Severity Index: model under a published safety floor",
        ),
        "code": concept(coding(f"{OUR_SYSTEM}/assessment", "triage"), text="Emergency triage"),
        "subject": reference(context.patient),
        "occurrenceDateTime": instant_text(context.at),
        "note": [{"text": note} for note in notes],
    }
    if context.encounter is not None:
        resource["encounter"] = reference(context.encounter)
    if answer.model is not None and answer.not_scored is None:
        resource["performer"] = reference(f"Device/{triage_device_id(answer.model)}")
    basis = dict.fromkeys(f"{ehr_base}/{one.source.reference}" for one in answer.used if one.source is not None)
    if basis:
        resource["basis"] = [reference(one) for one in basis]
    if predictions := _predictions(answer):
        resource["prediction"] = predictions
    return resource


def _headline(answer: TriageAnswer) -> str:
    if answer.level is None:
        return "No level is proposed."
    by = "proposed" if answer.not_scored is None else "by the safety floor alone"
    return f"ESI level {answer.level} {by}."


def _notes(answer: TriageAnswer) -> list[str]:
    notes = [NOT_SCORED_WORDS[answer.not_scored]] if answer.not_scored is not None else []
    notes += [f"Safety floor, level {rule.level}: {rule_text(rule)}" for rule in answer.floor_rules]
    if answer.model_level is not None and answer.level is not None and answer.level < answer.model_level:
        notes.append(f"The safety floor raised the model's level {answer.model_level} to {answer.level}.")
    if answer.prediction_set:
        levels = ", ".join(map(str, answer.prediction_set))
        notes.append(f"Levels that cover {answer.coverage or 0:.0%} of such visits: {levels}.")
    notes += [
        f"{one.words} ({one.direction.replace('-', ' ')}, {abs(one.weight):.2f} levels)." for one in answer.reasons
    ]
    notes += [f"Corrected: {one.name} {one.given} was taken as {one.taken} ({one.why})." for one in answer.corrections]
    notes += list(answer.warnings)
    if answer.missing:
        notes.append(f"Not known: {', '.join(answer.missing)}.")
    notes.append(_POSTURE_WORDS[answer.posture])
    return notes


def rule_text(rule: FiredRule) -> str:
    """Return a rule with its source."""
    source = rule.source
    return f"{rule.words}. {source.publisher}, {source.title}, {source.version}, {source.section}."


def _predictions(answer: TriageAnswer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for level, probability in enumerate(answer.probabilities, start=1):
        places = [coding(_PLACE, "proposed-by-model", "Proposed by the model")] if level == answer.model_level else []
        places += (
            [coding(_PLACE, "in-prediction-set", "In the prediction set")] if level in answer.prediction_set else []
        )
        found.append(
            {
                "outcome": concept(coding(_LEVEL, str(level)), text=f"ESI level {level}"),
                "probabilityDecimal": round(probability, 4),
                **({"qualitativeRisk": concept(*places)} if places else {}),
            }
        )
    if answer.floor_rules:
        rule = answer.floor_rules[0]
        found.append(
            {
                "outcome": concept(coding(_LEVEL, str(rule.level)), text=f"ESI level {rule.level}, at least"),
                "qualitativeRisk": concept(coding(_PLACE, "safety-floor", "Raised by the safety floor")),
                "rationale": " ".join(rule_text(one) for one in answer.floor_rules),
            }
        )
    found += [
        {
            "outcome": concept(coding(f"{OUR_SYSTEM}/triage-outcome", one.outcome), text=_OUTCOME_WORDS[one.outcome]),
            "probabilityDecimal": one.probability,
        }
        for one in answer.risks
    ]
    return found


def decided(resource: dict[str, Any], level: int, reason: str | None, who: str | None, at: datetime) -> dict[str, Any]:
    """Return the assessment as it stands after a nurse decided."""
    words = f"Nurse's level: {level}." + (f" Reason: {reason}" if reason else "")
    note = {"time": instant_text(at), "text": words, **({"authorReference": reference(who)} if who else {})}
    kept = [one for one in resource.get("note", []) if not str(one.get("text", "")).startswith("Nurse's level: ")]
    return {**resource, "status": "final", "note": [*kept, note]}


def triage_device_id(model: TriageModel) -> str:
    """Return the UUID of the Device of a model: the same weights and rules are the same Device."""
    return deterministic_id("device", model.model_dump_json())


def triage_device(model: TriageModel) -> dict[str, Any]:
    """Return the Device that stands for the model, the shared encoder and the floor, with their digests."""
    own = triage_device_id(model)
    versions = (
        ("model", f"{model.name} {model.version}"),
        ("model digest", model.digest),
        ("adapter digest", model.adapter_digest),
        ("encoder", model.encoder),
        ("encoder digest", model.encoder_digest),
        ("safety floor digest", model.floor_digest),
    )
    return {
        "resourceType": "Device",
        "id": own,
        "identifier": [identifier(own)],
        "status": "active",
        "deviceName": [{"name": f"Triage model {model.name} {model.version}", "type": "model-name"}],
        "type": concept(coding(f"{OUR_SYSTEM}/device-type", "triage-model"), text="Artificial intelligence"),
        "version": [{"type": concept(text=name), "value": value} for name, value in versions],
    }


def triage_provenance(context: AssessmentContext, model: TriageModel, inputs: Sequence[str]) -> dict[str, Any]:
    """Return the Provenance of an assessment: the Device that made it, and what it was made from."""
    own = deterministic_id("resource", context.id, "provenance")
    return {
        "resourceType": "Provenance",
        "id": own,
        "target": [reference(f"RiskAssessment/{context.id}")],
        "occurredDateTime": instant_text(context.at),
        "recorded": instant_text(context.at),
        "reason": [concept(AIAST)],
        "activity": concept(coding("http://terminology.hl7.org/CodeSystem/v3-DataOperation", "CREATE", "create")),
        "agent": [
            {
                "type": concept(coding(_PARTICIPANT, "assembler", "Assembler")),
                "who": reference(f"Device/{triage_device_id(model)}"),
            }
        ],
        "entity": [{"role": "source", "what": reference(one)} for one in inputs],
    }

"""What triage keeps and answers has no error by the official validator."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from facade.operations.table import definition
from facade.operations.triage import _answer
from facade.resources.risk_assessment import (
    AssessmentContext,
    assessment_of,
    decided,
    triage_device,
    triage_provenance,
)
from service_contracts.chart import ChartReference
from service_contracts.triage import (
    Correction,
    FiredRule,
    NotScored,
    OutcomeRisk,
    Posture,
    RuleSource,
    TriageAnswer,
    TriageInputUsed,
    TriageModel,
    TriageReason,
)

from .official import OfficialValidator, errors_of

pytestmark = pytest.mark.timeout(900)  # the first run fetches and builds the validator

_AT = datetime(2026, 11, 25, 10, 30, 15, 123_000, tzinfo=UTC)
_EHR = "https://ehr.test/fhir"
_DIGEST = f"sha256:{'0' * 64}"
_MODEL = TriageModel(
    name="esi", version="1", digest=_DIGEST, adapter_digest=_DIGEST, encoder="MiniLM", encoder_digest=_DIGEST,
    floor_digest=_DIGEST,
)  # fmt: skip
_RULE = FiredRule(
    id="oxygen-danger-zone",
    level=2,
    words="Oxygen saturation below 92 % & <rising>",
    source=RuleSource(title="A handbook", publisher="A publisher", version="5", section="Figure 2-2"),
)
_SCORED = TriageAnswer(
    level=2,
    model_level=3,
    probabilities=(0.02, 0.2, 0.5, 0.2, 0.08),
    prediction_set=(2, 3, 4),
    coverage=0.9,
    risks=(
        OutcomeRisk(outcome="critical", probability=0.0312),
        OutcomeRisk(outcome="hospitalisation", probability=0.2),
    ),
    reasons=(TriageReason(input="age", words="Age: 80 years", direction="more-urgent", weight=0.41),),
    floor_rules=(_RULE,),
    used=(
        TriageInputUsed(name="age", value="80 years"),
        TriageInputUsed(name="pulse", value="90", unit="/min", source=ChartReference(reference="Observation/o-1")),
    ),
    missing=("temperature",),
    corrections=(Correction(name="temperature", given="98.6 Cel", taken="37 Cel", why="read as [degF]"),),
    warnings=("In this group the model tells critical apart less well.",),
    posture=Posture.TIME_CRITICAL,
    model=_MODEL,
)
_ANSWERS = {
    "scored": _SCORED,
    "floor alone": TriageAnswer(
        level=2, not_scored=NotScored.LATE, floor_rules=(_RULE,), posture=Posture.TIME_CRITICAL
    ),
    "nothing": TriageAnswer(not_scored=NotScored.POSTURE, posture=Posture.NON_DEVICE),
}


def _context(encounter: bool = True) -> AssessmentContext:
    own = "0f0e8a3c-4f0f-5d4a-9a1e-0123456789ab"
    return AssessmentContext(own, f"{_EHR}/Patient/p-1", f"{_EHR}/Encounter/e-1" if encounter else None, _AT)


def _resources() -> dict[str, dict[str, Any]]:
    found = {}
    for name, answer in _ANSWERS.items():
        assessment = assessment_of(_context(name == "scored"), answer, _EHR)
        found[f"assessment: {name}"] = assessment
        found[f"answer: {name}"] = _answer(assessment, answer, _EHR)
        found[f"decided: {name}"] = decided(assessment, 3, "Looks well <now>", f"{_EHR}/Practitioner/n-1", _AT)
    found["device"] = triage_device(_MODEL)
    found["provenance"] = triage_provenance(_context(), _MODEL, [f"{_EHR}/Encounter/e-1", f"{_EHR}/Observation/o-1"])
    for name in ("triage", "triage-feedback"):
        found[f"definition: {name}"] = definition(name)
    return found


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=lambda one: float(one) if isinstance(one, Decimal) else str(one)))


@pytest.mark.parametrize("resource", _resources().values(), ids=_resources().keys())
def test_a_resource_is_valid_by_itself(official: OfficialValidator, resource: dict[str, Any]) -> None:
    assert [str(error) for error in errors_of(official.judge(_plain(resource)))] == []

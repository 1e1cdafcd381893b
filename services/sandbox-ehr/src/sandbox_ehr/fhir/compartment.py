"""The Patient compartment of R4: which resources are about one patient."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["PATIENT_COMPARTMENT", "SHARED_TYPES", "in_compartment"]

# CompartmentDefinition/patient of R4 4.0.1, as element paths. Task is not in it, but its ``for`` says whom it is
# about; without it an app held to one patient could not see the work on that patient's document.
PATIENT_COMPARTMENT: Mapping[str, tuple[str, ...]] = {
    "Account": ("subject",),
    "AdverseEvent": ("subject",),
    "AllergyIntolerance": ("patient", "recorder", "asserter"),
    "Appointment": ("participant.actor",),
    "AppointmentResponse": ("actor",),
    "AuditEvent": ("agent.who", "entity.what"),
    "Basic": ("subject", "author"),
    "BodyStructure": ("patient",),
    "CarePlan": ("subject", "activity.detail.performer"),
    "CareTeam": ("subject", "participant.member"),
    "ChargeItem": ("subject",),
    "Claim": ("patient", "payee.party"),
    "ClaimResponse": ("patient",),
    "ClinicalImpression": ("subject",),
    "Communication": ("subject", "sender", "recipient"),
    "CommunicationRequest": ("subject", "sender", "recipient", "requester"),
    "Composition": ("subject", "author", "attester.party"),
    "Condition": ("subject", "asserter"),
    "Consent": ("patient",),
    "Coverage": ("policyHolder", "subscriber", "beneficiary", "payor"),
    "CoverageEligibilityRequest": ("patient",),
    "CoverageEligibilityResponse": ("patient",),
    "DetectedIssue": ("patient",),
    "DeviceRequest": ("subject", "performer"),
    "DeviceUseStatement": ("subject",),
    "DiagnosticReport": ("subject",),
    "DocumentManifest": ("subject", "author", "recipient"),
    "DocumentReference": ("subject", "author"),
    "Encounter": ("subject",),
    "EnrollmentRequest": ("candidate",),
    "EpisodeOfCare": ("patient",),
    "ExplanationOfBenefit": ("patient", "payee.party"),
    "FamilyMemberHistory": ("patient",),
    "Flag": ("subject",),
    "Goal": ("subject",),
    "Group": ("member.entity",),
    "ImagingStudy": ("subject",),
    "Immunization": ("patient",),
    "ImmunizationEvaluation": ("patient",),
    "ImmunizationRecommendation": ("patient",),
    "Invoice": ("subject", "recipient"),
    "List": ("subject", "source"),
    "MeasureReport": ("subject",),
    "Media": ("subject",),
    "MedicationAdministration": ("subject", "performer.actor"),
    "MedicationDispense": ("subject", "receiver"),
    "MedicationRequest": ("subject",),
    "MedicationStatement": ("subject",),
    "MolecularSequence": ("patient",),
    "NutritionOrder": ("patient",),
    "Observation": ("subject", "performer"),
    "Person": ("link.target",),
    "Procedure": ("subject", "performer.actor"),
    "Provenance": ("target",),
    "QuestionnaireResponse": ("subject", "author"),
    "RelatedPerson": ("patient",),
    "RequestGroup": ("subject", "action.participant"),
    "ResearchSubject": ("individual",),
    "RiskAssessment": ("subject",),
    "Schedule": ("actor",),
    "ServiceRequest": ("subject", "performer"),
    "Specimen": ("subject",),
    "SupplyDelivery": ("patient",),
    "SupplyRequest": ("requester",),
    "Task": ("for",),
    "VisionPrescription": ("patient",),
}
# Resources that are about nobody and that patient data refers to.
SHARED_TYPES = frozenset(
    {"Device", "HealthcareService", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole"}
)


def in_compartment(resource: Mapping[str, Any], patient: str, base_url: str) -> bool:
    """Whether ``resource`` belongs to ``Patient/{patient}``, referred to relatively or by this server's address."""
    resource_type = resource.get("resourceType")
    if resource_type == "Patient":
        return resource.get("id") == patient
    names = {f"Patient/{patient}", f"{base_url}/Patient/{patient}"}
    paths = PATIENT_COMPARTMENT.get(str(resource_type), ())
    return any(reference in names for path in paths for reference in _at(resource, path.split(".")))


def _at(node: Any, path: list[str]) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _at(child, path)
    elif isinstance(node, dict):
        if path:
            yield from _at(node.get(path[0]), path[1:])
        elif isinstance(node.get("reference"), str):
            yield node["reference"].split("/_history/")[0]

"""Who and what a document comes from: the Device that wrote it, its inputs, and who verified it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from fhir_support.identifiers import deterministic_id, effect_tag, identifier
from service_contracts.chart import Chart, ChartReference
from service_contracts.drafts import ModelIdentity
from service_contracts.reconciliation import ReconciledDocument

from facade.resources.composition import DocumentContext
from facade.resources.ids import resource_id
from facade.resources.narrative import source_text
from facade.resources.vocabulary import AIAST, OUR_SYSTEM, coding, concept, instant_text, reference

__all__ = ["device", "device_id", "draft_provenance", "signature_provenance"]

_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def device_id(model: ModelIdentity) -> str:
    """Return the UUID of the Device of a model: the same weights are the same Device in every document."""
    return deterministic_id("device", model.model_dump_json())


def device(model: ModelIdentity) -> dict[str, Any]:
    """Return the Device that stands for base, adapter and template, with their digests."""
    versions = (
        ("adapter", f"{model.adapter} {model.adapter_version}"),
        ("adapter digest", model.adapter_digest),
        ("base", model.base),
        ("base digest", model.base_digest),
        ("template", f"{model.template} {model.template_version}"),
    )
    return {
        "resourceType": "Device",
        "identifier": [identifier(device_id(model))],
        "status": "active",
        "deviceName": [{"name": f"{model.adapter} on {model.base}", "type": "model-name"}],
        "type": concept(coding(f"{OUR_SYSTEM}/device-type", "language-model"), text="Artificial intelligence"),
        "version": [{"type": concept(text=name), "value": value} for name, value in versions],
    }


def draft_provenance(
    context: DocumentContext, document: ReconciledDocument, chart: Chart, targets: Sequence[str]
) -> dict[str, Any]:
    """Return the Provenance of a draft: its Device, its chart items and the facts that checked it."""
    facts = [
        {
            "role": "quotation",
            "what": {
                "identifier": {"system": "https://preceptor.health/fhir/fact", "value": fact.id},
                "display": source_text(fact.source),
            },
        }
        for fact in document.facts
    ]
    inputs = [{"role": "source", "what": reference(_versioned(item))} for item in _inputs(chart)]
    return {
        "resourceType": "Provenance",
        "meta": {"tag": [effect_tag(resource_id(context.document_id, "provenance"))]},
        "target": [reference(target) for target in targets],
        "occurredDateTime": instant_text(context.at),
        "recorded": instant_text(context.at),
        "reason": [concept(AIAST)],
        "activity": concept(coding("http://terminology.hl7.org/CodeSystem/v3-DataOperation", "CREATE", "create")),
        "agent": [
            {
                "type": concept(coding(_PARTICIPANT, "assembler", "Assembler")),
                "who": reference(context.urn("device")),
            }
        ],
        "entity": inputs + facts,
    }


def signature_provenance(
    document_id: str, targets: Sequence[str], signer: dict[str, str], at: datetime
) -> dict[str, Any]:
    """Return the Provenance of a signature: the practitioner who verified the text."""
    return {
        "resourceType": "Provenance",
        "meta": {"tag": [effect_tag(resource_id(document_id, "signature-provenance"))]},
        "target": [reference(target) for target in targets],
        "occurredDateTime": instant_text(at),
        "recorded": instant_text(at),
        "activity": concept(
            coding("http://terminology.hl7.org/CodeSystem/v3-DocumentCompletion", "LA", "legally authenticated")
        ),
        "agent": [{"type": concept(coding(_PARTICIPANT, "verifier", "Verifier")), "who": signer}],
    }


def _inputs(chart: Chart) -> Iterable[ChartReference]:
    yield chart.encounter
    yield chart.patient
    for items in (
        chart.conditions,
        chart.procedures,
        chart.medications,
        chart.allergies,
        chart.observations,
        chart.orders,
    ):
        for item in items:
            yield item.source


def _versioned(item: ChartReference) -> str:
    return f"{item.reference}/_history/{item.version}" if item.version else item.reference

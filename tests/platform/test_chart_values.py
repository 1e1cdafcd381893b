"""Values that are missing, unknown, unsafe or contradictory are refused before anything is rendered."""

import json
from typing import Any

import pytest
from adapter_serving.settings import AdapterServingSettings
from facade.ehr.registry import Ehr
from facade.settings import FacadeSettings
from helm_python import HelmError
from pydantic_settings import BaseSettings
from reconciliation.settings import ReconciliationSettings
from retrieval.settings import RetrievalSettings
from triage.settings import TriageSettings

from .chart import CHART, EHR, OPENSEARCH, VALUES, changed, render

# What the chart itself sets; everything else of a settings class may be set by a value.
OWN: dict[tuple[str, type[BaseSettings]], set[str]] = {
    ("facade", FacadeSettings): {
        "public_base_url",
        "database_url",
        "ehrs_file",
        "reconciliation_url",
        "retrieval_url",
        "triage_url",
        "host",
        "port",
        "instance",
    },
    ("adapterServing", AdapterServingSettings): {"model_dir", "replicas"},
    ("retrieval", RetrievalSettings): {
        "index_dir",
        "engine",
        "opensearch_url",
        "opensearch_ca_file",
        "opensearch_certificate_file",
        "opensearch_key_file",
        "opensearch_tenant",
    },
    ("reconciliation", ReconciliationSettings): {"drafting_app", "retrieval_app"},
    ("triage", TriageSettings): {"encoder_dir", "replicas"},
}

REFUSED: dict[str, dict[str, Any]] = {
    "nothing at all": {},
    "an unknown value": changed(("facde", {})),
    "an unknown value inside a part": changed(("facade.replica", 2)),
    "a setting that the facade does not have": changed(("facade.settings", {"sesion_idle_s": 1})),
    "a setting that the chart sets": changed(("facade.settings", {"database_url": "sqlite://"})),
    "a setting of the wrong type": changed(("facade.settings", {"session_idle_s": "long"})),
    "no Vault": changed(("vault.address", "")),
    "a Vault without TLS": changed(("vault.address", "http://vault:8200")),
    "a token that lives for days": changed(("vault.tokenExpirationSeconds", 999_999)),
    "no public address": changed(("facade.publicBaseUrl", "")),
    "a public address without TLS": changed(("facade.publicBaseUrl", "http://preceptor.hospital.test")),
    "no database": changed(("facade.database.existingClaim", "")),
    "two databases": changed(
        ("facade.database.url", "postgresql+asyncpg://db/preceptor"), ("facade.database.cidrs", ["192.0.2.1/32"])
    ),
    "OpenSearch without TLS": changed(("retrieval.opensearch", {**OPENSEARCH, "url": "http://opensearch:9200"})),
    "OpenSearch without a certificate": changed(("retrieval.opensearch", {**OPENSEARCH, "certificateSecret": ""})),
    "OpenSearch at no address": changed(("retrieval.opensearch", {**OPENSEARCH, "cidrs": []})),
    "a certificate for no OpenSearch": changed(("retrieval.opensearch", {"certificateSecret": "search"})),
    "a password in the address of the database": changed(
        ("facade.database", {"url": "postgresql+asyncpg://user:secret@db/preceptor", "cidrs": ["192.0.2.1/32"]})
    ),
    "PostgreSQL whose addresses nobody names": changed(
        ("facade.database", {"url": "postgresql+asyncpg://db/preceptor"})
    ),
    "two processes on one SQLite file": changed(("facade.replicas", 2)),
    "no replica": changed(("facade.replicas", 0)),
    "no EHR": changed(("facade.ehrs", [])),
    "an EHR without a FHIR base": changed(("facade.ehrs", [{k: v for k, v in EHR.items() if k != "fhir_base"}])),
    "an EHR without TLS": changed(("facade.ehrs", [{**EHR, "fhir_base": "http://ehr.hospital.test/fhir"}])),
    "the sandbox EHR": changed(("facade.ehrs", [{**EHR, "id": "sandbox"}])),
    "an EHR on this machine": changed(("facade.ehrs", [{**EHR, "issuer": "https://localhost:8100/fhir"}])),
    "an EHR with a secret": changed(("facade.ehrs", [{**EHR, "client_secret": "x"}])),
    "EHRs whose addresses nobody names": changed(("facade.ehrCidrs", [])),
    "the whole internet": changed(("facade.ehrCidrs", ["0.0.0.0/0"])),
    "an address that is no range": changed(("vault.cidrs", ["vault.test"])),
    "a floating tag": changed(("image.facade.tag", "latest")),
    "neither tag nor digest": changed(("image.ray.tag", "")),
    "a digest that is none": changed(("image.ray.digest", "sha256:abc")),
    "an Ingress without a certificate": changed(("ingress", {"enabled": True, "host": "preceptor.hospital.test"})),
    "an ingress controller that is any pod": changed(("ingress.controllerPodLabels", None)),
    "no claim for the model": changed(("adapterServing.modelClaim", "")),
    "no claim for the encoder": changed(("triage.modelClaim", "")),
    "a posture that is none": changed(("triage.settings", {"posture": "device"})),
    "no claim for the index": changed(("retrieval.indexClaim", "")),
    "a resource that is no quantity": changed(("retrieval.resources", {"limits": {"memory": "much"}})),
    "a security context": changed(("facade.securityContext", {"privileged": True})),
}


@pytest.mark.parametrize("values", REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_value_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(HelmError):
        render(values)


def test_the_values_that_are_changed_here_are_accepted() -> None:
    assert render(VALUES)


def _properties(*path: str) -> dict[str, Any]:
    schema = json.loads((CHART / "values.schema.json").read_text())
    for part in path:
        schema = schema["properties"][part]
    properties: dict[str, Any] = schema["properties"]
    return properties


@pytest.mark.parametrize(("part", "settings"), OWN, ids=[part for part, _ in OWN])
def test_the_schema_knows_every_setting_of_a_service_and_no_other(part: str, settings: type[BaseSettings]) -> None:
    assert set(_properties(part, "settings")) == set(settings.model_fields) - OWN[part, settings]


def test_the_schema_describes_an_ehr_as_the_facade_does() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    item = schema["properties"]["facade"]["properties"]["ehrs"]["items"]
    assert set(item["properties"]) == set(Ehr.model_fields)
    assert set(item["required"]) == {name for name, field in Ehr.model_fields.items() if field.is_required()}


def _open_objects(schema: Any, path: str = "") -> list[str]:
    if isinstance(schema, list):
        return [found for item in schema for found in _open_objects(item, path)]
    if not isinstance(schema, dict):
        return []
    found = (
        [path]
        if "properties" in schema and schema.get("type") == "object" and schema.get("additionalProperties") is not False
        else []
    )
    return found + [one for key, value in schema.items() for one in _open_objects(value, f"{path}/{key}")]


def test_no_object_of_the_schema_is_open() -> None:
    assert _open_objects(json.loads((CHART / "values.schema.json").read_text())) == []

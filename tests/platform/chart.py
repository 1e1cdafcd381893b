"""The chart, rendered offline, and the values of an installation that is complete."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart, lint

__all__ = [
    "CHART",
    "NAMESPACE",
    "OPENSEARCH",
    "RELEASE",
    "VALUES",
    "Manifest",
    "changed",
    "environment_of",
    "of_kind",
    "pods",
    "problems_of_lint",
    "render",
    "schema_problems",
    "serve_config",
]

Manifest = dict[str, Any]

CHART = Path(__file__).parents[2] / "charts" / "preceptor"
RELEASE, NAMESPACE = "preceptor", "preceptor"
_SCHEMAS = Path(__file__).parent / "schemas"

EHR = {
    "id": "main",
    "name": "Hospital EHR",
    "issuer": "https://ehr.hospital.test/fhir",
    "fhir_base": "https://ehr.hospital.test/fhir",
    "backend_client_id": "preceptor-backend",
    "backend_scopes": "system/Encounter.rs",
    "launch_client_id": "preceptor",
    "launch_scopes": "launch openid fhirUser",
    "encounter_topic": "https://ehr.hospital.test/topics/encounter-end",
}
VALUES: dict[str, Any] = {
    "vault": {"address": "https://vault.vault.svc:8200", "caConfigMap": {"name": "vault-ca"}},
    "facade": {
        "publicBaseUrl": "https://preceptor.hospital.test",
        "database": {"existingClaim": "preceptor-facade"},
        "ehrCidrs": ["192.0.2.0/24"],
        "ehrs": [EHR],
    },
    "adapterServing": {"modelClaim": "preceptor-models"},
    "retrieval": {"indexClaim": "preceptor-index"},
    "triage": {"modelClaim": "preceptor-models"},
}


OPENSEARCH: dict[str, Any] = {
    "url": "https://opensearch.test:9200",
    "certificateSecret": "retrieval-opensearch",
    "cidrs": ["192.0.2.8/32"],
}


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """Return ``VALUES`` with each ``(path, value)`` put in; a path is written ``facade.database.url``."""
    values = copy.deepcopy(VALUES)
    for path, value in changes:
        *parents, last = path.split(".")
        place = values
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
    return values


def render(values: dict[str, Any] | None = None) -> list[Manifest]:
    """Return every object the chart makes of ``values`` (by default ``VALUES``)."""
    with Chart.load(CHART) as chart:
        rendered = chart.render(VALUES if values is None else values, name=RELEASE, namespace=NAMESPACE)
    files = sorted((path, text) for path, text in rendered.items() if path.endswith(".yaml"))
    return [manifest for _, text in files for manifest in yaml.safe_load_all(text) if manifest]


def problems_of_lint(values: dict[str, Any]) -> list[str]:
    """Return what a strict lint says beyond information."""
    report = lint(CHART, values, strict=True, namespace=NAMESPACE)
    return [message["error"] for message in report["messages"] if message["severity"] > 1]


def schema_problems(manifest: Manifest) -> list[str]:
    """Return what is wrong with an object by the strict schema of its kind."""
    from jsonschema import Draft202012Validator

    group, _, version = manifest["apiVersion"].rpartition("/")
    name = "-".join(part for part in (manifest["kind"].lower(), group.split(".")[0], version) if part)
    schema = json.loads((_SCHEMAS / f"{name}.json").read_text())
    errors = Draft202012Validator(schema).iter_errors(manifest)
    return [f"{manifest['kind']} {error.json_path}: {error.message}" for error in errors]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Return the objects of one kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return every pod template by its component, also those inside the RayService."""
    return {
        template["metadata"]["labels"]["app.kubernetes.io/component"]: template for template in _templates(manifests)
    }


def _templates(manifests: list[Manifest]) -> Iterator[Manifest]:
    for deployment in of_kind(manifests, "Deployment"):
        yield deployment["spec"]["template"]
    for service in of_kind(manifests, "RayService"):
        cluster = service["spec"]["rayClusterConfig"]
        yield cluster["headGroupSpec"]["template"]
        for group in cluster["workerGroupSpecs"]:
            yield group["template"]


def serve_config(manifests: list[Manifest]) -> dict[str, Any]:
    """Return the declarative Serve config of the RayService."""
    config: dict[str, Any] = yaml.safe_load(of_kind(manifests, "RayService")[0]["spec"]["serveConfigV2"])
    return config


def environment_of(pod: Manifest) -> dict[str, str]:
    """Return the environment of a pod's container."""
    return {item["name"]: item["value"] for item in pod["spec"]["containers"][0]["env"]}

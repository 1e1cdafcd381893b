"""The chart renders, lints without a warning, and every object is valid by the API server's own strict schemas."""

from typing import Any

import pytest

from .chart import OPENSEARCH, VALUES, changed, of_kind, problems_of_lint, render, schema_problems

POSTGRES = {
    "existingClaim": "",
    "url": "postgresql+asyncpg://preceptor@db.test:5432/preceptor",
    "cidrs": ["192.0.2.9/32"],
}
INSTALLATIONS: dict[str, dict[str, Any]] = {
    "SQLite on a claim": VALUES,
    "PostgreSQL and several replicas": changed(("facade.database", POSTGRES), ("facade.replicas", 3)),
    "an index in OpenSearch": changed(("retrieval.opensearch", OPENSEARCH)),
    "a Vault outside of the cluster": changed(("vault.cidrs", ["198.51.100.0/24"]), ("vault.caConfigMap.name", "")),
    "an Ingress": changed(
        ("ingress", {"enabled": True, "host": "preceptor.hospital.test", "tlsSecretName": "tls", "className": "nginx"})
    ),
    "images by digest from a private registry": changed(
        ("image.facade.digest", f"sha256:{'a' * 64}"),
        ("image.ray.digest", f"sha256:{'b' * 64}"),
        ("image.pullSecrets", ["registry"]),
    ),
    "nodes of its own": changed(
        ("adapterServing.nodeSelector", {"gpu": "yes"}),
        ("adapterServing.tolerations", [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]),
        ("adapterServing.resources", {"limits": {"memory": "8Gi", "nvidia.com/gpu": "1"}, "requests": {"cpu": "2"}}),
    ),
    "other settings": changed(
        ("facade.settings", {"body_max_bytes": 1_048_576, "poll_s": 0.5}), ("ray.authSecretName", "ray-token")
    ),
}
_INSTALLATION = pytest.mark.parametrize("values", INSTALLATIONS.values(), ids=INSTALLATIONS.keys())


@_INSTALLATION
def test_a_strict_lint_finds_nothing(values: dict[str, Any]) -> None:
    assert problems_of_lint(values) == []


@_INSTALLATION
def test_every_object_is_valid_by_the_strict_schema_of_its_kind(values: dict[str, Any]) -> None:
    manifests = render(values)
    assert len(manifests) >= 14
    assert [problem for manifest in manifests for problem in schema_problems(manifest)] == []


def test_the_schemas_refuse_a_field_that_does_not_exist() -> None:
    service = of_kind(render(), "RayService")[0]
    service["spec"]["rayClusterConfig"]["headGroupSpec"]["replicaz"] = 1
    assert schema_problems(service) != []


def test_no_two_objects_share_a_name() -> None:
    for values in INSTALLATIONS.values():
        names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in render(values)]
        assert len(names) == len(set(names))


def test_a_long_release_name_makes_no_name_that_kubernetes_refuses() -> None:
    from helm_python import Chart

    from .chart import CHART

    with Chart.load(CHART) as chart:
        rendered = chart.render(VALUES, name="a" * 53, namespace="x")
    names = [
        line.split("name: ")[1] for line in "\n".join(rendered.values()).splitlines() if line.startswith("  name: ")
    ]
    assert names
    assert max(map(len, names)) <= 63

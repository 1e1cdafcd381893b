"""What must hold of everything the chart makes: restricted pods, no secrets, default deny, an identity per service."""

import ast
import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from adapter_serving.settings import AdapterServingSettings
from facade.ehr.registry import EhrRegistry
from facade.settings import FacadeSettings
from reconciliation.settings import ReconciliationSettings
from retrieval.settings import RetrievalSettings
from service_runtime.settings import VaultSettings
from triage.settings import TriageSettings

from .chart import Manifest, changed, environment_of, of_kind, pods, render, serve_config
from .test_chart_renders import INSTALLATIONS

APPLICATIONS = ("adapter-serving", "retrieval", "reconciliation", "triage")
COMPONENTS = {"facade", "ray-head", *APPLICATIONS}
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=INSTALLATIONS.values(), ids=INSTALLATIONS.keys(), scope="module")
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(request.param)


def test_the_processes_are_the_facade_and_one_ray_cluster_with_a_group_for_each_application(
    manifests: list[Manifest],
) -> None:
    assert set(pods(manifests)) == COMPONENTS
    assert [application["name"] for application in serve_config(manifests)["applications"]] == list(APPLICATIONS)


def test_pods_are_restricted(manifests: list[Manifest]) -> None:
    for component, pod in pods(manifests).items():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, component
        assert spec["securityContext"]["runAsUser"] > 0, component
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, component
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), component
        assert {key for volume in spec["volumes"] for key in volume} <= {
            "name",
            "configMap",
            "emptyDir",
            "persistentVolumeClaim",
            "projected",
        }, component
        for container in spec["containers"] + spec.get("initContainers", []):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, component
            assert security["readOnlyRootFilesystem"] is True, component
            assert security["capabilities"] == {"drop": ["ALL"]}, component
            assert "privileged" not in security, component
            assert not any("hostPort" in port for port in container.get("ports", [])), component
            assert container["resources"]["limits"]["memory"], component
            assert container["resources"]["requests"]["cpu"], component


def test_images_have_a_digest_or_a_version(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        image = pod["spec"]["containers"][0]["image"]
        assert "@sha256:" in image or image.rsplit(":", 1)[1][0].isdigit()


def test_nothing_is_or_holds_a_secret(manifests: list[Manifest]) -> None:
    assert of_kind(manifests, "Secret") == []
    for pod in pods(manifests).values():
        for variable in pod["spec"]["containers"][0]["env"]:
            assert not any(word in variable["name"] for word in ("PASSWORD", "SECRET", "API_KEY", "PRIVATE_KEY"))
            assert "value" in variable, "no Secret is read into the environment"
    url = environment_of(pods(manifests)["facade"])["PRECEPTOR_FACADE_DATABASE_URL"]
    assert ":" not in url.split("://")[1].split("@")[0] or "@" not in url


def test_every_component_has_an_identity_of_its_own_and_no_token_for_the_api_server(manifests: list[Manifest]) -> None:
    accounts = {account["metadata"]["name"]: account for account in of_kind(manifests, "ServiceAccount")}
    used = {component: pod["spec"]["serviceAccountName"] for component, pod in pods(manifests).items()}
    assert sorted(used.values()) == sorted(accounts)
    assert len(set(used.values())) == len(used)
    assert not any(account["automountServiceAccountToken"] for account in accounts.values())
    assert not any(pod["spec"]["automountServiceAccountToken"] for pod in pods(manifests).values())
    for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"):
        assert of_kind(manifests, kind) == []


def test_the_vault_is_entered_with_a_projected_token_for_its_audience_alone(manifests: list[Manifest]) -> None:
    for component, pod in pods(manifests).items():
        projected = [one for volume in pod["spec"]["volumes"] for one in volume.get("projected", {}).get("sources", [])]
        tokens = [one for one in projected if "serviceAccountToken" in one]
        if component == "ray-head":
            assert tokens == []
            continue
        [source] = tokens
        assert source["serviceAccountToken"]["audience"] == "vault"
        assert source["serviceAccountToken"]["expirationSeconds"] <= 3600
        mount = next(m for m in pod["spec"]["containers"][0]["volumeMounts"] if m["name"] == "vault-token")
        file = environment_of(pod)["PRECEPTOR_VAULT_KUBERNETES_TOKEN_FILE"]
        assert file == f"{mount['mountPath']}/{source['serviceAccountToken']['path']}"


def test_policies_deny_by_default_and_no_rule_is_open(manifests: list[Manifest]) -> None:
    policies = of_kind(manifests, "NetworkPolicy")
    denies = [policy for policy in policies if policy["spec"]["podSelector"] == {}]
    assert [policy["spec"] for policy in denies] == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]
    for policy in policies:
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            peers = rule.get("from", rule.get("to"))
            assert peers, "an empty list of peers would mean everyone"
            for peer in peers:
                assert peer != {}
                assert peer.get("podSelector") != {}, "every pod of some namespace"
                assert "namespaceSelector" not in peer or peer.get("podSelector"), "a whole namespace"
                if "ipBlock" in peer:
                    assert ipaddress.ip_network(peer["ipBlock"]["cidr"]).prefixlen > 0


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "NotIn"
        if labels.get(expression["key"]) in expression["values"]:
            return False
    return all(labels.get(name) == value for name, value in wanted.items())


def _flows(manifests: list[Manifest], direction: str, component: str) -> set[tuple[str, Any]]:
    """Return the flows that policies allow a component: the other end, by component or by what it is, and the port."""
    labels = pods(manifests)[component]["metadata"]["labels"]
    flows = set()
    for policy in of_kind(manifests, "NetworkPolicy"):
        if not _selects(policy["spec"]["podSelector"], labels):
            continue
        for rule in policy["spec"].get(direction, []):
            ports = [port["port"] for port in rule.get("ports", [])] or ["all"]
            for peer in rule.get("from", rule.get("to", [])):
                for name in _ends(manifests, peer):
                    flows |= {(name, port) for port in ports}
    return flows


def _ends(manifests: list[Manifest], peer: dict[str, Any]) -> list[str]:
    if "ipBlock" in peer:
        return [str(peer["ipBlock"]["cidr"])]
    if "namespaceSelector" in peer:
        return [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]]
    everyone = pods(manifests).items()
    return [name for name, pod in everyone if _selects(peer["podSelector"], pod["metadata"]["labels"])]


RAY = {"ray-head", *APPLICATIONS}
DNS = {("kube-system", 53)}
VAULT = {("vault", 8200)}
BETWEEN_RAY_PODS: set[tuple[str, Any]] = {(name, "all") for name in RAY}


def test_exactly_the_needed_flows_are_allowed() -> None:
    manifests = render()
    out = {component: _flows(manifests, "egress", component) for component in COMPONENTS}
    assert out["facade"] == DNS | VAULT | {("192.0.2.0/24", 443)} | {(name, 8000) for name in RAY}
    assert out["ray-head"] == DNS | BETWEEN_RAY_PODS
    assert all(out[name] == DNS | VAULT | BETWEEN_RAY_PODS for name in APPLICATIONS)
    into = {component: _flows(manifests, "ingress", component) for component in COMPONENTS}
    assert into["facade"] == {("ingress-nginx", 8000)}
    operator = {("kuberay-system", 8265), ("kuberay-system", 8000)}
    assert all(into[name] == BETWEEN_RAY_PODS | operator | {("facade", 8000)} for name in RAY)


def test_postgres_is_the_only_further_way_out() -> None:
    manifests = render(INSTALLATIONS["PostgreSQL and several replicas"])
    assert _flows(manifests, "egress", "facade") - _flows(render(), "egress", "facade") == {("192.0.2.9/32", 5432)}


def test_opensearch_is_reached_by_retrieval_alone_with_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = render(INSTALLATIONS["an index in OpenSearch"])
    for component in COMPONENTS:
        more = _flows(manifests, "egress", component) - _flows(render(), "egress", component)
        assert more == ({("192.0.2.8/32", 9200)} if component == "retrieval" else set())
    config = next(one for one in serve_config(manifests)["applications"] if one["name"] == "retrieval")
    for name, value in config["runtime_env"]["env_vars"].items():
        monkeypatch.setenv(name, value)
    settings = RetrievalSettings()
    assert (settings.engine, settings.opensearch_url) == ("opensearch", "https://opensearch.test:9200")
    mounts = {one["mountPath"] for one in pods(manifests)["retrieval"]["spec"]["containers"][0]["volumeMounts"]}
    files = (settings.opensearch_ca_file, settings.opensearch_certificate_file, settings.opensearch_key_file)
    assert {str(one.parent) for one in files if one} <= mounts


def test_probes_ask_the_endpoints_that_tell_the_truth(manifests: list[Manifest]) -> None:
    facade = pods(manifests)["facade"]["spec"]["containers"][0]
    assert facade["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert facade["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert facade["readinessProbe"]["timeoutSeconds"] > FacadeSettings.model_fields["readiness_timeout_s"].default
    for application in APPLICATIONS:
        probe = pods(manifests)[application]["spec"]["containers"][0]["readinessProbe"]
        assert probe["httpGet"] == {"path": f"/{application}/healthz", "port": "serve"}


def test_ray_asks_for_a_token_and_the_head_runs_no_replica(manifests: list[Manifest]) -> None:
    service = of_kind(manifests, "RayService")[0]["spec"]
    assert service["rayClusterConfig"]["authOptions"]["mode"] == "token"
    assert service["rayClusterConfig"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert service["excludeHeadPodFromServeSvc"] is True


def test_each_application_runs_in_its_own_group_with_its_own_role(manifests: list[Manifest]) -> None:
    groups = of_kind(manifests, "RayService")[0]["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    for application, group in zip(serve_config(manifests)["applications"], groups, strict=True):
        [deployment] = application["deployments"]
        [resource] = deployment["ray_actor_options"]["resources"]
        assert [other["groupName"] for other in groups if resource in other["resources"]] == [group["groupName"]]
        assert application["name"] == group["groupName"]
        assert deployment["num_replicas"] == group["replicas"]
        assert application["runtime_env"]["env_vars"]["PRECEPTOR_VAULT_ROLE"] == application["name"]
        assert (ROOT / "policies" / "vault" / f"{application['name']}.hcl").is_file()


def test_the_serve_config_names_what_the_services_define() -> None:
    for application in serve_config(render())["applications"]:
        module = application["import_path"].split(":")[0]
        source = ROOT / "services" / application["name"] / "src" / Path(*module.split(".")).with_suffix(".py")
        tree = ast.parse(source.read_text())
        names = [
            keyword.value.value
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "serve.deployment"
            for keyword in call.keywords
            if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
        ]
        assert [deployment["name"] for deployment in application["deployments"]] == names
        assert any(isinstance(node, ast.FunctionDef) and node.name == "app" for node in tree.body)


# Raised where Ray declares its schema; not ours to change.
@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on")
def test_ray_accepts_the_serve_config(manifests: list[Manifest]) -> None:
    from ray.serve.schema import ServeDeploySchema

    schema = ServeDeploySchema.model_validate(serve_config(manifests))
    assert len(schema.applications) == len(APPLICATIONS)


def test_the_environment_is_what_the_settings_read(monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = render(changed(("facade.settings", {"body_max_bytes": 2_097_152, "poll_s": 0.5})))
    for name, value in environment_of(pods(manifests)["facade"]).items():
        monkeypatch.setenv(name, value)
    facade, vault = FacadeSettings(), VaultSettings()
    assert (facade.body_max_bytes, facade.poll_s) == (2_097_152, 0.5)
    assert facade.reconciliation_url == "http://preceptor-serve-svc:8000/reconciliation"
    assert facade.retrieval_url == "http://preceptor-serve-svc:8000/retrieval"
    assert facade.triage_url == "http://preceptor-serve-svc:8000/triage"
    assert (vault.login, vault.role, vault.address) == ("kubernetes", "facade", "https://vault.vault.svc:8200")


@pytest.mark.parametrize(
    ("application", "settings"),
    [
        ("adapter-serving", AdapterServingSettings),
        ("retrieval", RetrievalSettings),
        ("reconciliation", ReconciliationSettings),
        ("triage", TriageSettings),
    ],
)
def test_an_application_finds_its_settings(
    monkeypatch: pytest.MonkeyPatch, application: str, settings: type[Any]
) -> None:
    manifests = render()
    config = next(one for one in serve_config(manifests)["applications"] if one["name"] == application)
    variables = environment_of(pods(manifests)[application]) | config["runtime_env"]["env_vars"]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings()
    assert VaultSettings().role == application


def test_the_registered_ehrs_are_what_the_facade_reads(tmp_path: Path) -> None:
    [content] = [item["data"]["ehrs.json"] for item in of_kind(render(), "ConfigMap")]
    file = tmp_path / "ehrs.json"
    file.write_text(content)
    assert EhrRegistry.from_file(file).get("main").fhir_base == "https://ehr.hospital.test/fhir"
    assert isinstance(json.loads(content), list)


def test_budgets_never_forbid_every_eviction(manifests: list[Manifest]) -> None:
    groups = of_kind(manifests, "RayService")[0]["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    replicas = {group["groupName"]: group["replicas"] for group in groups}
    replicas["facade"] = of_kind(manifests, "Deployment")[0]["spec"]["replicas"]
    budgets = of_kind(manifests, "PodDisruptionBudget")
    protected = {budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] for budget in budgets}
    assert protected == {name for name, count in replicas.items() if count > 1}
    for budget in budgets:
        component = budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
        spec = budget["spec"]
        assert spec.get("maxUnavailable") == 1 or spec["minAvailable"] == replicas[component] - 1


def test_the_sandbox_ehr_is_nowhere(manifests: list[Manifest]) -> None:
    assert "sandbox" not in json.dumps(manifests)

"""compose.yaml starts the processes of the suite with settings that the services really read, locked down."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from adapter_serving.settings import AdapterServingSettings
from facade.ehr.registry import EhrRegistry
from facade.settings import FacadeSettings
from preceptor.suite.registrations import write_ehrs
from preceptor.suite.settings import SuiteSettings
from pydantic_settings import BaseSettings
from reconciliation.settings import ReconciliationSettings
from retrieval.settings import RetrievalSettings
from sandbox_ehr.settings import SandboxEhrSettings
from service_runtime.settings import VaultSettings
from triage.settings import TriageSettings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "serve.yaml").read_text())

# Which settings each container reads. The role of a Serve application comes from docker/serve.yaml.
READS: dict[str, list[type[BaseSettings]]] = {
    "openbao": [],
    "sandbox-ehr": [SandboxEhrSettings],
    "models": [RetrievalSettings],
    "ray": [AdapterServingSettings, RetrievalSettings, ReconciliationSettings, TriageSettings, VaultSettings],
    "facade": [FacadeSettings, VaultSettings],
}
# The keys of the Compose specification that this file uses, so that a misspelt one is not silently ignored.
KNOWN_KEYS = {
    "build",
    "cap_drop",
    "command",
    "configs",
    "depends_on",
    "environment",
    "healthcheck",
    "init",
    "network_mode",
    "ports",
    "read_only",
    "restart",
    "security_opt",
    "shm_size",
    "tmpfs",
    "user",
    "volumes",
}


def _variables(settings: type[BaseSettings]) -> dict[str, bool]:
    prefix = str(settings.model_config.get("env_prefix"))
    return {f"{prefix}{name}".upper(): field.is_required() for name, field in settings.model_fields.items()}


def test_the_processes_are_those_of_the_suite() -> None:
    assert set(SERVICES) == set(READS)


@pytest.mark.parametrize("name", READS)
def test_every_variable_is_a_setting_and_every_required_setting_is_there(name: str) -> None:
    known: dict[str, bool] = {}
    for settings in READS[name]:
        known |= _variables(settings)
    given = {key for key in SERVICES[name].get("environment", {}) if key.startswith("PRECEPTOR_")}
    assert given <= set(known)
    required = {key for key, is_required in known.items() if is_required}
    missing = required - given
    assert missing <= ({"PRECEPTOR_VAULT_ROLE"} if name == "ray" else set())


@pytest.mark.parametrize("name", READS)
def test_the_settings_are_accepted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        monkeypatch.setenv(key, value)
    if name == "ray":
        monkeypatch.setenv("PRECEPTOR_VAULT_ROLE", "retrieval")
    for settings in READS[name]:
        settings()


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_locked_down(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= KNOWN_KEYS
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not any(volume.startswith(("/", "./", "..")) for volume in service.get("volumes", []))


def test_ports_are_published_on_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8000:8000", "127.0.0.1:8100:8100"]


def test_volumes_configs_and_dependencies_exist() -> None:
    for service in SERVICES.values():
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(COMPOSE["volumes"])
        assert {config["source"] for config in service.get("configs", [])} <= set(COMPOSE["configs"])
        for other, condition in service.get("depends_on", {}).items():
            wanted = condition["condition"]
            assert wanted == "service_completed_successfully" or "healthcheck" in SERVICES[other]
    assert all((ROOT / config["file"]).is_file() for config in COMPOSE["configs"].values())


def test_the_unseal_key_is_in_the_container_of_the_vault_alone() -> None:
    holders = [name for name, service in SERVICES.items() if "openbao" in json.dumps(service.get("volumes", []))]
    assert holders == ["openbao"]


def test_nothing_in_it_is_a_secret_or_a_registry() -> None:
    for service in SERVICES.values():
        assert "image" not in service
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        names = service.get("environment", {})
        assert not any(re.search("PASSWORD|SECRET|TOKEN$|KEY$", name) for name in names)


def test_the_facade_knows_the_sandbox_ehr_as_in_the_local_suite(tmp_path: Path) -> None:
    suite = SuiteSettings(folder=tmp_path)
    suite.state.mkdir(parents=True)
    write_ehrs(suite)
    ours = ROOT / COMPOSE["configs"]["ehrs"]["file"]
    assert json.loads(ours.read_text()) == json.loads((suite.state / "facade-ehrs.json").read_text())
    assert EhrRegistry.from_file(ours).get("sandbox")


def test_the_sandbox_ehr_knows_the_facade() -> None:
    clients = ROOT / "services" / "sandbox-ehr" / "src" / "sandbox_ehr" / "development_clients.json"
    known = {client["client_id"] for client in json.loads(clients.read_text())["clients"]}
    [ehr] = json.loads((ROOT / "docker" / "ehrs.json").read_text())
    assert {ehr["backend_client_id"], ehr["launch_client_id"]} <= known


def test_addresses_agree() -> None:
    environment = SERVICES["facade"]["environment"]
    port = SERVE["http_options"]["port"]
    assert environment["PRECEPTOR_FACADE_RECONCILIATION_URL"] == f"http://127.0.0.1:{port}/reconciliation"
    assert environment["PRECEPTOR_FACADE_RETRIEVAL_URL"] == f"http://127.0.0.1:{port}/retrieval"
    assert environment["PRECEPTOR_FACADE_TRIAGE_URL"] == f"http://127.0.0.1:{port}/triage"
    assert SERVE["http_options"]["host"] == "127.0.0.1"
    assert SERVICES["sandbox-ehr"]["environment"]["PRECEPTOR_SANDBOX_EHR_BASE_URL"] == "http://localhost:8100"


# Raised where Ray declares its schema; not ours to change.
@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on")
def test_ray_accepts_the_serve_config() -> None:
    from ray.serve.schema import ServeDeploySchema

    schema = ServeDeploySchema.model_validate(SERVE)
    for application in schema.applications:
        assert application.route_prefix == f"/{application.name}"
        assert application.import_path == f"{application.name.replace('-', '_')}.deployment:app"
        assert application.runtime_env["env_vars"] == {"PRECEPTOR_VAULT_ROLE": application.name}

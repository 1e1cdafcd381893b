"""Each role can do exactly its own things with the real OpenBao, and the agent can only hand out wrapped secrets."""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import hvac
import pytest
from hvac.exceptions import Forbidden
from preceptor.openbao.bootstrap import issue_agent_token, root_token
from preceptor.openbao.desired_state import AGENT_POLICY, ROLES, TRANSIT_KEYS
from preceptor.openbao.running import RunningOpenBao
from service_runtime.vault_login import AgentLogin

POLICIES = Path(__file__).parents[2] / "policies" / "vault"
CONTEXT = base64.b64encode(b"scope").decode()
EVERYONE = frozenset(ROLES)
NOBODY: frozenset[str] = frozenset()
FACADE = frozenset({"facade"})
RETRIEVAL = frozenset({"retrieval"})

Operation = Callable[[hvac.Client], object]


def read(path: str) -> Operation:
    return lambda c: c.adapter.get(f"/v1/{path}")


def listing(path: str) -> Operation:
    return lambda c: c.adapter.list(f"/v1/{path}")


def send(path: str, body: dict[str, object] | None = None) -> Operation:
    return lambda c: c.adapter.post(f"/v1/{path}", json=body or {})


def delete(path: str) -> Operation:
    return lambda c: c.adapter.delete(f"/v1/{path}")


def data_key(key: str) -> Operation:
    return send(f"transit/datakey/plaintext/{key}", {"context": CONTEXT})


def signature(key: str) -> Operation:
    return send(f"transit/sign/{key}", {"input": CONTEXT, "marshaling_algorithm": "jws", "hash_algorithm": "sha2-384"})


KV = "secret/data/preceptor"
MATRIX: tuple[tuple[str, Operation, frozenset[str]], ...] = (
    ("read the services' token", read(f"{KV}/services/token"), EVERYONE - {"cli"}),
    ("replace the services' token", send(f"{KV}/services/token", {"data": {"token": "x"}}), NOBODY),
    ("delete the services' token", delete(f"{KV}/services/token"), NOBODY),
    ("destroy its history", delete("secret/metadata/preceptor/services/token"), NOBODY),
    ("list secrets", listing("secret/metadata/preceptor"), NOBODY),
    ("write a subscription's token", send(f"{KV}/facade/subscriptions/one", {"data": {"token": "x"}}), FACADE),
    ("read a subscription's token", read(f"{KV}/facade/subscriptions/one"), FACADE),
    ("delete a subscription's token", delete(f"{KV}/facade/subscriptions/one"), NOBODY),
    ("write deeper than a subscription", send(f"{KV}/facade/subscriptions/one/two", {"data": {"a": "b"}}), NOBODY),
    ("write a client secret", send(f"{KV}/facade/clients/one", {"data": {"secret": "x"}}), FACADE),
    ("read a client secret", read(f"{KV}/facade/clients/one"), FACADE),
    ("delete a client secret", delete(f"{KV}/facade/clients/one"), NOBODY),
    ("keep a patient's wrapped key", send(f"{KV}/retrieval/patient-keys/i/one", {"data": {"a": "b"}}), RETRIEVAL),
    ("read a patient's wrapped key", read(f"{KV}/retrieval/patient-keys/i/one"), RETRIEVAL),
    ("list patients' keys", listing("secret/metadata/preceptor/retrieval/patient-keys/i"), NOBODY),
    ("destroy a patient's key", delete("secret/metadata/preceptor/retrieval/patient-keys/i/one"), RETRIEVAL),
    ("keep the key of patients' tags", send(f"{KV}/retrieval/patient-tags/i", {"data": {"a": "b"}}), RETRIEVAL),
    ("destroy the key of patients' tags", delete("secret/metadata/preceptor/retrieval/patient-tags/i"), NOBODY),
    ("make a canary data key", data_key("canary"), EVERYONE),
    ("make a data key for the SQL store", data_key("facade-phi"), FACADE),
    ("make a data key for the index", data_key("retrieval-index"), RETRIEVAL),
    ("sign the facade's assertion", signature("facade-client-assertion"), FACADE),
    ("read the facade's public key", read("transit/keys/facade-client-assertion"), FACADE),
    ("sign the facade's RS384 assertion", signature("facade-client-assertion-rs384"), FACADE),
    ("read the facade's RS384 public key", read("transit/keys/facade-client-assertion-rs384"), FACADE),
    ("sign the command line's assertion", signature("cli-client-assertion"), frozenset({"cli"})),
    ("read the command line's public key", read("transit/keys/cli-client-assertion"), frozenset({"cli"})),
    ("read the facade's sealing key", read("transit/keys/facade-phi"), NOBODY),
    ("export a key", read("transit/export/encryption-key/facade-phi"), NOBODY),
    ("back a key up", read("transit/backup/facade-phi"), NOBODY),
    ("rotate a key", send("transit/keys/facade-phi/rotate"), NOBODY),
    ("delete a key", delete("transit/keys/facade-phi"), NOBODY),
    ("make a key by encrypting", send("transit/encrypt/new", {"plaintext": CONTEXT}), NOBODY),
    ("issue a secret id", send("auth/approle/role/facade/secret-id"), NOBODY),
    ("make a token", send("auth/token/create"), NOBODY),
    ("read a policy", read("sys/policies/acl/facade"), NOBODY),
    ("seal the store", send("sys/seal"), NOBODY),
    ("list mounts", read("sys/mounts"), NOBODY),
)  # fmt: skip


@pytest.fixture(scope="module")
def clients(openbao: RunningOpenBao) -> dict[str, hvac.Client]:
    def client(role: str) -> hvac.Client:
        return openbao.server.client(AgentLogin(openbao.agent_socket, role)(openbao.server.client()))

    return {role: client(role) for role in ROLES}


@pytest.fixture
def agent(openbao: RunningOpenBao) -> hvac.Client:
    return openbao.server.client(issue_agent_token(openbao.server))


@pytest.fixture
def root(openbao: RunningOpenBao) -> Iterator[hvac.Client]:
    with root_token(openbao.server) as client:
        yield client


@pytest.mark.parametrize(("operation", "allowed"), [row[1:] for row in MATRIX], ids=[row[0] for row in MATRIX])
def test_only_the_named_roles_may(
    clients: dict[str, hvac.Client], operation: Operation, allowed: frozenset[str]
) -> None:
    for role, client in clients.items():
        if role in allowed:
            operation(client)
        else:
            with pytest.raises(Forbidden):
                operation(client)


@pytest.mark.parametrize(
    ("key", "owner"), [("facade-phi", "facade"), ("retrieval-index", "retrieval"), ("canary", "cli")]
)
def test_a_data_key_opens_for_its_owner_only(clients: dict[str, hvac.Client], key: str, owner: str) -> None:
    made = clients[owner].adapter.post(f"/v1/transit/datakey/plaintext/{key}", json={"context": CONTEXT})
    opening = send(f"transit/decrypt/{key}", {"ciphertext": made["data"]["ciphertext"], "context": CONTEXT})
    for role, client in clients.items():
        if role == owner or key == "canary":
            opening(client)
        else:
            with pytest.raises(Forbidden):
                opening(client)


@pytest.mark.parametrize("role", ROLES)
def test_the_agent_gets_a_secret_id_only_wrapped(agent: hvac.Client, role: str) -> None:
    assert agent.auth.approle.generate_secret_id(role, wrap_ttl="30s")["wrap_info"]["token"]
    with pytest.raises(Forbidden):
        agent.auth.approle.generate_secret_id(role)
    with pytest.raises(Forbidden):
        agent.auth.approle.generate_secret_id(role, wrap_ttl="1h")


@pytest.mark.parametrize(
    "operation",
    [
        read(f"{KV}/services/token"),
        data_key("facade-phi"),
        signature("facade-client-assertion"),
        send("auth/approle/role/new", {"token_policies": ["root"]}),
        send("auth/approle/role/facade", {"token_policies": ["root"]}),
        send("auth/token/create", {"policies": ["facade"]}),
        read("auth/approle/role/facade"),
    ],
)
def test_the_agent_can_do_nothing_else(agent: hvac.Client, operation: Operation) -> None:
    with pytest.raises(Forbidden):
        operation(agent)


def test_every_policy_file_belongs_to_a_role_or_the_agent() -> None:
    assert {path.stem for path in POLICIES.glob("*.hcl")} == {*ROLES, AGENT_POLICY}


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.hcl")), ids=lambda path: path.stem)
def test_a_policy_names_every_path_in_full(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# "), "says what the role is for"
    assert "*" not in text
    assert "sudo" not in text
    wild = [one for one in re.findall(r'path "([^"]+)"', text) if "+" in one]
    per_ehr = [f"secret/data/preceptor/facade/{name}/+" for name in ("subscriptions", "clients")]
    patients = "preceptor/retrieval/patient-keys/+/+"
    per_patient = [
        "secret/data/preceptor/retrieval/patient-tags/+",
        f"secret/data/{patients}",
        f"secret/metadata/{patients}",
    ]
    assert wild == {"facade": per_ehr, "retrieval": per_patient}.get(path.stem, [])


def test_roles_get_short_lived_tokens_of_their_policy_alone(root: hvac.Client) -> None:
    for role in ROLES:
        data = root.auth.approle.read_role(role)["data"]
        assert data["token_policies"] == [role]
        assert data["token_no_default_policy"] is True
        assert (data["secret_id_num_uses"], data["secret_id_ttl"]) == (1, 60)
        assert 0 < data["token_max_ttl"] <= 900


def test_no_key_can_leave_the_store(root: hvac.Client) -> None:
    for key in TRANSIT_KEYS:
        data = root.secrets.transit.read_key(key.name)["data"]
        assert (data["exportable"], data["allow_plaintext_backup"], data["deletion_allowed"]) == (False, False, False)
        assert data["derived"] is key.derived


def test_no_root_token_is_left(openbao: RunningOpenBao, root: hvac.Client) -> None:
    policies = []
    for accessor in root.auth.token.list_accessors()["data"]["keys"]:
        policies += root.auth.token.lookup_accessor(accessor)["data"]["policies"]
    assert policies.count("root") == 1, "the one this test uses"


def test_root_tokens_cannot_be_made_over_the_network(openbao: RunningOpenBao) -> None:
    with pytest.raises(hvac.exceptions.VaultError):
        openbao.server.client().sys.start_root_token_generation()


def test_the_audit_device_records_requests_without_their_secrets(
    openbao: RunningOpenBao, clients: dict[str, hvac.Client]
) -> None:
    marker = "a-value-nobody-may-see"
    clients["facade"].adapter.post(f"/v1/{KV}/facade/subscriptions/audited", json={"data": {"token": marker}})
    audit = openbao.server.audit_file.read_text()
    assert "secret/data/preceptor/facade/subscriptions/audited" in audit
    assert marker not in audit
    assert (clients["facade"].token or "-") not in audit

"""What the suite needs of a Vault: mounts, keys, policies, roles and values, put in place as often as wanted."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
from hvac.exceptions import InvalidPath
from service_runtime.service_auth import SERVICE_TOKEN_PATH

__all__ = ["AGENT_POLICY", "KV_MOUNT", "KV_PREFIX", "ROLES", "TRANSIT_KEYS", "TRANSIT_MOUNT", "TransitKey", "configure"]

KV_MOUNT = "secret"
KV_PREFIX = "preceptor"
TRANSIT_MOUNT = "transit"
AGENT_POLICY = "agent"
ROLES = ("facade", "adapter-serving", "retrieval", "reconciliation", "triage", "cli")
_SECRET_ID_TTL = "60s"  # noqa: S105  a time, not a secret
_TOKEN_TTL = "15m"  # noqa: S105  a time, not a secret


@dataclass(frozen=True)
class TransitKey:
    """A key that never leaves the Vault; ``derived`` ones take a context with each use."""

    name: str
    type: str
    derived: bool


TRANSIT_KEYS = (
    TransitKey("canary", "aes256-gcm96", derived=True),
    TransitKey("facade-phi", "aes256-gcm96", derived=True),
    TransitKey("retrieval-index", "aes256-gcm96", derived=True),
    TransitKey("facade-client-assertion", "ecdsa-p384", derived=False),
    TransitKey("facade-client-assertion-rs384", "rsa-3072", derived=False),
    TransitKey("cli-client-assertion", "ecdsa-p384", derived=False),
)


def configure(client: hvac.Client, policies: Path) -> None:
    """Bring the Vault to this state with a root token; what is there already stays, keys and values above all."""
    _mounts(client)
    for name in (*ROLES, AGENT_POLICY):
        client.sys.create_or_update_policy(name=name, policy=(policies / f"{name}.hcl").read_text())
    for role in ROLES:
        # The secret id works once, and only in the minute after it was issued. No role gets the default policy.
        client.auth.approle.create_or_update_approle(
            role_name=role,
            bind_secret_id=True,
            secret_id_num_uses=1,
            secret_id_ttl=_SECRET_ID_TTL,
            token_policies=[role],
            token_no_default_policy=True,
            token_ttl=_TOKEN_TTL,
            token_max_ttl=_TOKEN_TTL,
        )
    for key in TRANSIT_KEYS:
        _transit_key(client, key)
    _service_token(client)


def _mounts(client: hvac.Client) -> None:
    engines: Mapping[str, Any] = client.sys.list_mounted_secrets_engines()["data"]
    if f"{KV_MOUNT}/" not in engines:
        client.sys.enable_secrets_engine("kv", path=KV_MOUNT, options={"version": "2"})
    if f"{TRANSIT_MOUNT}/" not in engines:
        client.sys.enable_secrets_engine("transit", path=TRANSIT_MOUNT)
    # Otherwise encrypting to a misspelt key makes that key.
    client.adapter.post(f"/v1/{TRANSIT_MOUNT}/config/keys", json={"disable_upsert": True})
    if "approle/" not in client.sys.list_auth_methods()["data"]:
        client.sys.enable_auth_method("approle")


def _transit_key(client: hvac.Client, key: TransitKey) -> None:
    try:
        client.secrets.transit.read_key(key.name, mount_point=TRANSIT_MOUNT)
    except InvalidPath:
        client.secrets.transit.create_key(
            key.name, key_type=key.type, derived=key.derived, exportable=False, mount_point=TRANSIT_MOUNT
        )


def _service_token(client: hvac.Client) -> None:
    path = f"{KV_PREFIX}/{SERVICE_TOKEN_PATH}"
    try:
        client.secrets.kv.v2.read_secret_version(path, mount_point=KV_MOUNT, raise_on_deleted_version=True)
    except InvalidPath:
        client.secrets.kv.v2.create_or_update_secret(
            path, {"token": secrets.token_urlsafe(32)}, cas=0, mount_point=KV_MOUNT
        )

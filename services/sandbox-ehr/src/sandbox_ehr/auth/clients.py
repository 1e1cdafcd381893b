"""The clients this EHR knows, read from a JSON file that holds no secret.

The file is ``{"clients": [...], "resource_servers": [...], "cds_services": ...}``; the members of a client are those of
OAuth dynamic registration (RFC 7591) with two of our own, ``launch_url`` and ``client_secret_scrypt``.
``resource_servers`` are the FHIR bases of others for which tokens are issued too, ``cds_services`` is the discovery
address of the CDS Hooks services that orders are checked by. Where a URL is http, it must be on this machine.
"""

import hashlib
import hmac
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sandbox_ehr.auth.scopes import OTHER_SCOPES, ResourceScope

__all__ = ["Client", "Clients", "scrypt_hash"]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


class Client(BaseModel):
    """One registered client.

    ``token_endpoint_auth_method`` is none (public), client_secret_basic or private_key_jwt; the last needs
    ``jwks`` or ``jwks_uri``, the second ``client_secret_scrypt`` (made by ``python -m sandbox_ehr.hash_secret``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_id: str = Field(min_length=1, max_length=255)
    client_name: str
    token_endpoint_auth_method: Literal["none", "client_secret_basic", "private_key_jwt"]
    grant_types: tuple[Literal["authorization_code", "refresh_token", "client_credentials"], ...]
    scope: str
    redirect_uris: tuple[str, ...] = ()
    launch_url: str | None = None
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    client_secret_scrypt: str | None = None

    @field_validator("redirect_uris", "launch_url", "jwks_uri")
    @classmethod
    def _urls_are_safe(cls, value: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        for url in (value,) if isinstance(value, str) else value or ():
            _require_safe(url)
        return value

    @field_validator("scope")
    @classmethod
    def _scopes_are_known(cls, value: str) -> str:
        for scope in value.split():
            if scope not in OTHER_SCOPES and ResourceScope.parse(scope) is None:
                raise ValueError(f"not a SMART scope: {scope}")
        return value

    @model_validator(mode="after")
    def _credentials_fit_the_type(self) -> Self:
        method = self.token_endpoint_auth_method
        if (method == "private_key_jwt") != ((self.jwks is None) != (self.jwks_uri is None)):
            raise ValueError("private_key_jwt needs exactly one of jwks and jwks_uri, other clients have neither")
        if (method == "client_secret_basic") != (self.client_secret_scrypt is not None):
            raise ValueError("client_secret_basic, and only it, needs client_secret_scrypt")
        if "authorization_code" in self.grant_types and not self.redirect_uris:
            raise ValueError("authorization_code needs redirect_uris")
        if "client_credentials" in self.grant_types and method != "private_key_jwt":
            raise ValueError("Backend Services clients authenticate by private_key_jwt")
        return self

    @property
    def origins(self) -> frozenset[str]:
        """The origins of the client's pages."""
        urls = [*self.redirect_uris, *([self.launch_url] if self.launch_url else [])]
        return frozenset(f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls))

    def has_secret(self, unverified_secret: str) -> bool:
        """Compare a secret with the stored hash in constant time."""
        if self.client_secret_scrypt is None:
            return False
        salt = bytes.fromhex(self.client_secret_scrypt.partition("$")[0])
        return hmac.compare_digest(scrypt_hash(unverified_secret, salt), self.client_secret_scrypt)


class Clients(BaseModel):
    """The content of the clients file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: tuple[Client, ...]
    resource_servers: tuple[str, ...] = ()
    cds_services: str | None = None

    @field_validator("resource_servers", "cds_services")
    @classmethod
    def _bases_are_safe(cls, value: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        for url in (value,) if isinstance(value, str) else value or ():
            _require_safe(url)
        return value

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        if len({client.client_id for client in self.clients}) != len(self.clients):
            raise ValueError("client_id must be unique")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file; raise ``pydantic.ValidationError`` when it is not one."""
        return cls.model_validate_json(path.read_bytes())

    def get(self, client_id: str | None) -> Client | None:
        """Return the client of this id."""
        return next((client for client in self.clients if client.client_id == client_id), None)

    @property
    def launchable(self) -> tuple[Client, ...]:
        """The clients that can be launched from a stay."""
        return tuple(client for client in self.clients if client.launch_url)

    @property
    def origins(self) -> frozenset[str]:
        """The origins that may call the token and FHIR endpoints from a browser."""
        return frozenset(origin for client in self.clients for origin in client.origins)


def _require_safe(url: str) -> None:
    parts = urlsplit(url)
    if parts.fragment or not parts.hostname:
        raise ValueError(f"not an absolute URL without fragment: {url}")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError(f"must be https, or http on this machine: {url}")


def scrypt_hash(secret: str, salt: bytes) -> str:
    """Return ``salt$hash`` in hexadecimal."""
    digest = hashlib.scrypt(secret.encode(), salt=salt, **_SCRYPT)
    return f"{salt.hex()}${digest.hex()}"

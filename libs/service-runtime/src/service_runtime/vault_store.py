"""The secret store on a HashiCorp Vault or OpenBao server."""

import asyncio
import base64
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import hvac
import requests
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultDown, VaultError

from service_runtime.log import LogCode, log
from service_runtime.secrets import (
    DataKey,
    DecryptionRefused,
    SecretError,
    SecretNotFound,
    SecretStoreUnavailable,
)
from service_runtime.settings import VaultSettings
from service_runtime.vault_login import AgentLogin, KubernetesLogin, LoginRefused, VaultLogin

__all__ = ["VaultSecretStore", "connect_secret_store"]

_T = TypeVar("_T")
_CANARY_KEY = "canary"


def connect_secret_store(settings: VaultSettings) -> "VaultSecretStore":
    """Return the store that ``settings`` describe; nothing is sent before the first call."""
    if settings.login == "agent":
        assert settings.agent_socket is not None
        login: VaultLogin = AgentLogin(settings.agent_socket, settings.role)
    else:
        login = KubernetesLogin(settings.kubernetes_token_file, settings.role)
    return VaultSecretStore(settings, login)


class VaultSecretStore:
    """``SecretStore`` over hvac, whose blocking calls run in threads.

    A token that has run out looks like a denial (403): the store logs in again once and then gives up, so a
    true denial never becomes a login storm.
    """

    def __init__(self, settings: VaultSettings, login: VaultLogin) -> None:
        self._settings = settings
        self._login = login
        self._lock = threading.Lock()
        self._token: str | None = None
        self._kept = threading.local()

    async def read(self, path: str) -> dict[str, str]:
        """See ``SecretStore.read``."""
        full = self._kv_path(path)
        answer = await self._call(
            lambda c: c.secrets.kv.v2.read_secret_version(
                path=full, mount_point=self._settings.kv_mount, raise_on_deleted_version=True
            )
        )
        return {str(name): str(value) for name, value in answer["data"]["data"].items()}

    async def write(self, path: str, fields: dict[str, str]) -> None:
        """See ``SecretStore.write``."""
        full = self._kv_path(path)
        await self._call(
            lambda c: c.secrets.kv.v2.create_or_update_secret(
                path=full, secret=fields, mount_point=self._settings.kv_mount
            )
        )

    async def keep_first(self, path: str, fields: dict[str, str]) -> dict[str, str]:
        """See ``SecretStore.keep_first``."""
        full = self._kv_path(path)

        def keep(client: hvac.Client) -> bool:
            try:
                client.secrets.kv.v2.create_or_update_secret(
                    path=full, secret=fields, cas=0, mount_point=self._settings.kv_mount
                )
            except InvalidRequest as error:
                if "check-and-set" in str(error):
                    return False
                raise
            return True

        return dict(fields) if await self._call(keep) else await self.read(path)

    async def destroy(self, path: str) -> None:
        """See ``SecretStore.destroy``."""
        full = self._kv_path(path)
        await self._call(
            lambda c: c.secrets.kv.v2.delete_metadata_and_all_versions(path=full, mount_point=self._settings.kv_mount)
        )

    async def new_data_key(self, key: str, context: bytes) -> DataKey:
        """See ``SecretStore.new_data_key``."""
        answer = await self._call(
            lambda c: c.secrets.transit.generate_data_key(
                name=key,
                key_type="plaintext",
                context=base64.b64encode(context).decode(),
                mount_point=self._settings.transit_mount,
            )
        )
        return DataKey(base64.b64decode(answer["data"]["plaintext"]), str(answer["data"]["ciphertext"]))

    async def unwrap_data_key(self, key: str, wrapped: str, context: bytes) -> bytes:
        """See ``SecretStore.unwrap_data_key``."""
        answer = await self._call(
            lambda c: c.secrets.transit.decrypt_data(
                name=key,
                ciphertext=wrapped,
                context=base64.b64encode(context).decode(),
                mount_point=self._settings.transit_mount,
            )
        )
        return base64.b64decode(answer["data"]["plaintext"])

    async def sign(self, key: str, message: bytes) -> bytes:
        """See ``SecretStore.sign``."""
        answer = await self._call(
            lambda c: c.secrets.transit.sign_data(
                name=key,
                hash_input=base64.b64encode(message).decode(),
                hash_algorithm="sha2-384",
                marshaling_algorithm="jws",
                # What an RSA key would use otherwise is PSS, which is not RS384; other keys do not look at it.
                signature_algorithm="pkcs1v15",
                mount_point=self._settings.transit_mount,
            )
        )
        encoded = str(answer["data"]["signature"]).rsplit(":", 1)[1]
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))

    async def public_key_pem(self, key: str) -> str:
        """See ``SecretStore.public_key_pem``."""
        answer = await self._call(
            lambda c: c.secrets.transit.read_key(name=key, mount_point=self._settings.transit_mount)
        )
        newest = str(answer["data"]["latest_version"])
        return str(answer["data"]["keys"][newest]["public_key"])

    async def check(self) -> None:
        """See ``SecretStore.check``."""
        probe = b"preceptor"
        key = await self.new_data_key(_CANARY_KEY, probe)
        if await self.unwrap_data_key(_CANARY_KEY, key.wrapped, probe) != key.plaintext:
            raise SecretStoreUnavailable("the Transit round trip returned another key")

    def _kv_path(self, path: str) -> str:
        return f"{self._settings.kv_prefix}/{path}"

    async def _call(self, operation: Callable[[hvac.Client], _T]) -> _T:
        return await asyncio.to_thread(self._call_blocking, operation)

    def _call_blocking(self, operation: Callable[[hvac.Client], _T]) -> _T:
        try:
            try:
                return self._with_kept_client(operation, self._current_token())
            except Forbidden:
                return self._with_kept_client(operation, self._new_token())
        except (requests.RequestException, VaultDown, OSError) as error:
            raise self._unavailable(error) from None
        except (Forbidden, InvalidPath) as error:
            raise SecretNotFound(type(error).__name__) from None
        except InvalidRequest:
            raise DecryptionRefused("the secret store refused the ciphertext or its context") from None
        except VaultError as error:
            raise self._unavailable(error) from None

    def _with_kept_client(self, operation: Callable[[hvac.Client], _T], token: str) -> _T:
        """Use this thread's client and its connection: a new one for each call would cost a TLS handshake.

        A connection that the store has closed meanwhile, or that trusts the authority of an earlier start, is
        replaced once. A store that does not answer in time is not asked again.
        """
        kept: hvac.Client | None = getattr(self._kept, "client", None)
        if kept is not None and kept.token == token:
            try:
                return operation(kept)
            except requests.Timeout:
                raise
            except requests.ConnectionError:
                kept.adapter.close()
        self._kept.client = self._client(token)
        return operation(self._kept.client)

    def _unavailable(self, error: Exception) -> SecretError:
        log(LogCode.SECRET_STORE_UNAVAILABLE, level=logging.WARNING, error_type=type(error).__name__)
        return SecretStoreUnavailable(type(error).__name__)

    def _current_token(self) -> str:
        with self._lock:
            token = self._token
        return token if token is not None else self._new_token()

    def _new_token(self) -> str:
        with self._lock:
            try:
                self._token = self._login(self._client(None))
            except (LoginRefused, Forbidden, InvalidRequest) as error:
                # An answer of the agent that somebody else has unwrapped ends here: a sign of theft.
                log(LogCode.SECRET_STORE_LOGIN_REFUSED, level=logging.ERROR, error_type=type(error).__name__)
                raise SecretStoreUnavailable("the login was refused") from None
            log(LogCode.SECRET_STORE_LOGIN, service=self._settings.role)
            return self._token

    def _client(self, token: str | None) -> hvac.Client:
        verify: Any = str(self._settings.ca_file) if self._settings.ca_file else True
        client = hvac.Client(
            url=self._settings.address,
            token=token,
            verify=verify,
            timeout=(self._settings.connect_timeout_s, self._settings.read_timeout_s),
            strict_http=True,
        )
        if token is None:
            client.token = None
        return client

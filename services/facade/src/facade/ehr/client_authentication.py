"""How we prove to a token endpoint which client we are (SMART App Launch 2.2, client authentication)."""

import base64
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from service_runtime.secrets import SecretStore

from facade.ehr.assertion import ASSERTION_TYPE, ClientAssertions
from facade.ehr.registration import ClientType, Ehr

__all__ = ["ClientAuthentication", "Proof", "client_secret_path"]


def client_secret_path(ehr_id: str) -> str:
    """Return where the secret store holds the secret that an EHR gave us (field ``secret``)."""
    return f"facade/clients/{ehr_id}"


@dataclass(frozen=True, repr=False)
class Proof:
    """What a token request carries beside its grant: members of the form, and headers."""

    form: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class ClientAuthentication:
    """Makes a new proof for each token request; ``jku`` is the address of our key set."""

    def __init__(self, secrets: SecretStore, assertions: ClientAssertions, jku: str | None = None) -> None:
        self._secrets = secrets
        self._assertions = assertions
        self._jku = jku

    async def backend(self, ehr: Ehr, token_url: str) -> Proof:
        """Prove the backend client, always by a signed assertion; raise ``SecretError``."""
        return await self._asserted(ehr, ehr.backend_client_id, token_url)

    async def launch(self, ehr: Ehr, token_url: str) -> Proof:
        """Prove the launched app in the way it is registered; raise ``SecretError``."""
        match ehr.launch_client_type:
            case ClientType.PUBLIC:
                return Proof({"client_id": ehr.launch_client_id})
            case ClientType.SYMMETRIC:
                fields = await self._secrets.read(client_secret_path(ehr.id))
                # RFC 6749, 2.3.1: both are form-urlencoded before they are joined; SMART: no client_id in the body.
                joined = f"{quote_plus(ehr.launch_client_id)}:{quote_plus(fields.get('secret', ''))}"
                return Proof(headers={"Authorization": f"Basic {base64.b64encode(joined.encode()).decode()}"})
            case ClientType.ASYMMETRIC:
                return await self._asserted(ehr, ehr.launch_client_id, token_url)

    async def _asserted(self, ehr: Ehr, client_id: str, token_url: str) -> Proof:
        assertion = await self._assertions.make(
            client_id=client_id,
            token_url=token_url,
            algorithm=ehr.signing_algorithm,
            jku=self._jku if ehr.assertion_jku else None,
        )
        return Proof({"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion})

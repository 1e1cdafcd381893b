"""The parts of the facade, made once per process and handed to route handlers as ``container``."""

from dataclasses import dataclass

from service_runtime.envelope import EnvelopeCipher
from service_runtime.secrets import SecretStore
from service_runtime.service_auth import ServiceAuth

from facade.ehr.connections import EhrConnections
from facade.ehr.registry import EhrRegistry
from facade.pipeline.drafting import Drafting
from facade.pipeline.signing import Signing
from facade.settings import FacadeSettings
from facade.store.database import Database
from facade.store.documents import Documents
from facade.store.inbox import Inbox
from facade.store.outbox import Outbox

__all__ = ["Container"]


@dataclass(frozen=True)
class Container:
    """What handlers may use; ``secrets`` and ``cipher`` are the only way to secrets and sealed data."""

    settings: FacadeSettings
    secrets: SecretStore
    cipher: EnvelopeCipher
    service_auth: ServiceAuth
    database: Database
    ehrs: EhrRegistry
    connections: EhrConnections
    inbox: Inbox
    outbox: Outbox
    documents: Documents
    drafting: Drafting
    signing: Signing

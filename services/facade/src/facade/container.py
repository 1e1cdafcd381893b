"""The parts of the facade, made once per process and handed to route handlers as ``container``."""

import asyncio
from dataclasses import dataclass

import httpx
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from service_runtime.envelope import EnvelopeCipher
from service_runtime.secrets import SecretNotFound, SecretStore
from service_runtime.service_auth import ServiceAuth

from facade.cds_hooks.checking import HttpOrderChecks
from facade.cds_hooks.endpoint import CdsHooks
from facade.ehr.assertion import ClientAssertions
from facade.ehr.client_authentication import ClientAuthentication
from facade.ehr.connections import EhrConnections
from facade.ehr.discovery import Discovery
from facade.ehr.origins import origin_of
from facade.ehr.outbound import outbound_client
from facade.ehr.registry import EhrRegistry
from facade.fhir.access_tokens import AccessTokenVerifier
from facade.fhir.introspection import Introspection
from facade.fhir.results import Results
from facade.fhir.smart_configuration import AuthorizationServers
from facade.fhir.tenants import home_of
from facade.jwt_keys import RemoteKeySets
from facade.operations.build import build_operations
from facade.operations.runner import Operations
from facade.operations.triage_service import HttpTriage, TriageService
from facade.pipeline.drafting import Drafting
from facade.pipeline.reconciliation import HttpReconciliation, Reconciliation
from facade.pipeline.signing import Signing
from facade.settings import FacadeSettings
from facade.smart.authorization_server import AuthorizationServer
from facade.smart.launches import Launches
from facade.smart.pending import PendingLaunches
from facade.smart.sessions import Sessions
from facade.smart.user_access import UserAccess
from facade.store.cds_cards import CdsCards
from facade.store.database import Database
from facade.store.documents import Documents
from facade.store.inbox import Inbox
from facade.store.jobs import Jobs
from facade.store.leases import RetryPolicy
from facade.store.outbox import Outbox
from facade.store.resources import Resources
from facade.store.triage import TriageRecords
from facade.subscriptions.channel_secrets import ChannelSecrets
from facade.subscriptions.receiver import SubscriptionReceiver

__all__ = ["PHI_KEY", "Container", "ContainerOf", "RequestId", "build_container"]

PHI_KEY = "facade-phi"
"""The Transit key that wraps the data keys of everything sealed in the SQL store."""

DATABASE_PASSWORD_PATH = "facade/database"  # noqa: S105  a path, not a secret
"""Where the password of PostgreSQL is kept (field ``password``), where it needs one."""


@dataclass(frozen=True)
class Container:
    """What handlers may use; ``secrets`` and ``cipher`` are the only way to secrets and sealed data.

    ``wake`` is set when an event was stored, ``written_back`` when there is something to write to an EHR.
    """

    settings: FacadeSettings
    secrets: SecretStore
    cipher: EnvelopeCipher
    service_auth: ServiceAuth
    http: httpx.AsyncClient
    key_sets: RemoteKeySets
    database: Database
    ehrs: EhrRegistry
    assertions: ClientAssertions
    discovery: Discovery
    connections: EhrConnections
    reconciliation: Reconciliation
    inbox: Inbox
    outbox: Outbox
    documents: Documents
    resources: Resources
    access_tokens: AccessTokenVerifier
    authorization_servers: AuthorizationServers
    drafting: Drafting
    signing: Signing
    receiver: SubscriptionReceiver
    sessions: Sessions
    launches: Launches
    user_access: UserAccess
    cds_hooks: CdsHooks
    operations: Operations
    triage: TriageService | None
    triage_records: TriageRecords
    wake: asyncio.Event
    written_back: asyncio.Event


ContainerOf = NamedDependency[SkipValidation[Container]]
"""The type of a handler's parameter ``container``."""

RequestId = NamedDependency[str]
"""The type of a handler's parameter ``request_id``."""


def build_container(settings: FacadeSettings, secrets: SecretStore) -> Container:
    """Put the parts together; nothing is read but the file of EHRs, and nothing is sent."""
    ehrs = EhrRegistry.from_file(settings.ehrs_file)
    cipher = EnvelopeCipher(secrets, PHI_KEY)
    service_auth = ServiceAuth(secrets)
    http = outbound_client(
        ehrs.origins,
        [origin_of(url) for url in (settings.reconciliation_url, settings.retrieval_url, settings.triage_url) if url],
        timeout_s=settings.ehr_timeout_s,
        connections=settings.ehr_connections,
    )
    database = Database(settings.database_url, lambda: _database_password(secrets))
    assertions = ClientAssertions(secrets)
    discovery = Discovery(http)
    authentication = ClientAuthentication(secrets, assertions, f"{settings.public_base_url}/.well-known/jwks.json")
    connections = EhrConnections(ehrs, http, authentication, discovery)
    reconciliation = HttpReconciliation(
        http, service_auth, settings.reconciliation_url, grace_ms=settings.reconciliation_grace_ms
    )
    retry = RetryPolicy(settings.retry_base_s, settings.retry_max_s, settings.quarantine_after)
    inbox = Inbox(database, cipher, owner=settings.instance, lease_s=settings.lease_s, retry=retry)
    outbox = Outbox(database, cipher, owner=settings.instance, lease_s=settings.lease_s, retry=retry)
    documents = Documents(database, cipher)
    key_sets = RemoteKeySets(http)
    resources = Resources(
        database,
        cipher,
        secrets,
        key=PHI_KEY,
        home=lambda ehr_id: home_of(ehrs, settings.public_base_url, ehr_id),
    )
    results = Results(resources, ehrs)
    triage = HttpTriage(http, service_auth, settings.triage_url) if settings.triage_url else None
    triage_records = TriageRecords(database, cipher, resources)
    server = AuthorizationServer(http, discovery, authentication, key_sets)
    sessions = Sessions(database, cipher, idle_s=settings.session_idle_s, absolute_s=settings.session_absolute_s)
    wake, written_back = asyncio.Event(), asyncio.Event()
    drafting = Drafting(
        ehrs=ehrs,
        connections=connections,
        reconciliation=reconciliation,
        database=database,
        documents=documents,
        inbox=inbox,
        outbox=outbox,
        results=results,
        public_base_url=settings.public_base_url,
        written_back=written_back,
        budget_ms=settings.drafting_budget_ms,
    )
    return Container(
        settings=settings,
        secrets=secrets,
        cipher=cipher,
        service_auth=service_auth,
        http=http,
        key_sets=key_sets,
        database=database,
        ehrs=ehrs,
        assertions=assertions,
        discovery=discovery,
        connections=connections,
        reconciliation=reconciliation,
        inbox=inbox,
        outbox=outbox,
        documents=documents,
        resources=resources,
        access_tokens=AccessTokenVerifier(key_sets, Introspection(http, assertions)),
        authorization_servers=AuthorizationServers(http),
        drafting=drafting,
        signing=Signing(
            ehrs=ehrs,
            connections=connections,
            documents=documents,
            results=results,
            public_base_url=settings.public_base_url,
        ),
        receiver=SubscriptionReceiver(ehrs, ChannelSecrets(secrets), inbox),
        sessions=sessions,
        launches=Launches(
            ehrs=ehrs,
            http=http,
            server=server,
            pending=PendingLaunches(database, cipher, settings.public_base_url),
            sessions=sessions,
            public_base_url=settings.public_base_url,
        ),
        user_access=UserAccess(ehrs=ehrs, http=http, server=server, sessions=sessions),
        cds_hooks=CdsHooks(
            ehrs=ehrs,
            key_sets=key_sets,
            database=database,
            cards=CdsCards(database, cipher),
            documents=documents,
            http=http,
            checks=HttpOrderChecks(http, service_auth, settings.reconciliation_url),
            public_base_url=settings.public_base_url,
        ),
        operations=build_operations(
            settings,
            http=http,
            service_auth=service_auth,
            connections=connections,
            drafting=drafting,
            resources=resources,
            jobs=Jobs(database, cipher, owner=settings.instance, lease_s=settings.lease_s, retry=retry),
            triage=triage,
            triage_records=triage_records,
        ),
        triage=triage,
        triage_records=triage_records,
        wake=wake,
        written_back=written_back,
    )


async def _database_password(secrets: SecretStore) -> str | None:
    try:
        return (await secrets.read(DATABASE_PASSWORD_PATH))["password"]
    except SecretNotFound:
        return None

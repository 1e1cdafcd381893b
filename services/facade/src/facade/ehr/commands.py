"""``preceptor ehr add``, ``remove`` and ``list``: registering an EHR after seeing what it can do."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from facade.ehr.entered import asked, cds_client_of, client_secret, keep_secret, stop, validated
from facade.ehr.outbound import outbound_client
from facade.ehr.probe import Finding, Level, probe
from facade.ehr.registration import ClientType, Ehr, SigningAlgorithm
from facade.ehr.registry_file import changed_file, read_file
from facade.settings import FacadeSettings

__all__ = ["BACKEND_SCOPES", "LAUNCH_SCOPES", "add", "list_ehrs", "print_findings", "remove"]

LAUNCH_SCOPES = "openid fhirUser launch online_access patient/Patient.rs patient/Encounter.rs user/Practitioner.rs"
_READ = (
    "Patient Encounter Condition Procedure MedicationRequest Medication AllergyIntolerance Observation ServiceRequest "
    "Coverage Practitioner Organization"
)
BACKEND_SCOPES = " ".join(
    [
        *(f"system/{name}.rs" for name in _READ.split()),
        *(f"system/{name}.crus" for name in ("Composition", "DocumentReference", "DetectedIssue", "Task", "Device")),
        *(f"system/{name}.crs" for name in ("Provenance", "AuditEvent")),
        "system/Subscription.crus",
    ]
)
_TOPIC = "http://hl7.org/SubscriptionTopic/encounter-end"
_MARK = {Level.FINE: "[green]fine[/]", Level.MISSING: "[yellow]missing[/]", Level.WRONG: "[red]wrong[/]"}

_Text = Annotated[str | None, typer.Option()]
_Texts = Annotated[list[str] | None, typer.Option()]


def add(  # each parameter is an option of the command line
    id: Annotated[str | None, typer.Option("--id", help="Our short name of it, part of addresses.")] = None,
    name: _Text = None,
    fhir_base: Annotated[str | None, typer.Option(help="Where its FHIR server is.")] = None,
    issuer: Annotated[str | None, typer.Option(help="The iss of its launches, where that is another.")] = None,
    backend_client_id: _Text = None,
    launch_client_id: _Text = None,
    client_type: Annotated[
        ClientType, typer.Option(help="How our launched app proves itself.")
    ] = ClientType.ASYMMETRIC,
    signing_algorithm: SigningAlgorithm = SigningAlgorithm.ES384,
    assertion_jku: Annotated[bool, typer.Option(help="Name our key set in assertions.")] = False,
    backend_scopes: str = BACKEND_SCOPES,
    launch_scopes: str = LAUNCH_SCOPES,
    frame_ancestor: Annotated[list[str] | None, typer.Option(help="An origin that may show our page. Repeat.")] = None,
    origin: Annotated[list[str] | None, typer.Option(help="A further origin we may connect to. Repeat.")] = None,
    cds_client: Annotated[list[str] | None, typer.Option(help="ISS=JWKS_URI of a CDS client. Repeat.")] = None,
    token_issuer: Annotated[str | None, typer.Option(help="Who issues tokens for our FHIR server.")] = None,
    token_jwks_uri: _Text = None,
    introspection_endpoint: _Text = None,
    introspection_client_id: _Text = None,
    encounter_topic: Annotated[str, typer.Option(help="Canonical URL of the topic for finished stays.")] = _TOPIC,
    encounter_filter: _Texts = None,
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help="Read the client secret from stdin.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Change an EHR that is registered.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Register it though something is wrong.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show everything and change nothing.")] = False,
) -> None:
    """Register an EHR: read what it says about itself, say what is missing, and write it into the file of EHRs."""
    console = Console()
    settings = FacadeSettings()
    fhir_base = asked(fhir_base, "--fhir-base", "FHIR base (https://...)")
    tokens = {
        "issuer": token_issuer,
        "jwks_uri": token_jwks_uri,
        "introspection_endpoint": introspection_endpoint,
        "introspection_client_id": introspection_client_id,
    }
    ehr = validated(
        console,
        {
            "id": asked(id, "--id", "Short name"),
            "name": asked(name, "--name", "Name"),
            "issuer": issuer or fhir_base,
            "fhir_base": fhir_base,
            "backend_client_id": asked(backend_client_id, "--backend-client-id", "Client id of the backend"),
            "backend_scopes": backend_scopes,
            "launch_client_id": asked(launch_client_id, "--launch-client-id", "Client id of the launched app"),
            "launch_scopes": launch_scopes,
            "launch_client_type": client_type,
            "signing_algorithm": signing_algorithm,
            "assertion_jku": assertion_jku,
            "frame_ancestors": frame_ancestor or [],
            "origins": origin or [],
            "cds_clients": [cds_client_of(one) for one in cds_client or []],
            "access_tokens": tokens if any(tokens.values()) else None,
            "encounter_topic": encounter_topic,
            "encounter_filters": encounter_filter or [],
        },
    )
    if not replace and any(one.id == ehr.id for one in read_file(settings.ehrs_file)):
        stop(console, f"{ehr.id} is registered already; --replace changes it")
    findings = asyncio.run(_probed(ehr, settings))
    print_findings(console, findings)
    wrong = any(one.level is Level.WRONG for one in findings) and not anyway
    if dry_run:
        console.print_json(data=ehr.model_dump(mode="json", exclude_defaults=True))
        console.print("Nothing was changed.")
        raise typer.Exit(1 if wrong else 0)
    if wrong:
        stop(console, "Nothing was changed. Repair what is wrong, or register it --anyway.")
    secret = client_secret(console, secret_stdin) if client_type is ClientType.SYMMETRIC else None
    if secret is not None:
        keep_secret(console, ehr.id, secret)
    try:
        changed_file(settings.ehrs_file, lambda ehrs: (*(one for one in ehrs if one.id != ehr.id), ehr))
    except (ValueError, OSError) as error:
        stop(console, f"{settings.ehrs_file} was not changed: {error}")
    _next_steps(console, ehr, settings)


def remove(
    ehr_id: Annotated[str, typer.Argument(help="Its short name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only say what would be done.")] = False,
) -> None:
    """Take an EHR out of the file of EHRs and empty its client secret; what was written of it stays."""
    console = Console()
    settings = FacadeSettings()
    found = [ehr for ehr in read_file(settings.ehrs_file) if ehr.id == ehr_id]
    if not found:
        stop(console, f"{ehr_id} is not registered")
    if not yes:
        console.print(f"{ehr_id} ({found[0].fhir_base}) would be removed; --yes does it. Nothing was changed.")
        return
    changed_file(settings.ehrs_file, lambda ehrs: tuple(one for one in ehrs if one.id != ehr_id))
    if found[0].launch_client_type is ClientType.SYMMETRIC:
        keep_secret(console, ehr_id, "")
    console.print(f"{ehr_id} is removed. Restart the facade. Its Subscription in the EHR is still there.")


def list_ehrs() -> None:
    """List the registered EHRs."""
    table = Table("id", "name", "FHIR base", "launched as", "topic")
    for ehr in read_file(FacadeSettings().ehrs_file):
        table.add_row(ehr.id, escape(ehr.name), ehr.fhir_base, ehr.launch_client_type, ehr.encounter_topic)
    Console().print(table)


def print_findings(console: Console, findings: list[Finding]) -> None:
    """Print what was found; the words of an EHR are never markup."""
    for one in findings:
        console.print(f"{_MARK[one.level]} {escape(one.text)}")


async def _probed(ehr: Ehr, settings: FacadeSettings) -> list[Finding]:
    origins = dict.fromkeys(ehr.allowed_origins, ehr.id)
    async with outbound_client(origins, timeout_s=settings.ehr_timeout_s) as http:
        return await probe(ehr, http)


def _next_steps(console: Console, ehr: Ehr, settings: FacadeSettings) -> None:
    base = settings.public_base_url
    console.print(f"{ehr.id} is registered in {settings.ehrs_file}. Restart the facade, then: preceptor ehr check")
    console.print("The EHR must know these addresses:")
    for what, path in (
        ("launch", "/smart/launch"),
        ("redirect", "/smart/callback"),
        ("keys", "/.well-known/jwks.json"),
    ):
        console.print(f"  {what:9} {base}{path}")
    console.print(f"  {'events':9} {base}/subscriptions/{ehr.id}")

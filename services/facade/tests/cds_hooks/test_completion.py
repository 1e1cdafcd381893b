"""Prefetch that is missing, null, failed or not whole is completed at the registered EHR, and nowhere else, or 412."""

import socket

import pytest

# What an attacker, or a misconfigured EHR, may say its FHIR server is. None of it is the registered base.
TRICKS = [
    "https://evil.example.org/fhir",
    "{base}.evil.example.org",
    "{scheme}://evil@{host}/fhir",
    "{scheme}://{host}@evil.example.org/fhir",
    "{scheme}://{host}%40evil.example.org/fhir",
    "{base}/../../evil",
    "{base}/%2e%2e/evil",
    "{base}\\@evil.example.org",
    "{base}#@evil.example.org",
    "{base}?redirect=https://evil.example.org",
    "{base};evil",
    "{base} ",
    " {base}",
    "{base}\t",
    "{base}//",
    "{upper}",
    "{scheme}://{name}.:{port}/fhir",
    "{scheme}://{name}:1/fhir",
    "{scheme}://{name}:0{port}/fhir",
    "{scheme}://127.0.0.1:{port}/fhir",
    "{scheme}://127.1:{port}/fhir",
    "{scheme}://2130706433:{port}/fhir",
    "{scheme}://0x7f000001:{port}/fhir",
    "{scheme}://0177.0.0.1:{port}/fhir",
    "{scheme}://[::1]:{port}/fhir",
    "{scheme}://[::ffff:127.0.0.1]:{port}/fhir",
    "{scheme}://0.0.0.0:{port}/fhir",
    "{scheme}://169.254.169.254/latest/meta-data",
    "{scheme}://metadata.google.internal/",
    "{scheme}://10.0.0.1/fhir",
    "{scheme}://{name}%00.evil.example.org:{port}/fhir",
    "{scheme}://lоcalhost:{port}/fhir",
    "{scheme}://{name}。evil.example.org/fhir",
    "//{host}/fhir",
    "{host}/fhir",
    "file:///etc/passwd",
    "ftp://{host}/fhir",
    "gopher://{host}/fhir",
    "javascript:alert(1)",
    "data:application/json,{{}}",
    "unix:///var/run/docker.sock",
    "{scheme}:{host}/fhir",
    "{scheme}:///{host}/fhir",
    "{scheme}://",
    "{base}/metadata",
    "{base}/Patient",
    "",
    7,
    None,
    ["{base}"],
]


@pytest.fixture
def registered(registered, sandbox):
    """The EHR is the one that runs."""
    return {**registered, "issuer": sandbox.fhir_base, "fhir_base": sandbox.fhir_base}


@pytest.fixture
async def admitted(ward):
    """A patient in the EHR, with simvastatin taken and an allergy to penicillin; and a token that may read."""
    encounter = await ward.admit()
    patient = (await ward.client.read(encounter))["subject"]["reference"].partition("/")[2]
    await ward.client.create(
        {"resourceType": "AllergyIntolerance", "code": {"text": "Penicillin"},
         "patient": {"reference": f"Patient/{patient}"}}
    )  # fmt: skip
    token = await ward.client._tokens.token()
    return patient, encounter.partition("/")[2], token


def request(ehr, sandbox, admitted, *drafts, prefetch=None, **more):
    patient, encounter, token = admitted
    body = ehr.request("order-sign", *drafts, context={"patientId": patient, "encounterId": encounter})
    for one in body["context"]["draftOrders"]["entry"]:
        one["resource"]["subject"] = {"reference": f"Patient/{patient}"}
    grant = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.rs",
        "subject": "cds",
    }
    body |= {"fhirServer": sandbox.fhir_base, "fhirAuthorization": grant}
    body["prefetch"] = prefetch
    return {name: value for name, value in {**body, **more}.items() if value is not None}


def patients_own(body, admitted):
    """The request with a prefetch about this patient."""
    patient = admitted[0]
    body["prefetch"]["patient"]["id"] = patient
    return body


@pytest.mark.requirement(
    "e5",
    "cds-hooks_2.0@34",
    "CDS Services should be capable of accessing FHIR resources via either prefetch or from the CDS Client's FHIR"
    " server.",
)
@pytest.mark.requirement(
    "e5",
    "cds-hooks_2.0@61",
    "CDS Hooks requires that CDS Services present a valid access token to the FHIR server with each API call",
)
@pytest.mark.parametrize("prefetch", [None, {}])
async def test_without_prefetch_everything_is_read_with_the_token_that_came(cds, ehr, sandbox, admitted, prefetch):
    body = request(
        ehr, sandbox, admitted, ehr.draft("Amoxicillin", 500, 3), ehr.draft("Simvastatin", 20, 1), prefetch=prefetch
    )
    cards = await cds.cards("order-sign", body)
    assert {"allergy", "duplicate"} <= {card["source"]["topic"]["code"] for card in cards}


OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
OF_ANOTHER = {"resourceType": "AllergyIntolerance", "id": "x", "patient": {"reference": "Patient/other"}}
FURTHER = {"relation": "next", "url": "https://evil.example.org"}


def searchset(*entries, **more):
    return {"resourceType": "Bundle", "type": "searchset", **({"entry": list(entries)} if entries else {}), **more}


@pytest.mark.requirement(
    "e5", "cds-hooks_2.0@52", "CDS Services SHOULD check any prefetched data for the existence of OperationOutcomes"
)
@pytest.mark.parametrize(
    "value",
    [
        None,
        OUTCOME,
        searchset({"resource": OUTCOME, "search": {"mode": "outcome"}}),
        searchset(total=1),
        searchset(link=[FURTHER]),
        searchset({"resource": OF_ANOTHER}),
        searchset(entry={}),
        {"resourceType": "Bundle", "type": "history"},
        {"resourceType": "Patient", "id": "x"},
        [],
        "text",
    ],
    ids=["null", "outcome", "outcome inside", "fewer than total", "further page", "another patient", "entry no list",
         "history", "another resource", "list", "text"],
)  # fmt: skip
@pytest.mark.requirement(
    "e5",
    "cds-hooks_2.0@48",
    "CDS Client MAY paginate prefetch results",
)
@pytest.mark.requirement(
    "e5",
    "cds-hooks_2.0@50",
    "If the CDS Client encounters errors prefetching the requested data, OperationOutcome(s) SHOULD be used to "
    "communicate those errors",
)
async def test_a_part_that_is_not_the_whole_answer_is_read_again(cds, ehr, sandbox, admitted, value):
    whole = ehr.request("order-sign")["prefetch"]
    prefetch = {**whole, "patient": {**whole["patient"], "id": admitted[0]}, "allergies": value}
    body = request(ehr, sandbox, admitted, ehr.draft("Amoxicillin", 500, 3), prefetch=prefetch)
    assert "allergy" in [card["source"]["topic"]["code"] for card in await cds.cards("order-sign", body)]


@pytest.mark.requirement(
    "e5",
    "cds-hooks_2.0@54",
    "If the CDS Service is unable to obtain required data because it cannot access the FHIR server and the "
    "request did not contain the necessary prefetch keys, the service SHALL respond with an HTTP 412 Precondition"
    " Failed status code.",
)
@pytest.mark.parametrize(
    "change",
    [
        {"fhirAuthorization": None},
        {"fhirServer": None},
        {"fhirAuthorization": {"access_token": "not a token of this EHR", "token_type": "Bearer"}},
        {"fhirAuthorization": {"access_token": "refused", "token_type": "Bearer"}},
        {"fhirAuthorization": {"access_token": "x\r\nHost: evil", "token_type": "Bearer"}},
        {"fhirAuthorization": {"token_type": "Bearer"}},
        {"fhirAuthorization": "Bearer x"},
    ],
)
async def test_what_cannot_be_had_is_a_failed_precondition(cds, ehr, sandbox, admitted, change):
    body = request(ehr, sandbox, admitted, ehr.draft("Amoxicillin", 500, 3), prefetch={}) | change
    answer = await cds.call("order-sign", {name: value for name, value in body.items() if value is not None})
    assert answer.status_code == 412
    assert answer.json()["issue"][0]["details"]["text"] == "Needed to check orders: allergies, medications, patient."


async def test_a_token_for_another_patient_is_not_used(cds, ehr, sandbox, admitted, connections):
    body = request(ehr, sandbox, admitted, ehr.draft("Amoxicillin", 500, 3), prefetch={})
    body["fhirAuthorization"]["patient"] = "somebody-else"
    assert (await cds.call("order-sign", body)).status_code == 412


@pytest.mark.requirement(
    "e5",
    "cds-hooks_2.0@53",
    "If the CDS Client has no data to populate a template prefetch key, the prefetch template key MUST have a "
    "value of null.",
)
async def test_no_data_is_believed_where_we_may_not_look(cds, ehr, sandbox, admitted):
    whole = ehr.request("order-sign")["prefetch"]
    nothing = {**dict.fromkeys(whole), "patient": {**whole["patient"], "id": admitted[0]}}
    body = request(ehr, sandbox, admitted, ehr.draft("Simvastatin", 20, 1), prefetch=nothing, fhirAuthorization=None)
    body.pop("fhirAuthorization", None)
    assert await cds.cards("order-sign", body) == []
    body["prefetch"] = {**nothing, "patient": None}
    assert (await cds.call("order-sign", body)).status_code == 412


async def test_a_part_that_not_every_check_needs_is_said_to_be_missing(cds, ehr, sandbox, admitted):
    whole = ehr.request("order-sign")["prefetch"]
    prefetch = {**whole, "patient": {**whole["patient"], "id": admitted[0]}, "observations": OUTCOME}
    body = request(ehr, sandbox, admitted, ehr.draft("Simvastatin", 20, 1), prefetch=prefetch)
    body.pop("fhirAuthorization")
    (card,) = await cds.cards("order-sign", body)
    assert "kidney dosing" in card["summary"]
    assert "the EHR did not give the data" in card["summary"]


@pytest.mark.requirement("e5", "", "Completed with fhirAuthorization on the registered fhirServer.")
async def test_no_trick_with_the_server_leads_to_a_connection(cds, ehr, sandbox, admitted, connections):
    host = sandbox.base_url.partition("://")[2]
    name, _, port = host.partition(":")
    words = {"base": sandbox.fhir_base, "scheme": "http", "host": host, "name": name, "port": port,
             "upper": sandbox.fhir_base.upper()}  # fmt: skip
    await cds.call("patient-view", ehr.request("patient-view"))  # so that the keys of the client are known
    connections.clear()
    answered = []
    for trick in TRICKS:
        server = trick.format(**words) if isinstance(trick, str) else trick
        body = request(ehr, sandbox, admitted, ehr.draft("Amoxicillin", 500, 3), prefetch={}, fhirServer=server)
        body["fhirServer"] = server
        answered.append((await cds.call("order-sign", body)).status_code)
    assert set(answered) == {412}
    assert connections == []
    body = request(ehr, sandbox, admitted, ehr.draft("Amoxicillin", 500, 3))
    assert (await cds.call("order-sign", body)).status_code == 200
    assert connections, "a connection would have been seen"


async def test_the_registered_server_may_be_named_with_a_slash(cds, ehr, sandbox, admitted):
    body = request(ehr, sandbox, admitted, ehr.draft("Amoxicillin", 500, 3), fhirServer=f"{sandbox.fhir_base}/")
    assert (await cds.call("order-sign", body)).status_code == 200


@pytest.mark.requirement("e8", "", "Prefetch completed inside the budget, else 412.")
async def test_an_ehr_that_hangs_costs_no_more_than_the_budget(
    real_budget, facade_with, cds_settings, ehr, sandbox, admitted
):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        base = f"http://127.0.0.1:{silent.getsockname()[1]}/fhir"
        text = cds_settings.ehrs_file.read_text().replace(sandbox.fhir_base, base)
        cds_settings.ehrs_file.write_text(text)
        async with facade_with() as cds:
            await cds.call("patient-view", ehr.request("patient-view"))
            body = request(ehr, sandbox, admitted, ehr.draft("Amoxicillin", 500, 3), fhirServer=base)
            answer = await cds.call("order-sign", body)
    assert answer.status_code == 412
    assert answer.elapsed.total_seconds() < 2.0  # the machine that runs the tests is shared


def test_the_tricks_are_many():
    assert len(TRICKS) >= 45

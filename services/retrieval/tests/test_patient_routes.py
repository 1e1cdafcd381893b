"""Texts about patients over HTTP: kept, found and forgotten by our own services only, and never written down."""

import asyncio
import warnings

import pytest
from litestar.testing import AsyncTestClient, TestClient
from retrieval.embedded_index import open_embedded_index
from retrieval.engines import open_texts
from retrieval.index import IndexUnavailable
from retrieval.ingress import build_ingress
from retrieval.patient_service import PatientService
from retrieval.service import RetrievalService
from retrieval.settings import RetrievalSettings
from service_contracts.evidence import Passage
from service_contracts.patient_texts import PatientForgotten, PatientTextsKept
from service_runtime.secrets import SecretStoreUnavailable

TOKEN = {"Authorization": "Bearer right"}
ONE, OTHER = "https://ehr.example/fhir/Patient/Quokka-1", "https://ehr.example/fhir/Patient/Quokka-2"
CANARIES = ("Quokka", "zanzibar", "wombat", "laryngitis")
ROUTES = ("/v1/patient-texts", "/v1/patient-passages", "/v1/patient-texts/forget")


async def accepts(header):
    if header == "Bearer sealed":
        raise SecretStoreUnavailable("sealed")
    return header == "Bearer right"


@pytest.fixture
def settings(tmp_path):
    return RetrievalSettings(index_dir=tmp_path / "index")


@pytest.fixture
def serve(settings, secrets):
    """Serve the embedded engine; ``open_patients`` takes its place, None leaves patients out."""

    async def open_index():
        return await open_embedded_index(settings.index_dir, secrets, read=False)

    async def open_patients():
        return await open_texts(settings, secrets)

    clients = []

    def start(patients=open_patients):
        index = RetrievalService(open_index, refresh_every_s=5)
        desk = None if patients is None else PatientService(patients)
        app = build_ingress(lambda: index, accepts, max_body_bytes=200_000, max_budget_ms=10_000, patients=desk)
        client = TestClient(app)
        clients.append(client)
        return client.__enter__()

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def kept(make):
    """A body that keeps texts."""

    def body(patient, *texts):
        source = make.source().model_dump(mode="json")
        found = [{"id": f"note-{n}", "source": source, "text": text} for n, text in enumerate(texts)]
        return {"patient": patient, "texts": found, "budget_ms": 9_000}

    return body


def search(client, patient, text):
    body = {"patient": patient, "text": text, "budget_ms": 9_000}
    answer = client.post("/v1/patient-passages", json=body, headers=TOKEN)
    assert answer.status_code == 200, answer.text
    return [Passage.model_validate(one).text for one in answer.json()]


def forget(client, patient):
    body = {"patient": patient, "budget_ms": 9_000}
    return client.post("/v1/patient-texts/forget", json=body, headers=TOKEN)


def test_texts_are_kept_found_in_one_patient_and_forgotten_and_nothing_of_them_is_logged(serve, kept, capsys):
    client = serve()
    for patient, word in ((ONE, "wombat"), (OTHER, "laryngitis")):
        answer = client.post(
            "/v1/patient-texts",
            json=kept(patient, f"zanzibar {word}", "something else"),
            headers=TOKEN | {"X-Request-Id": "r-7"},
        )
        assert PatientTextsKept.model_validate(answer.json()).count == 2
        assert answer.headers["x-request-id"] == "r-7"
    assert search(client, ONE, "zanzibar") == ["zanzibar wombat"]
    assert search(client, ONE, "laryngitis") == []
    assert PatientForgotten.model_validate(forget(client, ONE).json()).count == 2
    assert search(client, ONE, "zanzibar") == []
    assert forget(client, ONE).json() == {"count": 0}
    assert search(client, OTHER, "zanzibar") == ["zanzibar laryngitis"]
    output = "".join(capsys.readouterr())
    assert "/v1/patient-passages" in output
    assert [word for word in CANARIES if word in output] == []


def test_a_query_that_fails_is_not_logged_either(serve, capsys):
    async def broken():
        raise RuntimeError("zanzibar")

    body = {"patient": ONE, "text": "wombat", "budget_ms": 9_000}
    answer = serve(broken).post("/v1/patient-passages", json=body, headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    output = answer.text + "".join(capsys.readouterr())
    assert [word for word in CANARIES if word in output] == []


@pytest.mark.parametrize("route", ROUTES)
def test_where_no_texts_are_kept_the_routes_are_not_there(serve, route):
    assert serve(None).post(route, json={}, headers=TOKEN).status_code == 404


def test_nothing_about_patients_is_kept_unless_it_is_asked_for(settings):
    assert settings.patient_texts is False


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("header", "status"),
    [({}, 401), ({"Authorization": "Bearer wrong"}, 401), ({"Authorization": "Bearer sealed"}, 503)],
)
def test_a_request_without_the_service_token_is_refused(serve, kept, route, header, status):
    assert serve().post(route, json=kept(ONE, "zanzibar"), headers=header).status_code == status


@pytest.mark.parametrize(
    "patient", ["", "Patient/Quokka-1", f"{ONE} ", f"{ONE}/Quokka", "https://ehr.example/fhir/Group/1"]
)
@pytest.mark.parametrize("route", ROUTES)
def test_a_patient_is_an_absolute_reference_and_its_value_is_not_repeated(serve, kept, route, patient):
    more = {"/v1/patient-texts": kept(patient, "zanzibar"), "/v1/patient-passages": {"text": "zanzibar"}}.get(route, {})
    answer = serve().post(route, json={"patient": patient, "budget_ms": 100} | more, headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert "Quokka" not in answer.text and "zanzibar" not in answer.text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SecretStoreUnavailable("sealed"), "secret-store-unavailable"),
        (IndexUnavailable("away"), "index-unavailable"),
    ],
)
def test_what_cannot_be_done_is_said_and_tried_again_at_the_next_call(serve, kept, settings, secrets, error, code):
    troubles = [error]

    async def open_patients():
        if troubles:
            raise troubles.pop()
        return await open_texts(settings, secrets)

    client = serve(open_patients)
    answer = forget(client, ONE)
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert client.post("/v1/patient-texts", json=kept(ONE, "zanzibar"), headers=TOKEN).status_code == 200


def test_a_search_that_is_late_is_no_empty_answer(serve):
    async def slow():
        await asyncio.sleep(30)

    body = {"patient": ONE, "text": "zanzibar", "budget_ms": 30}
    answer = serve(slow).post("/v1/patient-passages", json=body, headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (503, "deadline")


def test_rows_without_a_key_are_unreadable_and_never_a_patient_without_texts(serve, kept, secrets):
    client = serve()
    client.post("/v1/patient-texts", json=kept(ONE, "zanzibar"), headers=TOKEN)
    (place,) = [path for path in secrets._fields if path.startswith("retrieval/patient-keys/")]
    assert "Quokka" not in place
    del secrets._fields[place]
    answer = client.post("/v1/patient-passages", json={"patient": ONE, "text": "x", "budget_ms": 9_000}, headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (503, "patient-texts-unreadable")


@pytest.mark.parametrize(("setting", "status"), [("true", 200), (None, 404)])
async def test_a_replica_serves_them_where_its_setting_says_so(tmp_path, monkeypatch, secrets, setting, status):
    with warnings.catch_warnings():
        # What Ray does as it is imported.
        warnings.simplefilter("ignore")
        from retrieval import deployment
    monkeypatch.setenv("PRECEPTOR_RETRIEVAL_INDEX_DIR", str(tmp_path / "index"))
    if setting is not None:
        monkeypatch.setenv("PRECEPTOR_RETRIEVAL_PATIENT_TEXTS", setting)
    monkeypatch.setattr(deployment, "VaultSettings", lambda: None)
    monkeypatch.setattr(deployment, "configure_logging", lambda _: None)  # it would hold for every later test
    monkeypatch.setattr(deployment, "connect_secret_store", lambda _: secrets)
    await secrets.write("services/token", {"token": "t" * 40})
    replica = deployment.Retrieval.__new__(deployment.Retrieval)
    await replica.__init__()
    try:
        async with AsyncTestClient(replica.__serve_build_asgi_app__()) as client:
            answer = await client.post(
                "/v1/patient-texts/forget",
                json={"patient": ONE, "budget_ms": 9_000},
                headers={"Authorization": f"Bearer {'t' * 40}"},
            )
            assert answer.status_code == status
    finally:
        replica._running.cancel()
        await asyncio.gather(replica._running, return_exceptions=True)

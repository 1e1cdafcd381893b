"""Formularies of a FHIR server that pages: all of it, or a sentence that says what was in the way."""

# ruff: noqa: E501  addresses stand as they come

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from retrieval.importers.fhir_download import Limits, download_formularies, server_address
from retrieval.importers.formularies import FhirFormularies
from retrieval.importers.records import RecordRefused
from retrieval.ingest import ingest

USDF = "http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-"


class Server:
    """A FHIR server over the resources of an export; ``answer`` may take a request over."""

    def __init__(self, resources, page=2):
        self.resources = resources
        self.page = page
        self.asked = []
        self.answer = lambda handler, url: False
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlsplit(self.path)
                server.asked.append(self.path)
                if not server.answer(self, url):
                    server.search(self, url)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}/fhir"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def search(self, handler, url):
        query = parse_qs(url.query)
        kind = url.path.rsplit("/", 1)[1]
        found = [one for one in self.resources if one["resourceType"] == kind]
        if kind == "InsurancePlan":
            assert query["type"] == ["DRUGPOL"]
        else:
            (plan,) = query["formulary"]
            found = [one for one in found if plan in json.dumps(one)]
            subjects = {one["subject"]["reference"] for one in found}
            included = [one for one in self.resources if f"{one['resourceType']}/{one['id']}" in subjects]
        start = int(query.get("_offset", ["0"])[0])
        entries = [{"resource": one, "search": {"mode": "match"}} for one in found[start : start + self.page]]
        if kind == "Basic":
            entries += [{"resource": one, "search": {"mode": "include"}} for one in included]
        links = [{"relation": "self", "url": self.path_of(url)}]
        if start + self.page < len(found):
            more = "&".join(f"{name}={value[0]}" for name, value in query.items() if name != "_offset")
            links.append({"relation": "next", "url": f"{self.base}/{kind}?{more}&_offset={start + self.page}"})
        self.send(handler, {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries})

    def path_of(self, url):
        return f"{self.base}/{url.path}?{url.query}"

    @staticmethod
    def send(handler, body, status=200, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)
        return True


def resources():
    plans = [
        {"resourceType": "InsurancePlan", "id": f"F{n}", "name": f"Plan {n}", "status": "active",
         "type": [{"coding": [{"code": "DRUGPOL"}]}], "period": {"start": "2026-01-01", "end": "2026-12-31"}}
        for n in (1, 2, 3)
    ]  # fmt: skip
    coding = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1", "display": "metformin 500 MG"}
    drugs = [{"resourceType": "MedicationKnowledge", "id": f"D{n}", "code": {"coding": [coding]}} for n in range(5)]
    items = [
        {"resourceType": "Basic", "id": f"I{n}-{plan['id']}", "subject": {"reference": f"MedicationKnowledge/D{n}"},
         "extension": [{"url": f"{USDF}FormularyReference-extension",
                        "valueReference": {"reference": f"InsurancePlan/{plan['id']}"}}]}
        for n in range(5) for plan in plans
    ]  # fmt: skip
    return [*plans, *drugs, *items]


@pytest.fixture
def server():
    one = Server(resources())
    yield one
    one.http.shutdown()
    one.http.server_close()


def download(server, folder, **more):
    return download_formularies(server_address(server.base), folder, sleep=lambda _: None, **more)


async def test_every_page_is_read_and_the_same_again_is_no_change(server, tmp_path, index):
    told = []
    assert download(server, tmp_path, advance=told.append) == 3
    assert sum(told) == len(resources())
    report = await ingest(index, FhirFormularies(), tmp_path)
    assert (report.counts.added, report.facts, report.refused) == (3, 15, [])
    again = tmp_path / "again"
    again.mkdir()
    download(server, again)
    assert (await ingest(index, FhirFormularies(), again)).skipped == 3


@contextmanager
def refused(why):
    with pytest.raises(RecordRefused, match=why) as caught:
        yield
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("http://127.0.0.1:1/fhir/Basic?page=2", "lies on another server"),
        ("https://elsewhere.example/fhir/Basic?page=2", "lies on another server"),
        ("file:///etc/passwd", "lies on another server"),
        ("//elsewhere.example/fhir", "lies on another server"),
        ("InsurancePlan?type=DRUGPOL&_count=250", "in a circle"),
        ("http://a:b", "has no address"),
    ],
)
def test_a_next_page_elsewhere_or_in_a_circle_is_not_followed(server, tmp_path, link, why):
    page = {"resourceType": "Bundle", "link": [{"relation": "next", "url": link}]}
    server.answer = lambda handler, url: server.send(handler, page)
    with refused(why):
        download(server, tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda handler: Server.send(handler, b"", 302, Location="https://elsewhere.example/"), "answered 302"),
        (lambda handler: Server.send(handler, b"", 401), "answered 401"),
        (lambda handler: Server.send(handler, b"", 500), "answered 500"),
        (lambda handler: Server.send(handler, b"<html>"), "not JSON"),
        (lambda handler: Server.send(handler, b"[" * 100_000), "not JSON"),
        (lambda handler: Server.send(handler, {"resourceType": "OperationOutcome"}), "not a Bundle"),
        (lambda handler: Server.send(handler, {"resourceType": "Bundle"}), "has no formulary"),
        (lambda handler: Server.send(handler, b"x" * 10, Content_Length="20"), "does not answer"),
    ],
)
def test_an_answer_that_is_none_ends_the_download_in_a_sentence(server, tmp_path, answer, why):
    server.answer = lambda handler, url: answer(handler)
    with refused(why):
        download(server, tmp_path)


def test_a_busy_server_is_asked_again_and_not_for_ever(server, tmp_path):
    busy = [503, 429, 504]
    server.answer = lambda handler, url: bool(busy) and server.send(handler, b"", busy.pop(), Retry_After="1")
    assert download(server, tmp_path) == 3
    server.answer = lambda handler, url: server.send(handler, b"", 503)
    server.asked.clear()
    with refused("answered 503"):
        download(server, tmp_path)
    assert len(server.asked) == 4


def test_what_a_server_sends_is_limited(server, tmp_path):
    class Small(Limits):
        page_bytes = 100

    class Few(Limits):
        pages = 3

    class Short(Limits):
        all_s = 0.0

    for limits, why in ((Small, "more than the limit"), (Few, "more than 3 pages"), (Short, "longer than the limit")):
        with refused(why):
            download(server, tmp_path, limits=limits)


def test_a_download_that_is_stopped_keeps_nothing(server, tmp_path):
    with refused("stopped before"):
        download(server, tmp_path, stop=lambda: len(server.asked) > 1)


@pytest.mark.parametrize(
    "address",
    ["http://payer.example/fhir", "ftp://x", "payer.example", "https://a:b@payer.example/", "https://x/?a=b", "", "https://[", "https://a:b", "file:///etc"],
)  # fmt: skip
def test_an_address_that_is_not_a_server_is_refused(address):
    with pytest.raises(ValueError, match="address"):
        server_address(address)
    assert str(server_address("https://payer.example/fhir")) == "https://payer.example/fhir/"

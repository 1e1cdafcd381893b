"""A marked patient goes through everything, and the name is nowhere but in the EHR and before the clinician."""

import io
import logging

import httpx
import pytest
import structlog
from facade.app import build_app
from facade.decisions import Decision, DecisionAction
from facade.resources.signing import Signer
from litestar import Litestar
from service_runtime.log import configure_logging

NAME = "Zebediahquill"


@pytest.fixture
def log_lines():
    """Everything that would reach a log, were every library asked for all it has to say."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    configure_logging("facade", logging.DEBUG)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(lines))
    yield lines.getvalue
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.removeHandler(handler)
    root.setLevel(level)
    logging.disable(logging.NOTSET)


def sent_urls(facade):
    urls = []

    async def remember(request):
        urls.append(str(request.url))

    facade.http.event_hooks["request"].append(remember)
    return urls


async def test_the_name_and_the_stay_are_in_no_log_no_file_and_no_address(
    log_lines, facade, ward, suite, eventually, tmp_path, new_request_id
):
    urls = sent_urls(facade)
    suite.drafting.failure = "drafting-unavailable"
    encounter = await ward.admit(name=NAME)
    await ward.discharge(encounter)
    await eventually(lambda: ward.written(encounter), lambda found: found["Task"])
    suite.drafting.failure = None
    await eventually(lambda: facade.documents.get("sandbox", encounter), lambda stored: stored and stored.written)
    stored = await facade.documents.get("sandbox", encounter)
    for flag in stored.document.flags:
        decision = Decision(flag.id, DecisionAction.OVERRIDE, "Practitioner/1", stored.created_at, f"{NAME} wants it.")
        await facade.documents.record_decision("sandbox", encounter, decision)
    sections = [one.model_copy(update={"text": f"Dear {NAME}, {one.text}"}) for one in stored.document.sections]
    signer = Signer("Practitioner/1", f"Dr. {NAME}")
    await facade.signing.sign("sandbox", encounter, signer=signer, sections=sections, request_id=new_request_id)
    composition = (await ward.written(encounter))["Composition"][0]
    assert NAME in str(composition), "the clinician's own words belong in the EHR"
    await every_route(facade)
    lines = log_lines()
    assert '"event": "document.signed"' in lines
    assert lines.count("request.served") > 10
    for secret in (NAME, encounter.split("/")[1], stored.patient.split("/")[1], "1961-02-03"):
        assert secret not in lines
    assert NAME not in "".join(urls)
    for file in tmp_path.iterdir():
        raw = file.read_bytes()
        assert NAME.encode() not in raw, file.name
        assert encounter.encode() not in raw, file.name


async def every_route(facade):
    """Send the name to every route there is, in its path, its query, its headers and its body."""
    token = (await facade.secrets.read("facade/subscriptions/sandbox"))["token"]
    async with httpx.AsyncClient(base_url=facade.settings.public_base_url, follow_redirects=False) as client:
        for path, methods in routes_of(facade):
            for method in methods:
                for headers in ({"X-Name": NAME}, {"Authorization": f"Bearer {token}", "Cookie": f"session={NAME}"}):
                    body = {"resourceType": NAME, "text": NAME}
                    answer = await client.request(method, path, params={"iss": NAME}, headers=headers, json=body)
                    assert answer.status_code < 500 or path == "/readyz", path
        unknown = await client.get(f"/{NAME}/Patient", params={"name": NAME})
        assert NAME not in unknown.text
        bad = await client.post(
            "/subscriptions/sandbox", content=f'{{"name": "{NAME}"', headers={"Authorization": f"Bearer {token}"}
        )
        assert bad.status_code == 400
        assert NAME not in bad.text


def routes_of(facade):
    """Return every address, with the name as each of its parameters, and its methods."""
    # What stands around the application are closures and objects that hold it.
    waiting = [build_app(facade)]
    while not isinstance(waiting[0], Litestar):
        one = waiting.pop(0)
        waiting += [cell.cell_contents for cell in getattr(one, "__closure__", None) or ()]
        waiting += getattr(one, "__dict__", {}).values()
    (app,) = waiting[:1]
    found = [
        (route.path_format.format(**dict.fromkeys(route.path_parameters, NAME)), sorted(route.methods - {"OPTIONS"}))
        for route in app.routes
    ]
    assert len(found) > 8
    return found

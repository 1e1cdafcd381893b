"""Acting as the clinician: refreshed once for all, and over when the EHR says so."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from facade.ehr.assertion import ASSERTION_TYPE
from facade.smart.errors import EhrUnavailable
from facade.smart.sessions import SessionEnded
from facade.smart.user_access import UserAccess


@pytest.fixture
def settings_for(settings_for, sandbox, tmp_path):
    """A registration that asks for refresh tokens."""

    def make(**changes):
        settings = settings_for(**changes)
        entry = {**sandbox.entry, "launch_scopes": f"{sandbox.entry['launch_scopes']} online_access"}
        entry["origins"] = ["http://localhost:9"]
        settings.ehrs_file.write_text(json.dumps([entry]))
        return settings

    return make


async def opened(clinician):
    window = (await clinician.launch()).rpartition("/")[2]
    return await clinician.container.sessions.find(window, clinician.cookies[f"preceptor-session-{window}"])


async def changed(container, session, **changes):
    await container.sessions.replace(session, session.context.model_copy(update=changes))


def token_requests(container):
    seen = []

    async def note(request):
        if request.url.path == "/auth/token" and b"refresh_token" in request.content:
            seen.append(request)

    container.http.event_hooks["request"].append(note)
    return seen


async def test_a_token_that_is_good_is_used_as_it_is(clinician):
    session = await opened(clinician)
    requests = token_requests(clinician.container)

    await clinician.container.user_access.confirm(session)

    assert requests == []


@pytest.mark.requirement(
    "a6",
    "hl7.fhir.uv.smart-app-launch_2.2.0@105",
    "[When requesting a new access token using a refresh token the] `grant_type` [parameter is] `required`[and SHALL "
    "contain the] Fixed value: `refresh_token`",
)
async def test_a_token_that_ran_out_is_refreshed_once_for_all_who_wait(clinician):
    session = await opened(clinician)
    await changed(clinician.container, session, token_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    requests = token_requests(clinician.container)

    await asyncio.gather(*(clinician.container.user_access.confirm(session) for _ in range(5)))

    assert len(requests) == 1
    kept = await clinician.container.sessions.context(session)
    assert kept.access_token != session.context.access_token
    # The sandbox uses refresh tokens up: keeping the old one would end the session at the next refresh.
    assert kept.refresh_token != session.context.refresh_token


@pytest.mark.requirement("a6", "", "concurrent refresh is one request")
async def test_two_processes_refresh_once_together(clinician):
    session = await opened(clinician)
    await changed(clinician.container, session, token_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    requests = token_requests(clinician.container)
    container = clinician.container
    # Another process has locks of its own; it shares the database.
    processes = [
        UserAccess(ehrs=container.ehrs, http=container.http, server=container.user_access._server, sessions=one)
        for one in (container.sessions, container.sessions)
    ]

    await asyncio.gather(*(one.confirm(session) for one in processes for _ in range(3)))

    assert len(requests) == 1
    await container.user_access.confirm(session)


async def test_a_claim_of_a_process_that_died_runs_out(clinician):
    session = await opened(clinician)
    await changed(clinician.container, session, token_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert await clinician.container.sessions.claim_renewal(session, 0.4)
    assert not await clinician.container.sessions.claim_renewal(session, 0.4)

    await clinician.container.user_access.confirm(session)


async def test_a_token_that_ran_out_without_a_refresh_token_ends_the_session(clinician):
    session = await opened(clinician)
    past = datetime.now(UTC) - timedelta(seconds=1)
    await changed(clinician.container, session, token_expires_at=past, refresh_token=None)

    with pytest.raises(SessionEnded):
        await clinician.container.user_access.confirm(session)
    with pytest.raises(SessionEnded):
        await clinician.container.sessions.context(session)


async def test_a_token_the_ehr_revoked_ends_the_session(clinician):
    session = await opened(clinician)
    revoke_url = f"{clinician.ehr.base_url}/auth/revoke"
    assertion = await clinician.container.assertions.make(
        client_id="preceptor", token_url=f"{clinician.ehr.base_url}/auth/token"
    )
    answer = await clinician.http.post(
        revoke_url,
        data={
            "token": session.context.access_token,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        },
    )
    assert answer.status_code == 200

    with pytest.raises(SessionEnded):
        await clinician.container.user_access.confirm(session)


async def test_a_refresh_token_the_ehr_refuses_ends_the_session(clinician):
    session = await opened(clinician)
    past = datetime.now(UTC) - timedelta(seconds=1)
    await changed(clinician.container, session, token_expires_at=past, refresh_token="not one of theirs")

    with pytest.raises(SessionEnded):
        await clinician.container.user_access.confirm(session)


async def test_an_ehr_that_does_not_answer_does_not_end_the_session(clinician, monkeypatch):
    session = await opened(clinician)
    past = datetime.now(UTC) - timedelta(seconds=1)
    nowhere = "http://localhost:9/auth/token"
    await changed(clinician.container, session, token_expires_at=past, token_endpoint=nowhere)

    with pytest.raises(EhrUnavailable):
        await clinician.container.user_access.confirm(session)
    assert await clinician.container.sessions.context(session)

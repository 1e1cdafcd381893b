"""Tokens for the FHIR servers of others: issued when asked for, of use there only, and found out by introspection."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

RESULTS = "https://results.example.org/fhir"
STRANGE = "https://results.example.org.evil.example/fhir"


def claims(ehr: Any, token: str) -> dict[str, Any]:
    """Verify a token as another server does: by the published keys alone."""
    return dict(
        jwt.decode(token, KeySet.import_key_set(ehr.http.get("/auth/jwks").json()), algorithms=["RS256"]).claims
    )


def backend_token(ehr: Any, **form: Any) -> Any:
    wanted = {"grant_type": "client_credentials", "scope": "system/Composition.rs", **form}
    return ehr.with_proof("backend", wanted)


def test_a_backend_token_for_another_server_names_it_and_opens_nothing_here(ehr: Any) -> None:
    answer = backend_token(ehr, resource=RESULTS)
    token = answer.json()["access_token"]
    assert claims(ehr, token)["aud"] == RESULTS
    assert ehr.http.get("/fhir/Composition", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_without_resource_a_token_is_for_this_server(ehr: Any) -> None:
    for form in ({}, {"resource": ehr.fhir_base}):
        assert claims(ehr, backend_token(ehr, **form).json()["access_token"])["aud"] == ehr.fhir_base


@pytest.mark.parametrize("resource", [STRANGE, "", f"{RESULTS}/", "https://results.example.org"])
def test_no_token_is_issued_for_a_server_that_is_not_registered(ehr: Any, resource: str) -> None:
    answer = backend_token(ehr, resource=resource)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


def test_a_users_token_for_another_server_says_whose_patient_and_who(ehr: Any) -> None:
    scope = "openid fhirUser launch patient/Composition.rs"
    answer = ehr.redeem("jwt-app", ehr.code("jwt-app", scope, aud=RESULTS))
    said = claims(ehr, answer.json()["access_token"])
    assert said["aud"] == RESULTS
    assert said["patient"] == answer.json()["patient"]
    assert said["fhirUser"].startswith(f"{ehr.fhir_base}/Practitioner/")


def test_a_grant_for_one_server_gives_no_token_for_another(ehr: Any) -> None:
    code = ehr.code("jwt-app", "launch patient/Composition.rs", aud=RESULTS)
    answer = ehr.redeem("jwt-app", code, resource=ehr.fhir_base)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


def test_introspection_says_for_whom_a_token_is_and_revocation_ends_it(ehr: Any) -> None:
    token = backend_token(ehr, resource=RESULTS).json()["access_token"]
    said = ehr.with_proof("narrow", {"token": token}, "/auth/introspect").json()
    assert (said["active"], said["aud"], said["client_id"]) == (True, RESULTS, "backend")
    ehr.with_proof("backend", {"token": token}, "/auth/revoke")
    assert ehr.with_proof("narrow", {"token": token}, "/auth/introspect").json() == {"active": False}


def test_a_client_may_prove_itself_to_the_introspection_endpoint_by_its_own_address(ehr: Any) -> None:
    at = f"{ehr.base_url}/auth/introspect"
    assertion = ehr.assertion("narrow", aud=at)
    form = {"token": "x", "client_assertion": assertion}
    assert ehr.with_proof("narrow", form, "/auth/introspect").json() == {"active": False}
    assert ehr.with_proof("narrow", {**form, "client_assertion": ehr.assertion("narrow", aud=at)}).status_code == 401

"""Which addresses may be registered, and what a registration lets us connect to."""

import pytest
from facade.ehr.registration import AccessTokens, Ehr
from facade.ehr.registry import EhrRegistry
from facade.settings import FacadeSettings
from pydantic import ValidationError

BASE = {
    "id": "main", "name": "EHR", "issuer": "https://ehr.example.org/fhir", "fhir_base": "https://ehr.example.org/fhir",
    "backend_client_id": "b", "backend_scopes": "system/*.rs", "launch_client_id": "l", "launch_scopes": "openid",
    "encounter_topic": "https://ehr.example.org/topic",
}  # fmt: skip


def test_what_is_not_said_is_safe():
    ehr = Ehr.model_validate(BASE)

    assert (ehr.launch_client_type, ehr.signing_algorithm) == ("confidential-asymmetric", "ES384")
    assert (ehr.cds_clients, ehr.access_tokens, ehr.frame_ancestors) == ((), None, ())
    assert ehr.allowed_origins == {"https://ehr.example.org:443"}


def test_every_address_of_a_registration_may_be_connected_to_and_no_other():
    ehr = Ehr.model_validate(
        {
            **BASE,
            "issuer": "https://launch.example.org",
            "origins": ["https://auth.example.org:8443"],
            "frame_ancestors": ["https://frame.example.org"],
            "cds_clients": [{"issuer": "https://cds.example.org", "jwks_uri": "https://keys.example.org/jwks"}],
            "access_tokens": {
                "issuer": "https://tokens.example.org",
                "introspection_endpoint": "https://ask.example.org/introspect",
                "introspection_client_id": "p",
            },
        }
    )

    assert ehr.allowed_origins == {
        "https://launch.example.org:443",
        "https://ehr.example.org:443",
        "https://auth.example.org:8443",
        "https://keys.example.org:443",
        "https://ask.example.org:443",
    }
    assert EhrRegistry((ehr,)).origins == dict.fromkeys(ehr.allowed_origins, "main")


@pytest.mark.parametrize(
    "tokens",
    [
        {"issuer": "i"},
        {"issuer": "i", "introspection_endpoint": "https://ask.example.org"},
        {"issuer": "i", "introspection_client_id": "p", "jwks_uri": "https://keys.example.org/jwks"},
        {"issuer": "", "jwks_uri": "https://keys.example.org/jwks"},
    ],
)
def test_tokens_that_cannot_be_checked_cannot_be_registered(tokens):
    with pytest.raises(ValidationError):
        AccessTokens.model_validate(tokens)


@pytest.mark.requirement(
    "b1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@232",
    "All exchanges described herein between the client and the FHIR server SHALL be secured using TLS "
    "V1.2 or a more recent version of TLS .",
)
@pytest.mark.requirement(
    "a1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@301",
    "[For the URL to JWK Set method, the value SHALL be] the TLS-protected endpoint where the client’s "
    "public JWK Set can be found",
)
@pytest.mark.requirement(
    "a1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@1",
    "Apps SHALL ensure that when protocol steps include transmission of sensitive information (authentication secrets, "
    "authorization codes, tokens), transmission is ONLY to authenticated servers, over TLS-secured channels.",
)
@pytest.mark.requirement("a1", "", "Launch and redirect URIs are **https** and registered")
@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("https://preceptor.example.org", True),
        ("https://preceptor.example.org:8443/base", True),
        ("http://localhost:8000", True),
        ("http://127.0.0.1:8000", True),
        ("http://preceptor.example.org", False),
        ("http://localhost.example.org", False),
        ("http://10.0.0.1", False),
        ("https://preceptor.example.org/", False),
        ("https://preceptor.example.org?x", False),
        ("https://user@preceptor.example.org", False),
        ("ftp://preceptor.example.org", False),
        ("preceptor.example.org", False),
    ],
)
def test_our_own_address_and_an_ehr_are_reached_by_https_or_on_this_machine(tmp_path, address, taken):
    def make():
        FacadeSettings(
            public_base_url=address, database_url="sqlite+aiosqlite://", ehrs_file=tmp_path, reconciliation_url="http://x",
            retrieval_url="http://x",
        )  # fmt: skip
        Ehr.model_validate({**BASE, "fhir_base": address})

    if taken:
        make()
    else:
        with pytest.raises(ValidationError):
            make()

"""SMART scopes: what each syntax means, and that nothing else means anything."""

import re

import pytest
from facade.fhir.scopes import LETTERS, Scope, parse_scope, parse_scopes
from hypothesis import given
from hypothesis import strategies as st

CONTEXTS = ("patient", "user", "system")
in_order = st.sets(st.sampled_from(LETTERS), min_size=1).map(
    lambda letters: "".join(one for one in LETTERS if one in letters)
)


@pytest.mark.requirement(
    "c4", "hl7.fhir.uv.smart-app-launch_2.2.0@128",
    "For backwards compatibility with scopes defined in the SMART App Launch 1.0 specification, servers SHOULD … "
    "process v1 scopes with the following semantics in v2: v1 `.read` ⇒ v2 `.rs` v1 `.write` ⇒ v2 `.cud` v1 `.*` ⇒ "
    "v2 `.cruds`",
)  # fmt: skip
@given(context=st.sampled_from(CONTEXTS), kind=st.sampled_from(["*", "Composition", "Device"]))
def test_v1_means_what_v2_says_it_means(context, kind):
    for v1, v2 in (("read", "rs"), ("write", "cud"), ("*", "cruds")):
        assert parse_scope(f"{context}/{kind}.{v1}") == parse_scope(f"{context}/{kind}.{v2}")


@pytest.mark.requirement(
    "c4", "", "Letters map to c create, r read+vread+instance history, u update+patch, d delete, s search+type "
    "history; letters in order; union of scopes.",
)  # fmt: skip
@given(context=st.sampled_from(CONTEXTS), letters=in_order)
def test_a_scope_covers_its_letters_and_no_other(context, letters):
    scope = parse_scope(f"{context}/Composition.{letters}")
    assert scope is not None
    assert {one for one in LETTERS if scope.covers(one, "Composition")} == set(letters)
    assert not any(scope.covers(one, "Device") for one in LETTERS)
    assert not any(scope.covers(both, "Composition") for both in ("rs", "", "x", "cruds"))


@given(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=6))
def test_letters_out_of_order_or_twice_are_no_scope(letters):
    text = "".join(letters)
    expected = text == "".join(one for one in LETTERS if one in text)
    assert (parse_scope(f"system/Composition.{text}") is not None) == expected


@given(st.text(max_size=60))
def test_no_other_text_is_a_scope(text):
    scope = parse_scope(text)
    if scope is not None:
        assert re.fullmatch(r"(patient|user|system)/(\*|[A-Z][A-Za-z]+)\.(read|write|\*|[cruds]+)(\?\S+)?", text)


@given(st.lists(st.one_of(st.text(max_size=20), st.sampled_from(["system/*.rs", "patient/Task.r", "openid"]))))
def test_a_list_gives_its_scopes_and_nothing_more(texts):
    found = parse_scopes(" ".join(texts))
    said = {one for text in texts for one in text.split(" ")}
    assert set(found) == {scope for one in said if (scope := parse_scope(one)) is not None}


@pytest.mark.parametrize(
    "text",
    [
        "patient/Composition", "patient/Composition.", "patient/.rs", "patient/composition.rs",
        "Patient/Composition.rs",
        "patient/Composition.RS", "patient/Composition.sr", "patient/Composition.rr", "patient/Composition.rs?",
        "patient/Composition.read?status=final", "patient/Composition.rs?status", "patient/Composition.rs?a=b?c=d",
        "patient/*.rs*", "patient/**.rs", "patient/Composition.rs ", " patient/Composition.rs", "admin/*.cruds",
        "patient/*.read.write", "patient/Compo-sition.rs", "patient/Comp\u00f6sition.rs", "launch/patient", "*",
        "*/*.rs",
        "patient/Composition.rs\nsystem/*.rs", "system/*.rs\u00a0", "patient/*.all", "patient/Composition.readx",
    ],
)  # fmt: skip
def test_what_looks_like_a_scope_but_is_none(text):
    assert parse_scope(text) is None


def test_a_granular_scope_keeps_its_parameters_as_they_are_meant():
    scope = parse_scope("patient/DetectedIssue.rs?code=http://x.example|DRG&_security=AIAST")
    expected = (("code", "http://x.example|DRG"), ("_security", "AIAST"))
    assert scope == Scope("patient", "DetectedIssue", "rs", expected)


def test_a_list_without_end_is_cut():
    assert len(parse_scopes(" ".join(f"system/T{chr(65 + i % 26)}{chr(97 + i // 26)}.r" for i in range(500)))) == 200

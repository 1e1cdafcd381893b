"""What is advertised is what is served, each with a valid definition that says what a token needs."""

import pytest
from facade.operations.table import NOT_YET, OPERATIONS, definition
from fhir_support.r4 import validated


@pytest.mark.requirement(
    "c2", "", "CapabilityStatement 4.0.1, JSON in format, every interaction and operation we really serve"
)
async def test_the_capability_statement_lists_the_operations_and_no_other(alone):
    statement = (await alone.get("metadata")).json()
    listed = {one["name"]: one["definition"] for one in statement["rest"][0]["operation"]}
    assert {"draft", "check", "ask", "formulary"} <= listed.keys() <= OPERATIONS.keys()
    assert not listed.keys() & set(NOT_YET)
    for name, canonical in listed.items():
        answer = await alone.http.get(f"{alone.base}/OperationDefinition/{name}")
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "application/fhir+json")
        served = answer.json()
        assert validated(served) == served
        assert (served["url"], served["code"], served["kind"]) == (canonical, name, "operation")
        assert OPERATIONS[name].needs in served["comment"]
        assert (await alone.invoke(name)).status_code == 400, "it is there: only its parameters are missing"
    for name in NOT_YET:
        assert (await alone.http.get(f"{alone.base}/OperationDefinition/{name}")).status_code == 404


async def test_an_operation_whose_service_does_not_exist_is_not_supported(alone):
    for name in NOT_YET:
        answer = await alone.invoke(name)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (501, "not-supported")
        unknown = await alone.http.post(f"{alone.base}/${name}", content="{}")
        assert unknown.status_code == 401, "who calls is asked first"


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_what_changes_state_says_so_and_every_parameter_is_documented(name):
    found = definition(name)
    writes = any(letter in "cu" for letter, _ in OPERATIONS[name].scopes)
    assert found["affectsState"] is writes

    def check(parameters):
        for one in parameters:
            assert one["documentation"] and ("type" in one) != ("part" in one)
            check(one.get("part", []))

    check(found["parameter"])

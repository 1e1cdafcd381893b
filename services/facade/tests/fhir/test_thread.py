"""One path through the whole endpoint."""


async def test_it_reads(endpoint):
    answer = await endpoint.ask("Composition", "system/*.rs")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["total"] == 2
    one = bundle["entry"][0]["resource"]
    answer = await endpoint.ask(f"Composition/{one['id']}", "system/*.rs")
    assert answer.status_code == 200 and answer.json()["id"] == one["id"]
    answer = await endpoint.ask(f"Composition/{one['id']}", "system/*.rs", method="HEAD")
    assert answer.status_code == 200 and not answer.content
    answer = await endpoint.ask(f"Composition/{one['id']}/_history", "patient/*.rs", claims={"patient": "anna"})
    assert answer.json()["total"] == 2
    for path in ("AuditEvent", "Provenance", "Device", "Task", "DetectedIssue", "metadata", "Composition/_history"):
        answer = await endpoint.ask(path, "system/*.rs")
        assert answer.status_code == 200, answer.text
    answer = await endpoint.ask("", "system/*.rs", method="DELETE")
    answer = await endpoint.ask("Task", "system/*.rs", method="POST")
    assert answer.status_code == 405, answer.text

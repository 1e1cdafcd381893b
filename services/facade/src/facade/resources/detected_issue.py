"""One DetectedIssue per flag, and what a clinician's decision makes of it."""

from typing import Any

from fhir_support.identifiers import identifier
from service_contracts.evidence import Fact
from service_contracts.reconciliation import Flag

from facade.decisions import Decision, DecisionAction
from facade.resources.composition import DocumentContext
from facade.resources.ids import resource_id
from facade.resources.narrative import source_text, xhtml
from facade.resources.vocabulary import OUR_SYSTEM, ai_meta, coding, concept, instant_text, issue_code, reference

__all__ = ["decided_issue", "detected_issue", "issue_name"]

_ACTION_WORDS = {
    DecisionAction.ACCEPT: "The correction was accepted",
    DecisionAction.EDIT: "The words were changed",
    DecisionAction.OVERRIDE: "Overridden",
}


def issue_name(flag_id: str) -> str:
    """Return the name of a flag's resource in ``StoredDocument.written``."""
    return f"issue:{flag_id}"


def detected_issue(context: DocumentContext, flag: Flag, fact: Fact | None) -> dict[str, Any]:
    """Return the preliminary DetectedIssue of ``flag``, with the fact it rests on as evidence."""
    detail = f"{flag.says} {flag.finding}"
    cited = [f'"{fact.statement}" {source_text(fact.source)}'] if fact else []
    issue: dict[str, Any] = {
        "resourceType": "DetectedIssue",
        "meta": ai_meta(),
        "text": xhtml([flag.says, flag.finding, *cited]),
        "identifier": [identifier(resource_id(context.document_id, issue_name(flag.id)))],
        "status": "preliminary",
        "code": issue_code(flag.kind),
        "severity": str(flag.severity),
        "patient": reference(context.patient),
        "identifiedDateTime": instant_text(context.at),
        "author": reference(context.urn("device")),
        "detail": detail,
    }
    if flag.chart:
        issue["implicated"] = [reference(item.reference) for item in flag.chart]
    if fact is not None:
        issue["evidence"] = [{"code": [concept(text=cited[0])]}]
        if fact.source.identifier.startswith(("http://", "https://", "urn:")):
            issue["reference"] = fact.source.identifier
    return issue


def decided_issue(issue: dict[str, Any], decision: Decision) -> dict[str, Any]:
    """Return the DetectedIssue as it stands after ``decision``."""
    words = _ACTION_WORDS[decision.action]
    text = f"{words}: {decision.reason}" if decision.reason else words
    mitigation = {
        "action": concept(coding(f"{OUR_SYSTEM}/decision", str(decision.action)), text=text),
        "date": instant_text(decision.at),
        "author": reference(decision.who),
    }
    return {**issue, "status": "final", "mitigation": [*issue.get("mitigation", []), mitigation]}

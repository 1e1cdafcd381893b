"""Narrative for people: escaped XHTML, and the plain text of the document."""

import html
import re
from collections.abc import Sequence

from service_contracts.evidence import Fact, Source
from service_contracts.reconciliation import Claim, ReconciledDocument, Section, Verdict

from facade.resources.vocabulary import NOT_CHECKED_WORDS

__all__ = ["check_lines", "not_checked_line", "plain_text", "source_text", "xhtml"]

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

PRELIMINARY_NOTICE = "Draft written by software. A clinician has not signed it."


def xhtml(lines: Sequence[str]) -> dict[str, str]:
    """Return a Narrative of one paragraph per line; every character of it is text, none is markup."""
    paragraphs = "".join(
        f"<p>{html.escape(_NOT_IN_XML.sub('', line), quote=False)}</p>" for line in lines if line.strip()
    )
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{paragraphs}</div>'}


def source_text(source: Source) -> str:
    """Return a source as it is cited."""
    return f"{source.publisher}, {source.title}, version {source.version}, {source.section} ({source.identifier})"


def not_checked_line(claim: Claim) -> str:
    """Return the sentence that says that, and why, a claim was not checked."""
    why = f" ({NOT_CHECKED_WORDS[claim.reason]})" if claim.reason else ""
    return f"Not checked: {claim.assertion}{why}."


def check_lines(document: ReconciledDocument) -> list[str]:
    """Return what the checks found and, as plainly, what they did not look at or found nothing on."""
    facts = {fact.id: fact for fact in document.facts}
    lines = [
        f"{flag.severity.upper()}: {flag.says} {flag.finding}{_cited(facts.get(flag.fact_id or ''))}"
        for flag in document.flags
    ]
    lines += [not_checked_line(claim) for claim in document.claims if claim.verdict is Verdict.NOT_CHECKED]
    lines += [
        f"No evidence found: {claim.assertion}." for claim in document.claims if claim.verdict is Verdict.NO_EVIDENCE
    ]
    lines += [f"Missing from the draft: {name}." for name in document.missing]
    supported = sum(claim.verdict is Verdict.SUPPORTED for claim in document.claims)
    checked = supported + sum(claim.verdict is Verdict.CONTRADICTED for claim in document.claims)
    lines.append(
        f"{supported} of {checked} checked statements agree with the evidence."
        if checked
        else "No statement could be checked against the evidence."
    )
    return lines


def plain_text(sections: Sequence[Section], document: ReconciledDocument | None = None) -> str:
    """Return the document as plain text; with ``document`` as a draft, with its notice and its checks."""
    blocks = [PRELIMINARY_NOTICE] if document else []
    blocks += [f"{section.title}\n{section.text}" for section in sections if section.text.strip()]
    if document:
        blocks.append("\n".join(["Checks", *check_lines(document)]))
    return "\n\n".join(blocks) + "\n"


def _cited(fact: Fact | None) -> str:
    return f' Source: "{fact.statement}" {source_text(fact.source)}' if fact else ""

"""Everything the operations answer with, made by the code that answers, from made-up evidence."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from facade.fhir.access import Access
from facade.fhir.audit import Call
from facade.fhir.home import Home
from facade.fhir.results import own_resources
from facade.operations import ask, check, formulary, routes
from facade.operations.errors import InvalidParameters, Issue, NotImplementedYet
from facade.operations.given_sections import Sections
from facade.operations.outcomes import warnings
from facade.operations.stays import OfPatient
from facade.operations.table import OPERATIONS, definition
from facade.resources.transaction import document_transaction
from facade.store.jobs import Job, JobState
from service_contracts.answers import Abstention, Answer, AnswerSentence
from service_contracts.checks import CheckedText, GivenSection
from service_contracts.drafts import SectionKey
from service_contracts.evidence import (
    Evidence,
    Fact,
    FactKind,
    FormularyStatus,
    Passage,
    ResolvedSubject,
    Source,
    Subject,
    SubjectKind,
)

__all__ = ["results"]

BASE, EHR = "https://preceptor.example.org/fhir/ehr", "https://ehr.example.org/fhir"
TODAY = date(2026, 11, 25)


def _source(**more: Any) -> Source:
    values = {"title": "A title", "publisher": "A publisher", "identifier": "https://example.org/1", "version": "2"}
    return Source.model_validate({**values, "section": "Treatment", **more})


def _answers() -> Iterator[tuple[str, dict[str, Any]]]:
    old = _source(effective_from=date(2012, 1, 1), superseded_on=date(2025, 1, 1), identifier="set-1", section="")
    passages = (
        Passage(id="a", text="Offer metformin first. & <more>", source=_source(), score=1.0),
        Passage(id="b", text="Offer another drug first.", source=old, score=0.5),
    )
    sentences = tuple(
        AnswerSentence(text=one.text[:22], passage_id=one.id, start=0, end=22, support=0.875, words=("offer",))
        for one in passages
    )
    answer = Answer(sentences=sentences, passages=passages, index_version="v1")
    yield "ask: an answer", ask._answered(answer, TODAY, TODAY)
    for why in Abstention:
        yield f"ask: {why}", ask._answered(Answer(abstained=why, index_version="v1"), TODAY, TODAY)


def _coverage() -> Iterator[tuple[str, dict[str, Any]]]:
    of = _source(identifier="plan-1", effective_from=date(2026, 1, 1), superseded_on=date(2027, 1, 1))
    bodies = (
        FormularyStatus(plan="plan-1", drug="metformin 500 MG Oral Tablet", rxcui="861007", covered=True, tier="1"),
        FormularyStatus(plan="plan-1", drug="metformin liquid", covered=False, quantity_limit=True),
    )
    facts = tuple(
        Fact(id=f"f-{number}", body=body, statement="The plan says so.", verbatim=False, source=of)
        for number, body in enumerate(bodies)
    )
    subject = Subject(kind=SubjectKind.DRUG, text="metformin")
    for name, found, ingredients, searched in (
        ("entries", facts, ("metformin",), tuple(FactKind)),
        ("no entry", (), ("metformin",), tuple(FactKind)),
        ("an unknown drug", (), (), tuple(FactKind)),
        ("no formulary", (), ("metformin",), ()),
    ):
        resolved = ResolvedSubject(subject=subject, ingredients=ingredients, fact_ids=tuple(one.id for one in found))
        evidence = Evidence(facts=found, resolved=(resolved,), searched=searched, index_version="v1")
        yield f"formulary: {name}", formulary._answer(evidence, TODAY)


def _call() -> Call:
    access = Access("ehr", "a-client", None, None, (), Home("ehr", EHR, (BASE,)))
    return Call(access, BASE, "r-1")


def results(examples: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every kind of answer with a name; ``examples`` is the module of the facade's made-up documents."""
    for name in OPERATIONS:
        yield f"definition: {name}", definition(name)
    yield from _answers()
    yield from _coverage()
    stored = examples.stored_document()
    stay = OfPatient(examples.ENCOUNTER, "Patient/patient-1", {})
    document = stored.document
    checked = CheckedText(
        claims=document.claims,
        flags=document.flags,
        facts=document.facts,
        unread=(document.claims[0].span,),
        evidence_version="v1",
    )
    sections = Sections((GivenSection(key=SectionKey.DIET, text="Eat."),), ("Hospital course",))
    yield "check: a text", check._answer(_call(), stay, sections, checked)
    nothing = CheckedText(claims=(), flags=(), facts=())
    yield "check: nothing recognised", check._answer(_call(), stay, sections, nothing)
    transaction = document_transaction(stored, examples.PARTIES, request_id="r-1")
    own = list(own_resources(transaction, document_id=stored.id, ehr_base=EHR, model=document.model))
    entries = [{"fullUrl": f"{BASE}/{one['resourceType']}/{one['id']}", "resource": one} for one in own]
    outcome = warnings(["Missing from the draft: activity.", "Not checked: a dose."])
    entries.append({"fullUrl": "urn:uuid:5995d866-b4c9-5447-95de-9f8a48cd3fa2", "resource": outcome})
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    yield "draft: a document", bundle
    wrong = InvalidParameters([Issue("required", "The parameter is missing.", "Parameters.parameter")])
    yield "an input that is wrong", wrong.outcome()
    yield "an operation that is not there", NotImplementedYet().outcome()
    at = datetime(2026, 11, 25, tzinfo=UTC)
    for name, result in (
        ("done", {"status": 200, "resource": bundle}),
        ("refused", {"status": 400, "resource": wrong.outcome()}),
        ("given up", None),
    ):
        job = Job("1", "draft", JobState.DONE, claimed=False, expires_at=at, result=result)
        yield f"a job: {name}", routes._batch_response(job)

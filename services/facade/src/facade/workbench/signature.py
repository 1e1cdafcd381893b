"""POST /workbench/{window}/signature: the clinician signs the text that was shown."""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, post
from litestar.params import FromPath

from facade.container import Container, RequestId
from facade.decisions import corrected_sections
from facade.resources.signing import Signer, UndecidedFlags
from facade.smart.sessions import Session
from facade.store.documents import DocumentStatus, StoredDocument
from facade.workbench.access import ContainerOf, SessionOf
from facade.workbench.answers import ancestors_of, form_of, see, undecided
from facade.workbench.failures import PageRefused, told
from facade.workbench.forms import InvalidForm, sections_of
from facade.workbench.review import review

__all__ = ["sign"]


@post("/signature", status_code=200, name="workbench-signature")
async def sign(
    request: Request[Any, Any, Any],
    window: FromPath[str],
    container: ContainerOf,
    session: SessionOf,
    request_id: RequestId,
) -> Response[Any]:
    """Sign the text that was shown, as the clinician who launched, after the EHR confirmed that they still may."""
    form = await form_of(request, container, session)
    ancestors, back = ancestors_of(container, session), f"/workbench/{window}"
    with told(ancestors, back):
        stored = await container.documents.get(session.ehr_id, session.context.encounter)
    if stored is None or stored.status is DocumentStatus.FINAL:
        return see(back)
    sections = _typed(container, session, stored, form)
    signer = Signer(session.context.practitioner, session.context.practitioner_name)
    with told(ancestors, f"{back}/final"):
        await container.user_access.confirm(session)
        try:
            await container.signing.sign(
                session.ehr_id, session.context.encounter, signer=signer, sections=sections, request_id=request_id
            )
        except UndecidedFlags:
            raise undecided(container, session, review(stored)) from None
    return see(back)


def _typed(container: Container, session: Session, stored: StoredDocument, form: Mapping[str, str]) -> Any:
    """Return the text of the form; raise ``PageRefused`` when it was typed over another state of the document."""
    shown = review(stored)
    ancestors, back = ancestors_of(container, session), f"/workbench/{session.window}"
    if shown.undecided:
        raise undecided(container, session, shown)
    if form.get("revision") != shown.revision:
        raise PageRefused(
            ancestors,
            409,
            "The decisions have changed",
            "Somebody decided anew on a flag after you opened this text. Nothing was signed. Look at it again.",
            back=f"{back}/final",
        )
    try:
        return sections_of(form, corrected_sections(stored.document, stored.decisions))
    except InvalidForm as error:
        advice = f"Nothing was signed: {error}."
        raise PageRefused(ancestors, 422, "This text cannot be signed", advice, back=f"{back}/final") from None

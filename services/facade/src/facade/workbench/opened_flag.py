"""Which flag a launch wants to be seen first: the one that a CDS card's link or the EHR's open resource names."""

from facade.smart.sessions import SessionContext
from facade.store.documents import StoredDocument
from facade.workbench.views import Review

__all__ = ["opened_flag"]


def opened_flag(stored: StoredDocument, context: SessionContext, shown: Review) -> tuple[int | None, bool]:
    """Return the number of that flag, and whether something was asked for that is not in this document.

    What a launch names is a hint: it chooses among the flags of the document that the session is for, and nothing
    else. A flag that is decided is not pointed to again.
    """
    wanted: set[str] = set()
    asked, known = False, False
    if context.app_context is not None:
        asked, known = True, context.app_context.document == stored.id
        if known and context.app_context.flag is not None:
            wanted.add(context.app_context.flag)
            known = any(flag.id == context.app_context.flag for flag in shown.flags)
    issues = {
        reference: name.removeprefix("issue:")
        for name, reference in stored.written.items()
        if name.startswith("issue:")
    }
    wanted |= {issues[reference] for reference in context.open_resources if reference in issues}
    number = next((flag.number for flag in shown.flags if flag.id in wanted and flag.decision is None), None)
    return number, asked and not known

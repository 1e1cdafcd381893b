"""How restrictions and permissions are written for patients."""

from service_contracts.evidence import ActivityRestriction
from service_contracts.quantity import Quantity

from reconciliation.statements import ActivityStatement, Mode
from reconciliation.wording import duration, quantity

__all__ = ["restriction_sentence", "statement_words"]

# What is forbidden, as it follows "Do not", with and without a limit on weight.
_VERBS: dict[str, str] = {
    "lifting": "lift anything heavy",
    "driving": "drive",
    "bathing": "take a bath or soak in water",
    "exercise": "do hard exercise",
    "sex": "have sex",
    "work": "go back to work",
    "arm-raising": "raise your arm above your shoulder",
    "bending": "bend over",
    "weight-bearing": "put weight on the operated leg",
    "flying": "fly",
    "climbing": "climb",
    "swimming": "swim",
    "any": "go back to all your normal activities",
}


def restriction_sentence(restriction: ActivityRestriction) -> str:
    """Write a restriction: "Do not lift more than 10 pounds for 6 weeks."."""
    verb = _VERBS.get(restriction.activity, f"do any {restriction.activity}")
    if restriction.limit is not None:
        verb = (
            "lift"
            if restriction.activity == "lifting"
            else verb.removesuffix("weight on the operated leg") + "weight of"
        )
        verb = f"{verb} more than {quantity(restriction.limit)}"
    return f"Do not {verb} for {duration(restriction.lasts)}."


def statement_words(statement: ActivityStatement) -> str:
    """Write what a statement claims: "lifting up to 50 pounds allowed from day 2"."""
    words = [statement.activity if statement.activity != "any" else "all activities"]
    if statement.limit is not None:
        words.append(f"{'above' if statement.mode is Mode.FORBID else 'up to'} {quantity(statement.limit)}")
    words.append("not allowed" if statement.mode is Mode.FORBID else "allowed")
    if statement.for_days is not None:
        words.append(f"for {duration(Quantity(value=statement.for_days, unit='d'))}")
    if statement.from_days is not None:
        words.append(
            "at once"
            if statement.from_days == 0
            else f"after {duration(Quantity(value=statement.from_days, unit='d'))}"
        )
    if statement.open_ended:
        words.append("until cleared" if statement.mode is Mode.FORBID else "when cleared")
    return " ".join(words)

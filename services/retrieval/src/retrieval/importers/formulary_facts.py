"""What a line of a formulary says in words, and the names that an RxNorm product name tells. Pure."""

from service_contracts.evidence import Fact, FormularyStatus, Source

from retrieval.documents import DrugName
from retrieval.drug_names import brand_words, ingredient_names

__all__ = ["formulary_fact", "product_names"]


def formulary_fact(fact_id: str, body: FormularyStatus, plan: str, source: Source) -> Fact:
    """Return the fact, in our words: a formulary is a table."""
    return Fact(id=fact_id, body=body, statement=_statement(body, plan), verbatim=False, source=source)


def _statement(body: FormularyStatus, plan: str) -> str:
    if not body.covered:
        return f"{plan} does not list {body.drug} at present."
    asks = [
        words
        for given, words in (
            (body.prior_authorization, "prior authorization"),
            (body.step_therapy, "step therapy"),
            (body.quantity_limit, "a quantity limit"),
        )
        if given
    ]
    tier = f", tier {body.tier}" if body.tier else ""
    return f"{plan} lists {body.drug}{tier}{', with ' + ', '.join(asks) if asks else ''}."


def product_names(drug: str, rxcui: str | None) -> list[DrugName]:
    """Return the names that an RxNorm product name tells: its brand in brackets, its ingredients, its code."""
    if drug.startswith("{"):
        return []
    ingredients = ingredient_names(drug)
    if not ingredients or len(ingredients) > 4:
        return []
    codes = (rxcui,) if rxcui else ()
    return [
        DrugName(drug.lower(), ingredients, codes),
        *(DrugName(brand, ingredients) for brand in brand_words(drug)[-1:]),
    ]

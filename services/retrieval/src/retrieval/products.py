"""Whether a fact that was stated for some products speaks of what a chart or a draft names. Pure."""

import re
from collections.abc import Collection

from service_contracts.evidence import Subject

from retrieval.drug_names import RXNORM, brand_words

__all__ = ["speaks_of"]

# Words that name a form as such; those that tell one product of a brand from another ("XL", "extended") are none.
_FORM = re.compile(r"\b(?:oral|tablets?|tabs?|capsules?|caps?|pills?|injection|syringe|pen|by mouth|po)\b", re.I)


def speaks_of(products: Collection[str], subject: Subject) -> bool:
    """Whether one of ``products`` is the subject: by an RxNorm code, or by a brand that is its whole name.

    A name of the ingredient alone is every product's, so that it is none of them.
    """
    if not products or any(coding.system == RXNORM and coding.code in products for coding in subject.codes):
        return True
    spoken = re.split(r"[\d(\[,]", subject.text, maxsplit=1)[0]
    whole = " ".join(_FORM.sub(" ", spoken).lower().split())
    return whole in products or any(brand in products for brand in brand_words(subject.text))

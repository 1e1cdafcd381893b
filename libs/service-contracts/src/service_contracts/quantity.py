"""An amount with its unit."""

from service_contracts.model import Contract

__all__ = ["Coding", "Quantity"]


class Quantity(Contract):
    """A number and a UCUM unit code, for example 500 ``mg``, 7 ``d``, 10 ``[lb_av]``, 30 ``mL/min``."""

    value: float
    unit: str


class Coding(Contract):
    """A code of a terminology, as in FHIR ``Coding``."""

    system: str
    code: str
    display: str | None = None

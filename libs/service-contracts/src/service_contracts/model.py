"""The one base class of everything that crosses a service boundary."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Contract"]


class Contract(BaseModel):
    """An immutable message; unknown fields are refused, so that a misspelt name fails loudly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

"""What the indices of one tenant are called."""

import re
from dataclasses import dataclass

__all__ = ["Names"]

_TENANT = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Names:
    """``passages`` is an alias, so that a rebuilt index takes the place of the old one in one step."""

    tenant: str

    def __post_init__(self) -> None:
        if not _TENANT.fullmatch(self.tenant):
            raise ValueError("a tenant is lower-case letters, digits and underscores")

    @property
    def documents(self) -> str:
        """The index of documents and checkpoints, and of the head."""
        return f"preceptor-documents-{self.tenant}"

    @property
    def passages(self) -> str:
        """The alias of the index of passages."""
        return f"preceptor-passages-{self.tenant}"

    @property
    def patients(self) -> str:
        """The index of sealed rows about patients."""
        return f"preceptor-patients-{self.tenant}"

    def generation(self, number: int) -> str:
        """The ``number``-th index of passages."""
        return f"{self.passages}-{number:06d}"

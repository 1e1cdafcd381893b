"""The institution's template as data, and the plan it makes of one chart."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from service_contracts.chart import Chart
from service_contracts.drafts import SectionKey

from adapter_serving.items import Item, ItemKind, chart_items

__all__ = ["FixedText", "Part", "PlannedItem", "Template", "TemplateSection", "load_templates"]

TEMPLATES = Path(__file__).parent / "templates"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))


class Part(_Data):
    """A fixed sentence, or one sentence per chart item of a kind; the words are those of the template's header."""

    fixed: str | None = None
    items: ItemKind | None = None
    empty: str | None = None
    only: tuple[str, ...] = ()
    limit: int | None = Field(default=None, gt=0)
    first: int = 0

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.fixed is None) == (self.items is None):
            raise ValueError("a part is either fixed text or items")
        for pattern in self.only:
            re.compile(pattern)
        return self

    def chosen(self, items: Iterable[Item]) -> list[Item]:
        """Return the items of this part, in chart order."""
        mine = [item for item in items if item.kind is self.items]
        if self.only:
            mine = [item for item in mine if any(re.search(pattern, item.text, re.I) for pattern in self.only)]
        return mine[: self.limit]


class TemplateSection(_Data):
    """One section of the document."""

    key: SectionKey
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class FixedText:
    """A sentence of the template at its place."""

    section: SectionKey
    index: int
    text: str


@dataclass(frozen=True)
class PlannedItem:
    """A sentence to be written at its place; those of lower ``priority`` are written first."""

    section: SectionKey
    index: int
    priority: int
    item: Item


class Template(_Data):
    """A document's sections in order."""

    task: str
    name: str
    version: str
    sections: tuple[TemplateSection, ...]

    @model_validator(mode="after")
    def _sections_once_and_in_order(self) -> Self:
        keys = [section.key for section in self.sections]
        if keys != [key for key in SectionKey if key in keys]:
            raise ValueError("sections must be unique and in document order")
        return self

    def plan(self, chart: Chart) -> tuple[list[FixedText], list[PlannedItem]]:
        """Lay the chart's items out: every sentence has its place before any is written."""
        items = list(chart_items(chart))
        fixed: list[FixedText] = []
        planned: list[PlannedItem] = []
        for section in self.sections:
            index = 0
            for part in section.parts:
                chosen = part.chosen(items)
                text = part.fixed if part.fixed is not None else part.empty if not chosen else None
                if text is not None:
                    fixed.append(FixedText(section.key, index, text))
                    index += 1
                for item in chosen:
                    planned.append(PlannedItem(section.key, index, part.first, item))
                    index += 1
        return fixed, sorted(planned, key=lambda one: one.priority)


def load_templates(folder: Path = TEMPLATES) -> dict[str, Template]:
    """Return the templates of a folder by task; raise ``pydantic.ValidationError`` when one is not well formed."""
    found = [Template.model_validate(tomllib.loads(path.read_text())) for path in sorted(folder.glob("*.toml"))]
    return {template.task: template for template in found}

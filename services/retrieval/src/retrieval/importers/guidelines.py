"""Guidelines and policies as files: text, Markdown, HTML, PDF, DOCX and PlanDefinition JSON, with their version."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from service_contracts.evidence import Source

from retrieval.documents import IngestedDocument, PassageText
from retrieval.importers.docx_text import read_docx
from retrieval.importers.html_text import read_html
from retrieval.importers.pdf_text import read_pdf
from retrieval.importers.records import Record, RecordRefused, read_limited

__all__ = ["GuidelinePages", "Provenance", "spans"]

_MAX_BYTES = 64 * 1024 * 1024
_SUFFIXES = (".txt", ".md", ".html", ".htm", ".xml", ".json", ".pdf", ".docx")
# In a folder of policies these are policies too: what is not read is said.
_OTHER_FORMATS = (".doc", ".docm", ".dot", ".dotx", ".rtf", ".odt", ".wpd", ".pages", ".ppt", ".pptx", ".tif", ".tiff")
_PASSAGE_CHARS = 1000
_ABOUT = frozenset({"LICENSE", "LICENCE", "README", "SOURCE", "NOTICE"})


@dataclass(frozen=True)
class Provenance:
    """What the pages do not say themselves; what they do say comes first."""

    publisher: str
    version: str | None = None
    title: str | None = None
    published: date | None = None
    effective_from: date | None = None
    superseded_on: date | None = None
    kind: str = "guideline"


class GuidelinePages:
    """See ``Importer``. A file is a document; the text before the first heading stands under its title."""

    edition = 3

    def __init__(self, provenance: Provenance) -> None:
        self._provenance = provenance
        # What was read under another version or other dates is to be read again.
        self.name = f"guideline-pages/{hashlib.sha256(repr(provenance).encode()).hexdigest()[:12]}"

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``."""
        if path.is_file():
            return [path]
        wanted = _SUFFIXES if self._provenance.kind != "policy" else _SUFFIXES + _OTHER_FORMATS
        found = (
            one for one in path.rglob("*") if one.suffix.lower() in wanted and not one.name.startswith(("~$", "."))
        )
        return sorted(one for one in found if one.stem.upper() not in _ABOUT)

    def count(self, _: Path) -> int:
        """See ``Importer.count``."""
        return 1

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``."""
        pictures: list[int] = []
        yield Record(path.name, partial(self._convert, path, pictures))
        for page in pictures:
            yield Record(f"{path.name}, page {page}", _no_text)

    def _convert(self, path: Path, pictures: list[int]) -> IngestedDocument | None:
        data = read_limited(path, _MAX_BYTES)
        suffix = path.suffix.lower()
        if suffix == ".json":
            return self._plan_definition(data)
        if suffix in _OTHER_FORMATS:
            raise RecordRefused(f"{suffix} is not read: save it as DOCX or PDF")
        if suffix == ".pdf":
            read = read_pdf(data)
            pictures += read.pictures
            title, sections = read.title, read.sections
        elif suffix == ".docx":
            title, sections = read_docx(data)
        elif suffix in (".html", ".htm", ".xml"):
            title, sections = read_html(data)
        else:
            title, sections = None, _plain_text(_decoded(data))
        given = self._provenance
        source = Source(
            title=given.title or title or path.stem,
            publisher=given.publisher,
            identifier=path.name,
            version=given.version or "not stated",
            section="",
            published=given.published,
            effective_from=given.effective_from,
            superseded_on=given.superseded_on,
        )
        return self._document(f"{given.kind}/{given.publisher}/{path.parent.name}/{path.name}", source, sections)

    def _plan_definition(self, data: bytes) -> IngestedDocument | None:
        try:
            raw = json.loads(data)
        except ValueError:
            raise RecordRefused("not JSON") from None
        if not isinstance(raw, dict) or raw.get("resourceType") != "PlanDefinition":
            raise RecordRefused("JSON that is no PlanDefinition")
        given = self._provenance
        period = raw.get("effectivePeriod") or {}
        url = str(raw.get("url") or raw.get("id") or raw.get("name"))
        retired = raw.get("status") == "retired"
        last = _day(period.get("end"))
        if retired and last is None and given.superseded_on is None:
            last = _day(raw.get("date"))
            if last is None:
                raise RecordRefused("a retired PlanDefinition that does not say since when")
        source = Source(
            title=str(raw.get("title") or raw.get("name") or url),
            publisher=str(raw.get("publisher") or given.publisher),
            identifier=url,
            version=str(raw.get("version") or given.version or "not stated"),
            section="",
            published=_day(raw.get("date")) or given.published,
            effective_from=_day(period.get("start")) or _day(raw.get("approvalDate")) or given.effective_from,
            superseded_on=last or given.superseded_on,
        )
        sections = [(name, str(raw[name])) for name in ("description", "purpose", "usage") if raw.get(name)]
        sections += list(_actions(raw.get("action") or []))
        return self._document(f"{given.kind}/{url}", source, sections)

    def _document(self, key: str, source: Source, sections: list[tuple[str, str]]) -> IngestedDocument | None:
        passages = [
            PassageText(f"{key}#{number}", section or source.title, text)
            for number, (section, text) in enumerate(
                (section, span) for section, text in sections for span in spans(text)
            )
        ]
        if not passages:
            return None
        return IngestedDocument(key, self._provenance.kind, source, (), tuple(passages))


def _actions(actions: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for action in actions:
        parts = [str(action[name]) for name in ("title", "description", "textEquivalent") if action.get(name)]
        if parts:
            yield str(action.get("title") or "action"), ". ".join(dict.fromkeys(parts))
        yield from _actions(action.get("action") or [])


def _no_text() -> IngestedDocument:
    raise RecordRefused("no text: it needs OCR")


def _decoded(data: bytes) -> str:
    """Return the text; an encoding is not guessed, since what is quoted must be what was written."""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise RecordRefused("not UTF-8: save it as UTF-8") from None
    if "\0" in text:
        raise RecordRefused("not text")
    return text


_LINE_NUMBER = re.compile(r"^\f? {0,3}\d{1,4}(?: +|$)", re.M)
# The number of a page stands alone, far from the margin, between two lines of one sentence.
_PAGE_NUMBER = re.compile(r"\n\s*\n[ \t]{10,}\d{1,4}[ \t]*\n\s*")
_SPACED_LINES = re.compile(r"(?<!\n)\n[ \t]*\n(?![ \t]*\n)")
_HEADING = re.compile(r"^#{1,4}\s+(.+)$", re.M)


def _plain_text(text: str) -> list[tuple[str, str]]:
    lines = text.splitlines()
    numbered = sum(bool(_LINE_NUMBER.match(line)) for line in lines)
    if numbered > len(lines) / 3:
        # A draft with numbered and spaced lines: neither is part of its text.
        text = _SPACED_LINES.sub("\n", _PAGE_NUMBER.sub("\n", _LINE_NUMBER.sub("", text)))
    parts = _HEADING.split(text)
    sections = [("", parts[0])]
    sections += [(parts[one].strip(), parts[one + 1]) for one in range(1, len(parts) - 1, 2)]
    return [(name, body) for name, body in sections if body.strip()]


def spans(text: str) -> Iterator[str]:
    """Yield paragraphs, joined while they are short and cut at sentences where they are long."""
    span = ""
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z•])", " ".join(paragraph.split())):
            if span and len(span) + len(sentence) > _PASSAGE_CHARS:
                yield span
                span = ""
            span = f"{span} {sentence}".strip()
    if span:
        yield span


def _day(text: object) -> date | None:
    found = re.match(r"\d{4}-\d{2}-\d{2}", str(text or ""))
    return date.fromisoformat(found[0]) if found else None

"""Collects which tests check which sentence of a standard, and writes docs/conformance.md from that."""

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from .lines import roles

__all__ = ["PAGE", "Check", "checks_of", "page", "published_sentences"]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance.md"
_PUBLISHED = ROOT.parent / "shared" / "reference" / "requirements"

_HEAD = """# Conformance

What each role of the facade owes to the standards, and the tests that hold it to that. This page is written from the
tests (`python -m tests.conformance`): each says with `@pytest.mark.requirement` which line and which published sentence
it checks, and quotes the sentence. A test of the suite fails when this page and the tests differ, when a line has no
test, or when a quotation is not what the standard says. The tests run with `make test`; a line is *tested* because
every test named beside it is part of that run.

Ids of sentences are those of HL7's requirement lists for SMART App Launch 2.2.0, CDS Hooks 2.0, the CDS Hooks library
1.0.1 and Subscriptions R5 Backport 1.1.0.
"""


@dataclass(frozen=True)
class Check:
    """A test that checks a line by a sentence; ``id`` is empty where the published lists hold no sentence for it."""

    line: str
    id: str
    sentence: str
    module: str
    test: str


def checks_of(items: Iterable[pytest.Item]) -> tuple[Check, ...]:
    """Return what the collected tests say they check; the cases of one test are one."""
    found = {}
    for item in items:
        for mark in item.iter_markers("requirement"):
            line, sentence_id, sentence = mark.args
            module = item.path.relative_to(ROOT).as_posix()
            test = item.originalname if isinstance(item, pytest.Function) else item.name
            found[Check(line, sentence_id, sentence, module, test)] = None
    return tuple(sorted(found, key=lambda check: (check.line, check.module, check.test, check.id)))


def page(checks: Iterable[Check]) -> str:
    """Return the page."""
    by_line: dict[str, list[Check]] = defaultdict(list)
    for check in checks:
        by_line[check.line].append(check)
    parts = [_HEAD]
    for role in roles():
        parts.append(f"\n## ({role.letter}) {role.title}\n")
        parts.append("| line | requirement | sentences | tests | status |\n| --- | --- | --- | --- | --- |")
        parts.extend(_row(line, text, by_line[line]) for line, text in role.lines.items())
    everything = [check for checks in by_line.values() for check in checks]
    sentences, tests = {check.id for check in everything} - {""}, {(check.module, check.test) for check in everything}
    parts.append(f"\n{len(tests)} tests check {len(sentences)} published sentences.\n")
    return "\n".join(parts)


def _row(line: str, text: str, checks: list[Check]) -> str:
    ids = ", ".join(f"`{one}`" for one in sorted({_short(check.id) for check in checks if check.id}))
    by_module: dict[str, list[str]] = defaultdict(list)
    for check in checks:
        if check.test not in by_module[check.module]:
            by_module[check.module].append(check.test)
    tests = "<br>".join(
        f"[{Path(module).name}](../{module}): {', '.join(f'`{name}`' for name in names)}"
        for module, names in sorted(by_module.items())
    )
    return f"| {line} | {text} | {ids} | {tests} | {'tested' if checks else 'no test'} |"


def _short(sentence_id: str) -> str:
    return sentence_id.removeprefix("hl7.fhir.uv.")


def published_sentences() -> dict[str, set[str]] | None:
    """Return the published sentences by id, or None where the lists are not there."""
    if not _PUBLISHED.is_dir():
        return None
    sentences: dict[str, set[str]] = defaultdict(set)
    for path in sorted(_PUBLISHED.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                sentences[row["id"]].add(row["requirement"])
    return sentences

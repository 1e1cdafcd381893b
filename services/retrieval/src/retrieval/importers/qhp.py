"""Formularies of US marketplace plans as CMS asks for them: index.json, plans.json and files of drugs.

Source: CMS, "QHP provider & formulary APIs" (github.com/CMSgov/QHP-provider-formulary-APIs): a drug has an RxNorm id,
a name and for each plan its tier, prior authorization, step therapy, quantity limit and years. The list of a plan is
spread over all files of drugs, so an input is the folder that holds them: what the index names and is not there makes
the whole be refused. A plan year is a version of the plan's document, from its first day to its last.
"""

import json
import re
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from service_contracts.evidence import Fact, FormularyStatus, Source

from retrieval.documents import IngestedDocument
from retrieval.importers.formulary_facts import formulary_fact
from retrieval.importers.long_json import json_items
from retrieval.importers.records import Record, RecordRefused, read_limited
from retrieval.importers.spool import Spool
from retrieval.importers.streams import open_bounded

__all__ = ["QhpFormularies"]

_INDEX = "index.json"
_PLAN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{2,63}")
_FLAGS = ("prior_authorization", "step_therapy", "quantity_limit")
_MAX_INDEX_BYTES = 4 * 1024 * 1024
_MOST_YEARS = 5


class QhpFormularies:
    """See ``Importer``. One record is one plan in one year."""

    name = "qhp-formularies"
    edition = 1

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``."""
        if path.is_file():
            return [path.parent if path.name == _INDEX else path]
        return sorted({one.parent for one in path.rglob("*.json") if one.name == _INDEX or _holds(one, "rxnorm_id")})

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        return sum(1 for _ in self.records(path))

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``; the rows are put in the order of the plans on disk before."""
        if path.is_file():
            raise RecordRefused("a plan's list is spread over files: name the folder of index.json and all it names")
        plans = {str(plan.get("plan_id")): plan for file in _plan_files(path) for plan in _items(file)}
        with Spool() as rows:
            for file in _drug_files(path):
                left_out = _Left()
                for drug in _items(file):
                    _spread(drug, plans, rows, left_out)
                if left_out.count:
                    yield Record(f"{file.name}: {left_out.count} entries", partial(_left_out, left_out.reason))
            for key in rows.keys():  # noqa: SIM118  not a mapping
                plan_id, year = key.rsplit("/", 1)
                convert = partial(_document, plan_id, int(year), plans.get(plan_id, {}), rows, key)
                yield Record(f"{path.name}: {plan_id} {year}", convert)


class _Left:
    """How many rows of a file were left out, and why the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.reason = ""

    def add(self, reason: str) -> None:
        self.count += 1
        self.reason = self.reason or reason


def _left_out(reason: str) -> IngestedDocument:
    raise RecordRefused(f"left out: {reason}")


def _holds(path: Path, name: str) -> bool:
    try:
        with path.open("rb") as file:
            return f'"{name}"'.encode() in file.read(1 << 16)
    except OSError:
        return False


def _plan_files(folder: Path) -> list[Path]:
    named = _named(folder, "plan_urls")
    if named is not None:
        return named
    found = (one for one in folder.glob("*.json") if _holds(one, "marketing_name") and not _holds(one, "rxnorm_id"))
    return sorted(found)


def _drug_files(folder: Path) -> list[Path]:
    named = _named(folder, "formulary_urls")
    found = named if named is not None else sorted(one for one in folder.glob("*.json") if _holds(one, "rxnorm_id"))
    if not found:
        raise RecordRefused("no file of drugs")
    return found


def _named(folder: Path, which: str) -> list[Path] | None:
    """Return the files beside index.json that bear the names of its addresses, None when there is no index."""
    index = folder / _INDEX
    if not index.exists():
        return None
    try:
        urls = json.loads(read_limited(index, _MAX_INDEX_BYTES))[which]
        names = [PurePosixPath(unquote(urlsplit(str(url)).path)).name for url in urls]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RecordRefused(f"index.json without {which}") from None
    if len(set(names)) != len(names):
        raise RecordRefused("index.json names two files that are called the same: save them under other names")
    missing = [name for name in names if not name or not (folder / name).is_file()]
    if missing:
        raise RecordRefused(f"index.json names {missing[0][:80]}, which is not beside it")
    return [folder / name for name in names]


def _items(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with open_bounded(file) as stream:
            yield from json_items(stream, "item")
    except RecordRefused as refusal:
        raise RecordRefused(f"{file.name}: {refusal}") from None


def _spread(drug: dict[str, Any], plans: dict[str, Any], rows: Spool, left_out: _Left) -> None:
    name, rxcui = str(drug.get("drug_name") or "").strip(), str(drug.get("rxnorm_id") or "").strip()
    covered = drug.get("plans")
    if not name or not isinstance(covered, list):
        left_out.add("a drug without name or plans")
        return
    if not rxcui.isdecimal():
        left_out.add(f"{name[:60]} has no RxNorm id")
        return
    for one in covered:
        plan_id = str(one.get("plan_id") or "") if isinstance(one, dict) else ""
        if not _PLAN_ID.fullmatch(plan_id):
            left_out.add(f"{name[:60]} names a plan without id")
        elif not all(isinstance(one.get(flag), bool) for flag in _FLAGS):
            left_out.add(f"{name[:60]} does not say all of {', '.join(_FLAGS)} for {plan_id}")
        else:
            years = _years(one) or _years(plans.get(plan_id, {}))
            if not years:
                left_out.add(f"{name[:60]} does not say for which years it is listed in {plan_id}")
            for year in years:
                rows.put(f"{plan_id}/{year}", [rxcui, name, one.get("drug_tier"), *(one[flag] for flag in _FLAGS)])


def _years(of: dict[str, Any]) -> list[int]:
    years = of.get("years")
    found = [one for one in years if isinstance(one, int) and 2000 <= one <= 2200] if isinstance(years, list) else []
    return sorted(set(found))[:_MOST_YEARS]


def _document(plan_id: str, year: int, plan: dict[str, Any], rows: Spool, key: str) -> IngestedDocument:
    name = str(plan.get("marketing_name") or plan_id)
    source = Source(
        title=f"{name}: drug formulary",
        publisher=str(plan.get("issuer_name") or "Formulary of the plan's issuer"),
        identifier=plan_id,
        version=str(year),
        section="drugs",
        published=_day(plan.get("last_updated_on")),
        effective_from=date(year, 1, 1),
        superseded_on=date(year + 1, 1, 1),
    )
    facts: dict[str, Fact] = {}
    for rxcui, drug, tier, *flags in rows.rows(key):
        body = FormularyStatus(
            plan=plan_id,
            drug=drug,
            rxcui=rxcui,
            covered=True,
            tier=str(tier).strip() or None if tier is not None else None,
            **dict(zip(_FLAGS, flags, strict=True)),
        )
        # The same code twice, with other words or another tier: both are said, since which holds is not.
        base, number = f"formulary/{plan_id}/{year}/{rxcui}", 1
        fact_id = base
        while fact_id in facts and facts[fact_id].body != body:
            number += 1
            fact_id = f"{base}-{number}"
        facts[fact_id] = formulary_fact(fact_id, body, name, source)
    # No names: what an issuer calls a drug may be a brand, and would pass for an ingredient.
    return IngestedDocument(f"formulary/{plan_id}", "formulary", source, tuple(facts.values()))


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10]) if text else None
    except ValueError:
        return None

"""The shipped files of facts as they stand, and the labels they quote where the open data is at hand."""

import json
import lzma
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from service_contracts.evidence import Fact

LABELS = Path(__file__).resolve().parents[4].parent / "shared" / "data" / "drug_labels.tar.xz"


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


@dataclass(frozen=True)
class Shipped:
    """One file as written (``raw``) and as the contracts read it (``facts``)."""

    name: str
    raw: dict[str, Any]
    facts: tuple[Fact, ...]


def _shipped(name: str, text: str) -> Shipped:
    raw = yaml.safe_load(text)
    facts = tuple(
        Fact.model_validate(
            {
                **{key: entry[key] for key in ("id", "statement", "body")},
                "verbatim": entry.get("verbatim", False),
                "source": {"section": entry["section"], **raw["sources"][entry["source"]]},
            }
        )
        for entry in raw["facts"]
    )
    return Shipped(name, raw, facts)


@pytest.fixture(scope="session")
def shipped() -> tuple[Shipped, ...]:
    folder = files("retrieval").joinpath("knowledge")
    found = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return tuple(_shipped(file.name, file.read_text("utf-8")) for file in found)


@pytest.fixture(scope="session")
def facts(shipped: tuple[Shipped, ...]) -> Mapping[str, Fact]:
    return {fact.id: fact for file in shipped for fact in file.facts}


@pytest.fixture(scope="session")
def drug_facts(facts: Mapping[str, Fact]) -> list[Fact]:
    pages = ("activity/", "follow-up/")
    return [fact for fact in facts.values() if not fact.id.startswith(pages)]


@pytest.fixture(scope="session")
def labels() -> Mapping[str, str]:
    """The text of every label under the identifier that a source has for it."""
    if not LABELS.exists():
        pytest.skip("the open drug labels (../shared/data/drug_labels.tar.xz) are not here: quotes were not checked")
    texts: dict[str, str] = {}
    with tarfile.open(LABELS) as archive:
        large = archive.extractfile("drug_labels/openfda_875/openfda_labels_875.jsonl.xz")
        small = archive.extractfile("drug_labels/openfda_common51/openfda_labels_51.jsonl")
        assert large is not None and small is not None
        for line in lzma.decompress(large.read()).splitlines():
            label = json.loads(line)
            for set_id in label["openfda_meta"].get("spl_set_id", ()):
                texts[set_id] = plain(" ".join(map(str, label["sections"].values())))
        for line in small.read().splitlines():
            label = json.loads(line)
            parts = [part for value in label["label"].values() if value for part in value]
            texts[f"openfda-label-query:{label['query']}"] = plain(" ".join(parts))
    return texts

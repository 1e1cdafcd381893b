"""What is said of texts about patients on disk, and the report that says it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.bytes_on_disk import Found, fourgrams
from benchmarks.machine import machine
from benchmarks.planted_patients import Planted

__all__ = ["FORGOTTEN", "Engine", "report"]

FORGOTTEN = 5
"""How many of the patients are forgotten."""


@dataclass
class Engine:
    """What is measured of one engine; ``sealed`` and ``plain`` are recalls, ``looks`` what was seen in which files."""

    name: str
    looks: list[tuple[str, Found]] = field(default_factory=list)
    sealed: float = 0.0
    plain: float = 0.0
    same: float = 0.0
    p95_ms: float = 0.0
    forgotten: list[tuple[str, str]] = field(default_factory=list)


def report(patients: Sequence[Planted], dimension: int, engines: Sequence[Engine], beside: Found, missing: str) -> str:
    """Return the report; ``beside`` is what was seen in the files of the secret store."""
    sentences = [one.text for patient in patients for one in patient.texts]
    grams = len(fourgrams(sentences))
    looks = [(one.name, *look) for one in engines for look in one.looks]
    looks.append(("", "data and audit log of the secret store", beside))
    return "\n".join(
        [
            "# Texts about patients",
            "",
            f"Machine: {machine()}. `python -m benchmarks patient-texts`.",
            f"Planted: {len(patients)} made-up patients, {len(sentences):,} sentences with {grams:,} runs of four",
            f"words that stand in one of them only, and their vectors ({dimension} numbers). Secret store: OpenBao.",
            "OpenSearch 3.4.0, one node.",
            missing,
            "## What can be read in the files",
            "",
            "Sentences and runs of four words as they are and out of Base64, letters of both cases alike. Vectors as",
            "numbers of two and four bytes in both orders, beginning at any byte, out of Base64, and as decimals:",
            "every run of 32 or more that could be numbers of a unit vector is compared with every planted vector at",
            "every place; the highest cosine counts. OpenSearch packs what it stores: its control shows the sentences",
            "only in part, the vectors whole.",
            "",
            "| engine | files | MB | sentences | runs of four words | highest cosine |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
            *(
                f"| {name} | {where} | {found.size / 1e6:,.1f} | {found.sentences:,} | {found.fourgrams:,} |"
                f" {found.cosine:.2f} |"
                for name, where, found in looks
            ),
            "",
            "## Found, of the five sentences of a patient that a question in other words is about, among the first ten",
            "",
            f"{sum(len(patient.questions) for patient in patients)} questions. Plain: the same engine, texts and",
            "vectors in plain text, narrowed to the patient inside the search. Same: share of the ten that both found.",
            "",
            "| engine | recall@10 plain | recall@10 sealed | sealed to plain | same | ms at p95, sealed |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *(
                f"| {one.name} | {one.plain:.4f} | {one.sealed:.4f} | {one.sealed / one.plain:.4f} | {one.same:.4f} |"
                f" {one.p95_ms:,.0f} |"
                for one in engines
            ),
            "",
            "A sealed search reads the wrapped key, has it opened and opens one patient's fifty rows: times are of two",
            "calls to the secret store, beside other work.",
            "",
            f"## Read after the keys of {FORGOTTEN} patients were destroyed",
            "",
            "| engine | where | patients of whom anything could be read |",
            "| --- | --- | --- |",
            *(f"| {one.name} | {where} | {said} |" for one in engines for where, said in one.forgotten),
            "",
            "What would still open them is a backup of the secret store from before, with its unseal keys: it must be",
            "kept no longer than a patient may wait to be forgotten.",
            "",
        ]
    )

"""Makes the shipped patients anew from the clinosim simulator: ``python -m sandbox_ehr.generate --clinosim FOLDER``.

``FOLDER`` holds the simulator, installed without its dependencies outside of the environment::

    uv pip install --no-deps --target FOLDER clinosim==0.6.5
"""

import argparse
import json
import lzma
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sandbox_ehr.patients.references import prune_references, references
from sandbox_ehr.patients.store import DATA_FILE, STAYS

__all__ = ["main", "select"]

Resource = dict[str, Any]

SEED = 1946
POPULATION = 600
_OF_THE_STAY = ("Condition", "Procedure", "MedicationRequest", "Observation")
_OF_THE_PATIENT = ("AllergyIntolerance", "Condition", "Coverage")
_REFERRED_TO = ("Condition", "Practitioner", "Organization", "Location")
_OBSERVATION_CATEGORIES = ("laboratory", "vital-signs")


def main() -> None:
    """Run the simulator and write the data file beside the package's code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clinosim", type=Path, required=True, help="folder the simulator was installed into")
    parser.add_argument("--output", type=Path, default=DATA_FILE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _simulate(arguments.clinosim, Path(folder))
        resources = select(_read(Path(folder) / "fhir_r4"))
    lines = (json.dumps(resource, separators=(",", ":"), sort_keys=True) for resource in resources)
    with lzma.open(arguments.output, "wt", encoding="utf-8", preset=9) as file:
        file.writelines(f"{line}\n" for line in lines)
    sys.stdout.write(f"{len(resources)} resources, {arguments.output.stat().st_size} bytes\n")


def select(tables: dict[str, list[Resource]]) -> list[Resource]:
    """Keep the patients of ``STAYS`` with what a discharge needs, and the problems, staff and places they refer to."""
    encounters = {e["id"]: e for e in tables["Encounter"]}
    kept: dict[str, Resource] = {}
    for stay in STAYS:
        encounter = encounters[stay.encounter]
        for resource in _of_stay(encounter, tables):
            kept[f"{resource['resourceType']}/{resource['id']}"] = resource
    directory = {f"{kind}/{r['id']}": r for kind in _REFERRED_TO for r in tables[kind]}
    wanted = list(kept.values())
    while wanted:
        for reference in references(wanted.pop()):
            if reference in directory and reference not in kept:
                kept[reference] = directory[reference]
                wanted.append(directory[reference])
    return [prune_references(kept[key], kept.keys()) for key in sorted(kept)]


def _of_stay(encounter: Resource, tables: dict[str, list[Resource]]) -> Iterator[Resource]:
    reference = f"Encounter/{encounter['id']}"
    patient = encounter["subject"]["reference"]
    end = encounter["period"]["end"]
    yield encounter
    yield from (p for p in tables["Patient"] if f"Patient/{p['id']}" == patient)
    for kind in _OF_THE_STAY:
        found = [r for r in tables[kind] if r.get("encounter", {}).get("reference") == reference]
        yield from _first_and_last(found) if kind == "Observation" else found
    for kind in _OF_THE_PATIENT:
        for resource in tables[kind]:
            holder = resource.get("subject") or resource.get("patient") or resource.get("beneficiary") or {}
            since = resource.get("recordedDate") or resource.get("period", {}).get("start") or ""
            if holder.get("reference") == patient and since <= end and not resource.get("abatementDateTime"):
                yield resource


def _first_and_last(observations: Iterable[Resource]) -> Iterator[Resource]:
    by_code: dict[str, list[Resource]] = {}
    for observation in sorted(observations, key=lambda o: str(o.get("effectiveDateTime"))):
        category = observation.get("category", [{}])[0].get("coding", [{}])[0].get("code")
        if category in _OBSERVATION_CATEGORIES:
            by_code.setdefault(json.dumps(observation["code"], sort_keys=True), []).append(observation)
    for series in by_code.values():
        yield series[0]
        if len(series) > 1:
            yield series[-1]


def _simulate(package: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "clinosim.simulator.cli", "simulate", "--country", "US"]
    command += ["--population", str(POPULATION), "--seed", str(SEED), "--format", "fhir-r4", "--output", str(folder)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(package)}, stdout=sys.stderr)  # noqa: S603


def _read(folder: Path) -> dict[str, list[Resource]]:
    kinds = {"Encounter", "Patient", *_OF_THE_STAY, *_OF_THE_PATIENT, *_REFERRED_TO}
    return {kind: [json.loads(line) for line in (folder / f"{kind}.ndjson").open()] for kind in sorted(kinds)}


if __name__ == "__main__":
    main()

"""``preceptor ingest forget``: destroys the keys of patients. Who they are is read from a file or from the input.

What stands on a command line is seen by everyone on the machine and stays in the shell's history; so nobody is named
there, and nothing that is said names anyone.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from service_contracts.patient_texts import PatientReference

from retrieval.command_runs import console, fail, progress_bar, with_texts
from retrieval.patient_texts import PatientTexts

__all__ = ["forget"]

_REFERENCE: TypeAdapter[str] = TypeAdapter(PatientReference)


def forget(
    patient_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, readable=True, help="A file with one patient a line.")
    ] = None,
    patient_stdin: Annotated[
        bool, typer.Option("--patient-stdin", help="Read the patients from the standard input.")
    ] = False,
) -> None:
    """Make all that is kept of patients unreadable, everywhere and for good. A patient is an absolute reference."""
    if (patient_file is None) is not patient_stdin:
        raise typer.BadParameter("give either --patient-file or --patient-stdin")
    try:
        given = sys.stdin.read() if patient_file is None else patient_file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"the patients cannot be read ({type(error).__name__})")
    patients = _patients(given)

    async def work(texts: PatientTexts) -> int:
        gone = 0
        with progress_bar() as progress:
            bar = progress.add_task("patients", total=len(patients))
            for patient in patients:
                gone += await texts.forget(patient)
                progress.advance(bar)
        console.print(f"{len(patients)} forgotten, {gone} texts deleted.")
        return 0

    with_texts(work)


def _patients(given: str) -> list[str]:
    """Return the patients of all lines; one that is no reference ends the process, before any key is destroyed."""
    found = []
    for number, line in enumerate(given.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found.append(_REFERENCE.validate_python(line.strip()))
        except ValidationError:
            fail(
                f"line {number} is no absolute reference like https://ehr.example/fhir/Patient/1: nobody was forgotten"
            )
    if not found:
        fail("no patient is named")
    return list(dict.fromkeys(found))

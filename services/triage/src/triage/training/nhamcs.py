"""Imports the emergency visits of NHAMCS from the files that CDC publishes (SAS, Stata, SPSS, fixed width).

Read in pieces, never as a whole. A file without a needed variable is refused; a value that is no code of its variable
and no possible measurement is left out and counted, never guessed.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service_contracts.quantity import Quantity
from service_contracts.triage import MeasurementKind

from triage.intake import Intake
from triage.training.errors import SurveyError
from triage.training.reasons import ReasonLabels
from triage.training.survey_files import open_survey, read_rows
from triage.units import NotPossible, load_kinds

__all__ = ["NOTICE", "SurveyError", "Tally", "Visit", "open_survey", "read_visits"]

NOTICE = (
    "The Public Health Service Act (section 308(d)) provides that the data collected by the National Center for Health"
    " Statistics, Centers for Disease Control and Prevention, may be used only for the purpose of health statistical"
    " reporting and analysis. Any effort to determine the identity of any reported case is prohibited by this law. The"
    " data must not be linked with individually identifiable data from other datasets."
)
_KINDS = load_kinds()
_MEASURED: Mapping[str, tuple[MeasurementKind, str, float]] = {
    "TEMPF": (MeasurementKind.TEMPERATURE, "[degF]", 0.1),  # tenths of a degree
    "PULSE": (MeasurementKind.PULSE, "/min", 1.0),
    "RESPR": (MeasurementKind.RESPIRATIONS, "/min", 1.0),
    "BPSYS": (MeasurementKind.SYSTOLIC, "mm[Hg]", 1.0),
    "BPDIAS": (MeasurementKind.DIASTOLIC, "mm[Hg]", 1.0),
    "POPCT": (MeasurementKind.OXYGEN_SATURATION, "%", 1.0),
    "PAINSCALE": (MeasurementKind.PAIN, "{score}", 1.0),
}
_CONDITIONS: Mapping[str, str] = {
    "ETOHAB": "alcohol-misuse", "ALZHD": "dementia", "ASTHMA": "asthma", "CANCER": "cancer",
    "CEBVD": "cerebrovascular-disease", "CKD": "chronic-kidney-disease", "COPD": "copd", "CHF": "heart-failure",
    "CAD": "coronary-artery-disease", "DEPRN": "depression", "ESRD": "end-stage-renal-disease",
    "HPE": "thromboembolism-history", "EDHIV": "hiv", "HYPLIPID": "hyperlipidemia", "HTN": "hypertension",
    "OBESITY": "obesity", "OSA": "sleep-apnea", "OSTPRSIS": "osteoporosis", "SUBSTAB": "substance-misuse",
    "DIABTYP0": "diabetes", "DIABTYP1": "diabetes", "DIABTYP2": "diabetes",
}  # fmt: skip
_REASONS = ("RFV1", "RFV2", "RFV3", "RFV4", "RFV5")
_OTHERS = (
    "AGE", "AGEDAYS", "SEX", "ARREMS", "AMBTRANSFER", "RESIDNCE", "IMMEDR", "ADMIT", "DIEDED", "HDSTAT", "ADMITHOS",
    "OBSHOS", "TRANOTH", "DOA", "LWBS", "REGION", "HOSPCODE", "PATWT", "YEAR",
)  # fmt: skip
VARIABLES = (*_MEASURED, *_CONDITIONS, *_REASONS, *_OTHERS)
_REGIONS = {1: "northeast", 2: "midwest", 3: "south", 4: "west"}


@dataclass
class Tally:
    """What was read and what was left out, by variable."""

    visits: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Visit:
    """One visit: what was known at triage, and what came of it. ``level`` is the recorded one (1 to 5) or None."""

    year: int
    patient: Intake
    level: int | None
    critical: bool
    hospitalised: bool
    eligible: bool
    weight: float
    hospital: int
    region: str
    reasons: tuple[int, ...]


def read_visits(
    files: Sequence[Path], labels: ReasonLabels, tally: Tally, programs: Sequence[Path] = ()
) -> Iterator[Visit]:
    """Yield the visits of ``files``; raise ``SurveyError``. ``programs`` lay out the fixed-width ones (SAS INPUT)."""
    for row in read_rows(files, VARIABLES, programs):
        tally.visits += 1
        yield _visit(row, labels, tally)


def _number(row: Mapping[str, Any], name: str) -> int | None:
    value = row[name]
    try:
        return None if value is None or value != value else int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _visit(row: Mapping[str, Any], labels: ReasonLabels, tally: Tally) -> Visit:
    def code(name: str, known: range | Sequence[int]) -> int | None:
        value = _number(row, name)
        if value is None or value in known:
            return value
        if value >= 0:
            tally.left_out[name] += 1
        return None

    days, years = code("AGEDAYS", range(366)), code("AGE", range(125))
    months = None if years is None else years * 12.0
    if days is not None:
        months = days / 30.4375
    level, year = code("IMMEDR", range(8)), _number(row, "YEAR")
    if year is None or not 1992 <= year <= 2100:
        raise SurveyError("a visit has no year")
    home = {1: "home", 2: "nursing-home", 3: "other", 4: "other"}.get(code("RESIDNCE", range(1, 5)) or 0)
    reasons = tuple(value for name in _REASONS if (value := _number(row, name) or 0) > 0)
    patient = Intake(
        age_months=months,
        sex={1: "female", 2: "male"}.get(code("SEX", (1, 2)) or 0),
        ambulance={1: True, 2: False}.get(code("ARREMS", (1, 2)) or 0),
        came_from="hospital" if _number(row, "AMBTRANSFER") == 1 else home,
        values=_measurements(row, tally),
        complaints=tuple(labels.phrase(reason) for reason in reasons),
        mental_status=None,
        conditions=frozenset(name for column, name in _CONDITIONS.items() if _number(row, column) == 1),
        signs=(),
    )
    return Visit(
        year=year,
        patient=patient,
        # 0 and 7 are no triage, or none that has levels.
        level=level if level in range(1, 6) else None,
        critical=_number(row, "ADMIT") == 1 or _number(row, "DIEDED") == 1 or _number(row, "HDSTAT") == 2,
        hospitalised=any(_number(row, name) == 1 for name in ("ADMITHOS", "OBSHOS", "TRANOTH")),
        # Who was dead on arrival was not triaged; of who left unseen no outcome is known.
        eligible=_number(row, "DOA") != 1 and _number(row, "LWBS") != 1,
        weight=_weight(row),
        hospital=_number(row, "HOSPCODE") or 0,
        region=_REGIONS.get(code("REGION", range(1, 5)) or 0, "unknown"),
        reasons=reasons,
    )


def _weight(row: Mapping[str, Any]) -> float:
    try:
        weight = float(row["PATWT"])
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise SurveyError("a visit has no weight")
    return weight


def _measurements(row: Mapping[str, Any], tally: Tally) -> dict[MeasurementKind, float]:
    found: dict[MeasurementKind, float] = {}
    for column, (kind, unit, factor) in _MEASURED.items():
        value = _number(row, column)
        if value is None or value < 0:
            continue
        try:
            normalised = _KINDS[kind.value].normalise(Quantity(value=value * factor, unit=unit))
        except NotPossible:
            tally.left_out[column] += 1
            continue
        if normalised.correction is None:
            found[kind] = normalised.value
        else:
            tally.left_out[column] += 1
    systolic, diastolic = found.get(MeasurementKind.SYSTOLIC), found.get(MeasurementKind.DIASTOLIC)
    if systolic is not None and diastolic is not None and diastolic >= systolic:
        tally.left_out["BPDIAS"] += 1
        del found[MeasurementKind.DIASTOLIC]
    return found

"""Kidney function from what a chart holds: measured eGFR, CKD-EPI 2021, Cockcroft-Gault.

CKD-EPI 2021 (race-free): Inker LA et al., New Engl J Med 2021;385:1737-1749, creatinine equation.
Cockcroft-Gault: Cockcroft DW, Gault MH, Nephron 1976;16:31-41, with actual body weight.
"""

from dataclasses import dataclass
from typing import Literal

from service_contracts.chart import Chart, ChartObservation, ChartReference
from service_contracts.quantity import Quantity

from reconciliation.units import in_unit, unit_of

__all__ = ["KidneyFunction", "ckd_epi_2021", "cockcroft_gault", "kidney_function"]

# LOINC codes of results: eGFR by several equations, serum or blood creatinine, body weight.
_EGFR = frozenset(
    {
        "33914-3",
        "48642-3",
        "48643-1",
        "50044-7",
        "62238-1",
        "69405-9",
        "77147-7",
        "88293-6",
        "88294-4",
        "98979-8",
        "98980-6",
    }
)
_CREATININE = frozenset({"2160-0", "38483-4", "14682-9"})
_WEIGHT = frozenset({"29463-7", "3141-9", "3142-7", "8341-0"})
_UMOL_PER_MG_DL = 88.42


@dataclass(frozen=True)
class KidneyFunction:
    """A value, how it was had ("measured", or the equation's name) and the chart items it rests on."""

    value: Quantity
    method: str
    chart: tuple[ChartReference, ...]


def ckd_epi_2021(creatinine_mg_dl: float, age_years: int, sex: Literal["female", "male"]) -> float:
    """Return eGFR in mL/min/1.73 m2 from serum creatinine; for adults."""
    kappa, alpha, factor = (0.7, -0.241, 1.012) if sex == "female" else (0.9, -0.302, 1.0)
    ratio = creatinine_mg_dl / kappa
    return float(142 * min(ratio, 1.0) ** alpha * max(ratio, 1.0) ** -1.200 * 0.9938**age_years * factor)


def cockcroft_gault(creatinine_mg_dl: float, age_years: int, weight_kg: float, sex: Literal["female", "male"]) -> float:
    """Return creatinine clearance in mL/min; for adults."""
    clearance = (140 - age_years) * weight_kg / (72 * creatinine_mg_dl)
    return clearance * 0.85 if sex == "female" else clearance


def kidney_function(chart: Chart, measure: Literal["egfr", "crcl"]) -> KidneyFunction | None:
    """Return the patient's kidney function as ``measure``, or None when the chart does not allow it.

    Children, and patients whose sex the equations do not know, get no estimate. The more recent of a reported
    eGFR and a creatinine is used.
    """
    creatinine = _latest(chart, _CREATININE, "creatinine")
    if measure == "egfr":
        reported = _latest(chart, _EGFR, "egfr", "glomerular")
        if reported is not None and not _newer(creatinine, reported):
            value = Quantity(value=reported.value.value, unit="mL/min/{1.73_m2}")
            return KidneyFunction(value, "measured", (reported.source,))
    if creatinine is None or chart.age_years is None or chart.age_years < 18 or chart.sex not in ("female", "male"):
        return None
    mg_dl = _mg_dl(creatinine.value)
    if mg_dl is None or mg_dl <= 0:
        return None
    if measure == "egfr":
        value = Quantity(value=ckd_epi_2021(mg_dl, chart.age_years, chart.sex), unit="mL/min/{1.73_m2}")
        return KidneyFunction(value, "CKD-EPI 2021", (creatinine.source,))
    weight = _latest(chart, _WEIGHT, "body weight", "weight")
    kg = in_unit(weight.value, "kg") if weight is not None else None
    if weight is None or kg is None or kg.value <= 0:
        return None
    value = Quantity(value=cockcroft_gault(mg_dl, chart.age_years, kg.value, chart.sex), unit="mL/min")
    return KidneyFunction(value, "Cockcroft-Gault", (creatinine.source, weight.source))


def _latest(chart: Chart, codes: frozenset[str], *names: str) -> ChartObservation | None:
    found = [
        observation
        for observation in chart.observations
        if any(coding.code in codes for coding in observation.codes)
        or (not observation.codes and any(name in observation.name.lower() for name in names))
    ]
    dated = [observation for observation in found if observation.effective is not None]
    if dated:
        return max(dated, key=lambda observation: observation.effective.timestamp() if observation.effective else 0.0)
    return found[-1] if found else None


def _newer(creatinine: ChartObservation | None, reported: ChartObservation) -> bool:
    if creatinine is None or creatinine.effective is None or reported.effective is None:
        return False
    return creatinine.effective > reported.effective


def _mg_dl(value: Quantity) -> float | None:
    unit = unit_of(value.unit)
    if unit == "mg/dL":
        return value.value
    return value.value / _UMOL_PER_MG_DL if unit == "umol/L" else None

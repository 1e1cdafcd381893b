"""One triage: the floor at once, the model within the time that is left, and an answer in any case.

A score is not given where the posture does not allow one, where too little is known, or where the model is late or
not there; what the floor found is in the answer all the same.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from service_contracts.triage import (
    MeasurementKind,
    NotScored,
    OutcomeRisk,
    Posture,
    SourceAttributes,
    TriageAnswer,
    TriageModel,
    TriageReason,
    TriageRequest,
)
from service_runtime.log import LogCode, log

from triage.complaints import Complaints
from triage.floor import Floor, FloorResult
from triage.intake import Intake, read_intake
from triage.manifest import GroupWarning
from triage.model import Prediction, TriageModelFiles
from triage.reasons import reasons_for

__all__ = ["Assessor", "Served"]

_FEWEST_VITALS = 2
"""With the age and without an understood complaint, a score needs at least so many measurements."""


@dataclass(frozen=True)
class Served:
    """The model and who it is."""

    files: TriageModelFiles
    identity: TriageModel
    about: SourceAttributes


class Assessor:
    """Answers requests. ``model`` returns what is served now, or None while there is none."""

    def __init__(
        self,
        floor: Floor,
        model: Callable[[], Served | None],
        executor: Executor,
        *,
        posture: Posture,
        reserve_ms: int,
        region: str | None = None,
        complaints: Complaints | None = None,
    ) -> None:
        self._floor = floor
        self._model = model
        self._executor = executor
        self._posture = posture
        self._reserve_ms = reserve_ms
        self._region = region
        self._complaints = complaints or Complaints()

    async def assess(self, request: TriageRequest) -> TriageAnswer:
        """Return the answer; raise ``NotPossible`` or ``UnknownSign`` for a request that no patient stands behind."""
        started = time.monotonic()
        patient = read_intake(request, self._complaints)
        floor = self._floor.check(patient)
        served = self._model()
        late_at = started + (request.budget_ms - self._reserve_ms) / 1000
        outcome: NotScored | tuple[Prediction, tuple[TriageReason, ...]]
        if self._posture is Posture.NON_DEVICE:
            outcome = NotScored.POSTURE
        elif served is None:
            outcome = NotScored.MODEL_UNAVAILABLE
        elif not _enough(patient, complaint_counts=bool(patient.complaints)):
            outcome = NotScored.TOO_LITTLE
        else:
            outcome = await self._score(served, patient, late_at)
        if isinstance(outcome, tuple) and not _enough(patient, complaint_counts=outcome[0].understood):
            outcome = NotScored.TOO_LITTLE
        answer = self._answer(patient, floor, outcome, served)
        elapsed_ms = (time.monotonic() - started) * 1000
        log(
            LogCode.TRIAGE_ANSWERED,
            kind=answer.not_scored or "scored",
            flags=len(answer.floor_rules),
            elapsed_ms=round(elapsed_ms),
        )
        return answer.model_copy(update={"elapsed_ms": round(elapsed_ms, 2)})

    async def _score(
        self, served: Served, patient: Intake, late_at: float
    ) -> NotScored | tuple[Prediction, tuple[TriageReason, ...]]:
        def score() -> tuple[Prediction, tuple[TriageReason, ...]] | None:
            # What waited past its time is not worked on: that would make those behind it late as well.
            return None if time.monotonic() >= late_at else reasons_for(patient, served.files)

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(max(0.0, late_at - time.monotonic())):
                found = await loop.run_in_executor(self._executor, score)
        except TimeoutError:
            return NotScored.LATE
        # Outermost for the model: whatever is wrong in it, the floor's result must still reach the nurse.
        except Exception as error:  # noqa: BLE001
            log(LogCode.TRIAGE_MODEL_FAILED, level=logging.ERROR, error_type=type(error).__name__)
            return NotScored.MODEL_UNAVAILABLE
        return NotScored.LATE if found is None else found

    def _answer(
        self,
        patient: Intake,
        floor: FloorResult,
        outcome: NotScored | tuple[Prediction, tuple[TriageReason, ...]],
        served: Served | None,
    ) -> TriageAnswer:
        missing, used = list(patient.missing), list(patient.used)
        common = {
            "floor_rules": floor.rules,
            "corrections": patient.corrections,
            "posture": self._posture,
            "age_band": patient.band,
            "model": served.identity if served else None,
        }
        if isinstance(outcome, NotScored):
            return TriageAnswer(
                level=floor.level,
                not_scored=outcome,
                used=tuple(used),
                missing=tuple(missing),
                warnings=floor.advice,
                **common,
            )
        prediction, reasons = outcome
        assert served is not None, "a prediction comes from a served model"
        warnings = list(floor.advice)
        if patient.complaints and not prediction.understood:
            warnings.append("The complaint was not understood and did not count.")
            missing.append("complaint")
            used = [one for one in used if one.name != "complaint"]
        warnings += _group_warnings(served.files.manifest.warnings, patient, prediction, self._region)
        return TriageAnswer(
            level=min(prediction.level, floor.level or prediction.level),
            model_level=prediction.level,
            probabilities=prediction.probabilities,
            prediction_set=prediction.levels,
            coverage=served.files.manifest.calibration.coverage,
            risks=(
                OutcomeRisk(outcome="critical", probability=round(prediction.critical, 4)),
                OutcomeRisk(outcome="hospitalisation", probability=round(prediction.hospitalisation, 4)),
            ),
            reasons=reasons,
            used=tuple(used),
            missing=tuple(missing),
            warnings=tuple(dict.fromkeys(warnings)),
            **common,
        )


def _enough(patient: Intake, *, complaint_counts: bool) -> bool:
    """Whether a score says anything: the age is known, and why the patient came or two measurements."""
    vitals = sum(kind is not MeasurementKind.PAIN for kind in patient.values)
    return patient.age_months is not None and (complaint_counts or vitals >= _FEWEST_VITALS)


def _group_warnings(
    known: tuple[GroupWarning, ...], patient: Intake, prediction: Prediction, region: str | None
) -> list[str]:
    arrival = None if patient.ambulance is None else ("ambulance" if patient.ambulance else "other")
    groups = {
        "age": patient.band,
        "sex": patient.sex,
        "arrival": arrival,
        "complaint": prediction.group,
        "region": region,
    }
    return [
        f"In this group ({one.dimension}: {one.group}) the model tells {one.outcome} apart less well than in all"
        f" patients (AUC {one.auc:.2f}, all {one.whole:.2f})."
        for one in known
        if groups[one.dimension] == one.group or (one.dimension == "region" and region is None)
    ]

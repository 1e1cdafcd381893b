"""The model that is served: weights that are what their manifest says, read as probabilities, a level and a set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file
from service_contracts.triage import MentalStatus

from triage.encoder import PhraseEncoder
from triage.features import NAMES, Encoding, raw_row
from triage.intake import Intake
from triage.manifest import FILES, Manifest, files_digest
from triage.network import Network

__all__ = ["ModelRefused", "Prediction", "TriageModelFiles", "level_of", "probabilities_of", "set_of"]

Matrix = NDArray[np.float32]
_STATUS_PHRASES = {
    MentalStatus.CONFUSED: "altered level of consciousness",
    MentalStatus.VOICE: "altered level of consciousness",
    MentalStatus.PAIN: "unconscious on arrival",
    MentalStatus.UNRESPONSIVE: "unconscious on arrival",
}
"""The survey has no mental status, only reasons for the visit that say the same."""


class ModelRefused(Exception):
    """The model's files are not what the manifest says, or not for this encoder; the text says which."""


@dataclass(frozen=True)
class Prediction:
    """What the model says of one patient.

    ``understood`` is False where no phrase of the complaint is like any it knows.
    """

    probabilities: tuple[float, ...]
    level: int
    levels: tuple[int, ...]
    critical: float
    hospitalisation: float
    understood: bool
    group: str | None


class TriageModelFiles:
    """One model. Everything is checked when it is opened."""

    def __init__(self, folder: Path, encoder: PhraseEncoder) -> None:
        try:
            manifest = Manifest.read(folder)
            digest = files_digest(folder)
        except (OSError, ValidationError):
            raise ModelRefused("the model's files cannot be read") from None
        if digest != manifest.adapter_digest or manifest.own_digest() != manifest.digest:
            raise ModelRefused("the model's files are not those of its manifest")
        if encoder.digest != manifest.encoder_digest:
            raise ModelRefused("the model was made for another encoder")
        if manifest.features != NAMES:
            raise ModelRefused("the model was made for other inputs")
        self.manifest = manifest
        self._encoder = encoder
        self._encoding = Encoding(manifest.edges)
        try:
            self._network = Network(load_file(folder / FILES[0]))
            vocabulary = load_file(folder / FILES[1])
            self._known: Matrix = vocabulary["vectors"].astype(np.float32)
            self._groups = vocabulary["groups"]
        except (OSError, ValueError, KeyError, SafetensorError):
            raise ModelRefused("the model's tensors are not those of this version") from None

    def predict(self, patients: Sequence[Intake]) -> list[Prediction]:
        """Return a prediction for each; patients that share a complaint share its encoding."""
        seen: dict[tuple[tuple[str, ...], int], tuple[Matrix, bool, str | None]] = {}
        phrases = [self._phrases(patient) for patient in patients]
        for key in phrases:
            if key not in seen:
                seen[key] = self._complaint(*key)
        numbers = self._encoding([raw_row(patient) for patient in patients])
        read = [seen[key] for key in phrases]
        logits = self._network(numbers, [complaint for complaint, _, _ in read])
        calibration = self.manifest.calibration
        probabilities = probabilities_of(logits.level, calibration.level_scale)
        critical = _sigmoid(logits.critical, calibration.critical)
        hospitalisation = _sigmoid(logits.hospitalisation, calibration.hospitalisation)
        return [
            Prediction(
                probabilities=tuple(round(float(one), 6) for one in row),
                level=level_of(row, calibration.level_cuts),
                levels=set_of(row, calibration.set_threshold),
                critical=round(float(critical[index]), 6),
                hospitalisation=round(float(hospitalisation[index]), 6),
                understood=read[index][1],
                group=read[index][2],
            )
            for index, row in enumerate(probabilities)
        ]

    def _phrases(self, patient: Intake) -> tuple[tuple[str, ...], int]:
        """Return what is read as reasons for the visit, and how many of them, from the first, are the complaint."""
        seen = _STATUS_PHRASES.get(patient.mental_status) if patient.mental_status else None
        return (*patient.complaints, *([seen] if seen else [])), len(patient.complaints)

    def _complaint(self, phrases: tuple[str, ...], complaints: int) -> tuple[Matrix, bool, str | None]:
        vectors = self._encoder.encode(phrases)
        if not len(vectors):
            return self._network.complaint(vectors), False, None
        likeness = vectors @ self._known.T
        understood = likeness.max(1) >= self.manifest.calibration.phrase_similarity
        kept = vectors[understood]
        if not len(kept):
            return self._network.complaint(kept), False, None
        nearest = int(likeness[int(np.argmax(understood))].argmax())
        group = self.manifest.groups[int(self._groups[nearest])]
        return self._network.complaint(kept), bool(understood[:complaints].any()), group


def probabilities_of(logits: Matrix, scale: float) -> NDArray[np.float64]:
    """Return the five probabilities of each row."""
    scaled = logits.astype(np.float64) * scale
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return result


def level_of(probabilities: NDArray[np.float64], cuts: Sequence[float]) -> int:
    """Return the level whose stretch between ``cuts`` holds the expected level."""
    expected = float(probabilities @ np.arange(1, 6))
    return 1 + sum(expected >= cut for cut in cuts)


def set_of(probabilities: NDArray[np.float64], threshold: float) -> tuple[int, ...]:
    """Return the levels of at least ``threshold``, those between them, and never none."""
    likely = [index + 1 for index, one in enumerate(probabilities) if one >= threshold]
    if not likely:
        likely = [int(np.argmax(probabilities)) + 1]
    return tuple(range(min(likely), max(likely) + 1))


def _sigmoid(logits: Matrix, line: tuple[float, float]) -> NDArray[np.float64]:
    slope, intercept = line
    result: NDArray[np.float64] = 1 / (1 + np.exp(-(slope * logits.astype(np.float64) + intercept)))
    return result

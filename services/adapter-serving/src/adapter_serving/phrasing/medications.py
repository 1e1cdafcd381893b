"""Instructions about medicines: what an order says, and the sentence that tells it to the patient."""

from dataclasses import dataclass

from service_contracts.chart import MedicationChange

from adapter_serving.phrasing.names import plain_name

__all__ = ["ROUTES", "Sig", "medication_sentence"]


@dataclass(frozen=True)
class Sig:
    """What an order says, part by part, in the words of the sentence; None where the order does not say.

    ``route`` is a word of ``ROUTES``, ``rhythm`` such as "3 times a day", ``manner`` such as "with food".
    """

    dose: str | None = None
    route: str | None = None
    rhythm: str | None = None
    as_needed: bool = False
    indication: str | None = None
    manner: str | None = None
    duration: str | None = None


# How each way of giving is told: the -ing form, the verb, and where the medicine goes.
ROUTES: dict[str, tuple[str, str, str]] = {
    "oral": ("taking", "take", "by mouth"),
    "sublingual": ("using", "use", "under the tongue"),
    "subcutaneous": ("using", "use", "under the skin"),
    "intramuscular": ("using", "use", "into a muscle"),
    "intravenous": ("using", "use", "into a vein"),
    "inhaled": ("using", "use", "by inhaler"),
    "topical": ("using", "use", "on the skin"),
    "transdermal": ("using", "use", "as a skin patch"),
    "ophthalmic": ("using", "use", "in the eye"),
    "otic": ("using", "use", "in the ear"),
    "nasal": ("using", "use", "in the nose"),
    "rectal": ("using", "use", "in the rectum"),
    "vaginal": ("using", "use", "in the vagina"),
}
_UNSAID = ("taking", "take", "")
_FORMS = ("tablet", "capsule", "pill", "puff", "drop", "patch", "spray")


def medication_sentence(name: str, change: MedicationChange, sig: Sig, reason: str | None = None) -> str:
    """Write one instruction: "Start taking metformin 500 mg by mouth 2 times a day for 10 days."."""
    doing, do, way = ROUTES.get(sig.route or "", _UNSAID)
    plain = plain_name(name)
    counted = sig.dose is not None and any(form in sig.dose for form in _FORMS)
    called = f"{plain.name} {plain.strength}," if counted and plain.strength else plain.name
    if change is MedicationChange.STOPPED:
        return f"Stop {doing} {plain.name}."
    lead = {
        MedicationChange.NEW: f"Start {doing}",
        MedicationChange.CHANGED: f"Changed: {do}",
        MedicationChange.CONTINUED: f"Keep {doing}",
    }[change]
    parts = [lead, called, sig.dose, way, sig.rhythm]
    if sig.as_needed:
        parts.append("as needed" + (f" for {sig.indication}" if sig.indication else ""))
    parts.append(sig.manner)
    parts.append(f"for {sig.duration}" if sig.duration else None)
    if sig.rhythm is None and not sig.as_needed:
        parts.append("as your doctor told you")
    if reason and not (sig.as_needed and sig.indication):
        parts.append(f"for {reason}")
    return " ".join(part for part in parts if part) + "."

"""The measures as Prometheus gauges, made anew for each scrape from what is kept; nothing of a patient is in them."""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from facade.monitoring.triage import GroupMeasures, Share

__all__ = ["FEWEST", "exposition"]

FEWEST = 10
"""A share of fewer records is not exported: it could be about one known patient."""

_SHARES = (
    ("agreed", "Share of decided proposals with the level the nurse gave"),
    ("under_triage", "Share of visits urgent to the nurse that were proposed as less urgent"),
    ("over_triage", "Share of visits not urgent to the nurse that were proposed as urgent"),
    ("under_triage_by_outcome", "Share of visits with a critical outcome that were proposed as not urgent"),
    ("over_triage_by_outcome", "Share of visits without an outcome that were proposed as urgent"),
)
_LABELS = ("ehr", "dimension", "group")


def exposition(tenants: Iterable[tuple[str, Sequence[GroupMeasures], float | None]]) -> bytes:
    """Return the text of each tenant's measures and of the drift of its last week."""
    registry = CollectorRegistry()
    proposals = Gauge("preceptor_triage_proposals", "Proposals that are kept", _LABELS, registry=registry)
    gauges = {
        name: Gauge(f"preceptor_triage_{name}_share", words, _LABELS, registry=registry) for name, words in _SHARES
    }
    gap = Gauge(
        "preceptor_triage_calibration_gap",
        "Mean estimated risk less the reported share",
        (*_LABELS, "outcome"),
        registry=registry,
    )
    moved = Gauge(
        "preceptor_triage_level_drift",
        "Population stability index of the last week's levels against the weeks before",
        ("ehr",),
        registry=registry,
    )
    for ehr, measures, drift in tenants:
        if drift is not None:
            moved.labels(ehr).set(drift)
        for one in measures:
            labels = (ehr, one.dimension, one.group)
            proposals.labels(*labels).set(one.proposals)
            for name, gauge in gauges.items():
                share: Share = getattr(one, name)
                if share.value is not None and share.of >= FEWEST:
                    gauge.labels(*labels).set(share.value)
            for outcome, reported in one.reported.items():
                value = one.calibration_gap(outcome)
                if value is not None and reported.of >= FEWEST:
                    gap.labels(*labels, outcome).set(value)
    return generate_latest(registry)

"""What is counted of answers, for dashboards and alerts: numbers by groups, nothing of a patient."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from service_contracts.triage import TriageAnswer

__all__ = ["Counters"]


class Counters:
    """The counters of one replica, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "preceptor_triage_answers_total",
            "Answers by proposed level and age band",
            ("level", "age_band"),
            registry=self.registry,
        )
        self._not_scored = Counter(
            "preceptor_triage_not_scored_total", "Answers without a score, by why", ("reason",), registry=self.registry
        )
        self._floor = Counter(
            "preceptor_triage_floor_rules_total", "Rules of the floor that applied", ("rule",), registry=self.registry
        )
        self._raised = Counter(
            "preceptor_triage_raised_total", "Answers in which the floor raised the model", registry=self.registry
        )
        self._missing = Counter(
            "preceptor_triage_missing_inputs_total", "Inputs that were not given", ("input",), registry=self.registry
        )
        self._time = Histogram(
            "preceptor_triage_seconds",
            "Time of an answer inside the service",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
            registry=self.registry,
        )

    def answered(self, answer: TriageAnswer) -> None:
        """Count one answer."""
        self._answers.labels(str(answer.level or "none"), answer.age_band).inc()
        if answer.not_scored is not None:
            self._not_scored.labels(answer.not_scored.value).inc()
        for rule in answer.floor_rules:
            self._floor.labels(rule.id).inc()
        if answer.model_level is not None and answer.level is not None and answer.level < answer.model_level:
            self._raised.inc()
        for name in answer.missing:
            self._missing.labels(name).inc()
        self._time.observe(answer.elapsed_ms / 1000)

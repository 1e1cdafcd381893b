"""Structured log lines that are codes from one list and never carry patient data."""

import logging
import sys
from enum import StrEnum

import structlog

from service_runtime.request_id import current_request_id

__all__ = ["LOG_FIELDS", "LogCode", "configure_logging", "log"]


class LogCode(StrEnum):
    """Everything a service may log. A new kind of line is a new member here."""

    SERVICE_STARTED = "service.started"
    SERVICE_STOPPED = "service.stopped"
    REQUEST_SERVED = "request.served"
    REQUEST_REFUSED = "request.refused"
    REQUEST_FAILED = "request.failed"
    SECRET_STORE_LOGIN = "secret-store.login"  # noqa: S105  a log code, not a secret
    SECRET_STORE_LOGIN_REFUSED = "secret-store.login-refused"  # noqa: S105  a log code, not a secret
    SECRET_STORE_UNAVAILABLE = "secret-store.unavailable"  # noqa: S105  a log code, not a secret
    NOTIFICATION_REFUSED = "notification.refused"
    EVENT_STORED = "event.stored"
    EVENT_DUPLICATE = "event.duplicate"
    EVENT_PROCESSED = "event.processed"
    EVENT_RETRIED = "event.retried"
    EVENT_QUARANTINED = "event.quarantined"
    EFFECT_WRITTEN = "effect.written"
    EFFECT_RETRIED = "effect.retried"
    EFFECT_QUARANTINED = "effect.quarantined"
    SUBSCRIPTION_CREATED = "subscription.created"
    SUBSCRIPTION_RENEWED = "subscription.renewed"
    SUBSCRIPTION_PRESENT = "subscription.present"
    SUBSCRIPTION_FAILED = "subscription.failed"
    SUBSCRIPTION_SILENT = "subscription.silent"
    SUBSCRIPTION_RESTARTED = "subscription.restarted"
    SUBSCRIPTION_GAP = "subscription.gap"
    OUTBOUND_REFUSED = "outbound.refused"
    EHR_PAUSED = "ehr.paused"
    EHR_REACHED = "ehr.reached"
    LAUNCH_STARTED = "launch.started"
    LAUNCH_REFUSED = "launch.refused"
    LAUNCH_COMPLETED = "launch.completed"
    DOCUMENT_STAGE = "document.stage"
    DOCUMENT_DRAFTED = "document.drafted"
    DOCUMENT_FAILED = "document.failed"
    DOCUMENT_SIGNED = "document.signed"
    ADAPTER_LOADED = "adapter.loaded"
    ADAPTER_REFUSED = "adapter.refused"
    DRAFT_FINISHED = "draft.finished"
    PATIENTS_LOADED = "patients.loaded"
    INDEX_OPENED = "index.opened"
    INDEX_REFRESHED = "index.refreshed"
    RERANKER_REFUSED = "reranker.refused"
    INGEST_FINISHED = "ingest.finished"
    CITATIONS_DROPPED = "citations.dropped"
    EVIDENCE_UNAVAILABLE = "evidence.unavailable"
    DRAFTING_UNAVAILABLE = "drafting.unavailable"
    RECONCILIATION_FINISHED = "reconciliation.finished"
    JOB_FINISHED = "job.finished"
    JOB_RETRIED = "job.retried"
    JOB_GIVEN_UP = "job.given-up"
    TEXT_CHECKED = "text.checked"
    ORDERS_CHECKED = "orders.checked"
    CDS_ANSWERED = "cds.answered"
    CDS_NOT_REPEATED = "cds.not-repeated"
    CDS_FEEDBACK = "cds.feedback"
    CDS_CLIENT_REFUSED = "cds.client-refused"
    TRIAGE_ANSWERED = "triage.answered"
    TRIAGE_MODEL_FAILED = "triage.model-failed"


LOG_FIELDS = frozenset(
    {
        "attempts",
        "claims",
        "count",
        "digest",
        "ehr",
        "elapsed_ms",
        "error_type",
        "flags",
        "kind",
        "method",
        "reason",
        "route",
        "service",
        "stage",
        "status",
        "task",
        "tokens",
        "version",
    }
)


def configure_logging(service: str, level: int = logging.INFO) -> None:
    """Send JSON lines to standard error, each with the service, a UTC time and the request id.

    Libraries may only warn: below that they write what they work on, HTTP clients each address with its query.
    """
    logging.disable(logging.INFO)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(service=service)


def log(code: LogCode, *, level: int = logging.INFO, **fields: str | int | float | None) -> None:
    """Write one line. ``fields`` are names of ``LOG_FIELDS``: identifiers of software, counts and times.

    Raises ``ValueError`` on another name, so that a field that could hold patient data never ships unnoticed.
    """
    unknown = fields.keys() - LOG_FIELDS
    if unknown:
        raise ValueError(f"not a log field: {', '.join(sorted(unknown))}")
    context = structlog.contextvars.get_contextvars()
    structlog.get_logger().log(level, str(code), request_id=current_request_id(), **(context | fields))

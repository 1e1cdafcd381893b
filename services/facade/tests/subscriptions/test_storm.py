"""The figure, small: lost, repeated and reordered notifications and kills in between, and every event has one effect.

The whole figure (10,000 events, 20 kills) is measured by ``python -m benchmarks notifications``.
"""

import pytest
from service_runtime.service_auth import ServiceAuth
from service_runtime.vault_store import connect_secret_store

from tests.support.notification_storm import storm
from tests.support.simulated_ehr import Faults

EVENTS = 120
FAULTS = Faults(dropped=0.05, duplicated=0.10, reordered=0.10)


@pytest.fixture(scope="module")
def accepts(vault_settings):
    return ServiceAuth(connect_secret_store(vault_settings("reconciliation"))).accepts


@pytest.mark.requirement(
    "d4", "hl7.fhir.uv.subscriptions_1.1.0@85",
    "During a recovery process, clients MAY try to retrieve missing events via the $events operation, which should "
    "allow processing to continue as normal.",
)  # fmt: skip
@pytest.mark.requirement(
    "d7", "", "One open-source sender gives up after a minute, one delivers event 2 before event 1."
)
@pytest.mark.requirement("f3", "", "Deterministic ids and conditional create: a replay is a no-op.")
async def test_every_event_has_exactly_one_effect_whatever_is_lost_and_whoever_dies(openbao, suite, tmp_path):
    report = await storm(
        tmp_path,
        events=EVENTS,
        kills=5,
        faults=FAULTS,
        environment=openbao.environment("facade"),
        reconciliation_url=suite.reconciliation.url,
        rate_per_s=60,
        check_s=1.0,
        patience_s=180,
    )
    assert report.is_exact, report
    assert report.told["dropped"] and report.told["duplicated"] and report.told["reordered"], report
    assert report.interrupted >= 3, "most kills came too late to show anything"
    assert {report.created[kind] for kind in ("Composition", "DocumentReference", "Provenance", "Task")} == {EVENTS}

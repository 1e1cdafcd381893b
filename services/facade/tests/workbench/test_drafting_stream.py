"""How a sentence is shown while the draft is written: never as checked when it was not."""

import pytest
from facade.workbench.drafting_stream import sentence_state
from service_contracts.reconciliation import Claim, ClaimKind, Verdict

SUPPORTED, CONTRADICTED = Verdict.SUPPORTED, Verdict.CONTRADICTED
NO_EVIDENCE, NOT_CHECKED = Verdict.NO_EVIDENCE, Verdict.NOT_CHECKED


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ([], "no-claim"),
        ([SUPPORTED], "agrees"),
        ([SUPPORTED, SUPPORTED], "agrees"),
        ([SUPPORTED, NO_EVIDENCE], "no-evidence"),
        ([SUPPORTED, NO_EVIDENCE, NOT_CHECKED], "unchecked"),
        ([SUPPORTED, NOT_CHECKED, CONTRADICTED], "disagrees"),
    ],
)
def test_the_worst_claim_decides(verdicts, state):
    claims = [
        Claim(id=str(number), kind=ClaimKind.DOSE, assertion="a", span=None, verdict=verdict)
        for number, verdict in enumerate(verdicts)
    ]

    assert sentence_state(claims) == state

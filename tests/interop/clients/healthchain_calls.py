"""Calls CDS services with HealthChain's SandboxClient: standard input has calls and answers, by name.

Runs in the environment of ``clients.txt``. Without ``context`` the client sends what it makes up itself. ``answers``
are such as another client got, for HealthChain's own models to read.
"""

import json
import sys

from healthchain.models import CDSRequest
from healthchain.models.hooks import (
    EncounterDischargeContext,
    OrderSelectContext,
    OrderSignContext,
    PatientViewContext,
)
from healthchain.models.responses import CDSResponse
from healthchain.sandbox import SandboxClient

CONTEXTS = {
    "patient-view": PatientViewContext,
    "encounter-discharge": EncounterDischargeContext,
    "order-select": OrderSelectContext,
    "order-sign": OrderSignContext,
}


def called(url, hook, context=None, prefetch=None):
    """Return the answer as the client's own model reads it; None where the client got an error."""
    client = SandboxClient(url=url, workflow=hook)
    if context is None:
        client.load_synthetic(random_seed=1)
    else:
        client.requests.append(CDSRequest(hook=hook, context=CONTEXTS[hook](**context), prefetch=prefetch))
    (answer,) = client.send_requests()
    # An answer that its model cannot read is returned by the client as it came: so it is read once more.
    return read(answer) if answer else None


def read(answer):
    """Return an answer as the client's own model reads it, once it has what the model wants written and nobody must."""
    for card in answer["cards"]:
        for optional, name in (("suggestions", "isRecommended"), ("links", "autoLaunchable")):
            for one in card.get(optional, []):
                one.setdefault(name, None)
    return CDSResponse(**answer).model_dump(mode="json", exclude_none=True)


given = json.load(sys.stdin)
calls = {name: called(**call) for name, call in given["calls"].items()}
json.dump({"calls": calls, "answers": {name: read(answer) for name, answer in given["answers"].items()}}, sys.stdout)

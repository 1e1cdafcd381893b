"""Calls a CDS service with HealthChain's SandboxClient: standard input says which and with what.

Runs in the environment of ``clients.txt``. Without ``prefetch`` the client sends what it makes up itself.
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

given = json.load(sys.stdin)
hook = given["hook"]
client = SandboxClient(url=given["url"], workflow=hook)
if "context" in given:
    context = CONTEXTS[hook](**given["context"])
    client.requests.append(CDSRequest(hook=hook, context=context, prefetch=given.get("prefetch")))
else:
    client.load_synthetic(random_seed=1)
answers = client.send_requests()
# An answer that is none of its own model it returns as it came, and an error as {}: so it is read once more.
read = [CDSResponse(**answer).model_dump(mode="json", exclude_none=True) if answer else None for answer in answers]
json.dump(read, sys.stdout)

"""Reads and searches a FHIR server with fhirpy: standard input gives its base and a token.

Runs in the environment of ``clients.txt``.
"""

import json
import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

given = json.load(sys.stdin)
authorization = f"Bearer {given['token']}"
strict = SyncFHIRClient(given["base"], authorization=authorization)
# It adds a parameter of its own to what it counts, which is no search parameter; servers are asked to overlook it.
client = SyncFHIRClient(given["base"], authorization=authorization, extra_headers={"Prefer": "handling=lenient"})
said = {"capabilities": client.execute("metadata", method="get")["fhirVersion"]}

try:
    strict.resources("DetectedIssue").count()
except OperationOutcome as error:
    said["own parameter"] = error.resource["issue"][0]["code"]
issues = client.resources("DetectedIssue")
said["count"] = issues.count()
said["all"] = [issue["id"] for issue in issues.fetch_all()]
# One resource a page: the client follows the links.
said["paged"] = [issue["id"] for issue in issues.limit(1)]
said["sorted"] = [issue["id"] for issue in issues.sort("-_lastUpdated").fetch_all()]

composition = client.resources("Composition").search(patient=given["patient"]).first()
said["composition"] = composition["id"]
read = client.reference("Composition", composition["id"]).to_resource()
said["same"] = read.serialize() == composition.serialize()

targets = []
for section in read["section"]:
    for entry in section.get("entry", []):
        # A literal reference of our own, resolved by the client against the base.
        targets.append(client.reference(reference=entry["reference"]).to_resource()["resourceType"])
said["entries"] = targets

found = client.resources("Composition").search(patient=given["patient"]).include("Composition", "entry").fetch_raw()
said["included"] = sorted({entry["resource"]["resourceType"] for entry in found["entry"]})
found = client.resources("Composition").search(patient=given["patient"]).revinclude("Provenance", "target").fetch_raw()
said["reverse"] = sorted({entry["resource"]["resourceType"] for entry in found["entry"]})

try:
    client.get("Composition", "no-such-id")
except ResourceNotFound:
    said["missing"] = "not found"
try:
    client.resource("Composition", status="final").create()
except OperationOutcome as error:
    said["write"] = error.resource["issue"][0]["code"]

about = [
    {"name": "encounter", "valueReference": {"reference": read["encounter"]["reference"]}},
    {"name": "composition", "resource": read.serialize()},
]
checked = client.execute("$check", method="post", data={"resourceType": "Parameters", "parameter": about})
said["checked"] = sorted({one["resource"]["resourceType"] for one in checked["parameter"] if "resource" in one})
json.dump(said, sys.stdout)

"""Reads a FHIR server with fhirclient, SMART's own Python client, whose models refuse what is not R4.

Runs in the environment of ``clients.txt``. Standard input gives the base, a token and the patient. Its way to a token
is that of SMART 1 (addresses in the CapabilityStatement), which our server does not serve; so it is given one.
"""

import json
import sys

from fhirclient.auth import FHIROAuth2Auth
from fhirclient.client import FHIRClient
from fhirclient.models.composition import Composition
from fhirclient.models.detectedissue import DetectedIssue
from fhirclient.models.provenance import Provenance

given = json.load(sys.stdin)
server = FHIRClient({"app_id": "reader", "api_base": given["base"]}).server
said = {"capabilities": server.capabilityStatement.fhirVersion}
server.auth = FHIROAuth2Auth({"app_id": "reader", "access_token": given["token"]})

(composition,) = Composition.where({"patient": given["patient"]}).perform_resources(server)
said["title"] = composition.title
entries = [entry for section in composition.section for entry in section.entry or []]
said["resolved"] = [entry.resolved(DetectedIssue).patient.reference for entry in entries]
(provenance,) = Provenance.where({"target": f"Composition/{composition.id}"}).perform_resources(server)
said["agents"] = [agent.who.reference.partition("/")[0] for agent in provenance.agent]
said["read"] = Composition.read(composition.id, server).as_json() == composition.as_json()
json.dump(said, sys.stdout)

"""What schemathesis is told beside the OpenAPI document: how to get in, and that some resources are really there.

Loaded by schemathesis in its own environment; ``PRECEPTOR_API_ACCESS`` is the file that the test wrote.
"""

import json
import os
import time
import uuid
from pathlib import Path

import schemathesis
from joserfc import jwt
from joserfc.jwk import ECKey

ACCESS = json.loads(Path(os.environ["PRECEPTOR_API_ACCESS"]).read_text())
KEY = ECKey.import_key(ACCESS["cds_key"])


@schemathesis.auth(refresh_interval=None)
class Access:
    """The way in by address: an access token, a token for exactly the endpoint, or the Subscription's secret."""

    def get(self, case, context):
        path = case.formatted_path
        if path.startswith("/cds-services/"):
            now = int(time.time())
            claims = {"iss": ACCESS["cds_issuer"], "aud": ACCESS["base"] + path, "iat": now, "exp": now + 60}
            header = {"alg": "ES384", "typ": "JWT", "kid": "cds-client"}
            return jwt.encode(header, {**claims, "jti": str(uuid.uuid4())}, KEY, algorithms=["ES384"])
        return ACCESS["secret"] if path.startswith("/subscriptions/") else ACCESS["token"]

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Lead most calls to a resource and a version that exist; the others stay as they were made up."""
    given = dict(path_parameters or {})
    known = ACCESS["resources"].get(str(given.get("resource_type")), [])
    if "resource_id" in given and known and len(str(given["resource_id"])) % 4:
        given["resource_id"] = known[len(str(given["resource_id"])) % len(known)]
    if "version" in given and len(str(given["version"])) % 2:
        given["version"] = "1"
    return given

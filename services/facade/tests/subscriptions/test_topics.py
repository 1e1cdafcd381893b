"""Where EHRs say which topics they have, and that many say nothing."""

import pytest
from facade.subscriptions.topics import Topic, discover_topics
from fhir_support.client import FhirNotFound, FhirRequestRefused
from sekmet.subscriptions.backport import BUILTIN_TOPICS

COMPLETE = "http://sekmet.dev/fhir/SubscriptionTopic/encounter-complete"
CANONICAL = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
)


class Server:
    """Answers what a FHIR client is asked; a type it does not know is refused as its server refuses it."""

    def __init__(self, capabilities, **resources):
        self._capabilities = capabilities
        self._resources = resources

    async def capabilities(self):
        return self._capabilities

    async def search(self, resource_type, params):
        found = self._resources.get(resource_type, FhirNotFound(404))
        if isinstance(found, Exception):
            raise found
        return found


def capabilities(*topics, of="Subscription", key="valueCanonical"):
    extension = [{"url": CANONICAL, key: topic} for topic in topics]
    return {"rest": [{"resource": [{"type": of, "extension": extension}]}]}


@pytest.mark.requirement(
    "d1", "hl7.fhir.uv.subscriptions_1.1.0@2",
    "In order to allow for discovery of supported subscription topics, this guide defines the CapabilityStatement "
    "SubscriptionTopic Canonical extension. The extension allows server implementers to advertise the "
    "canonical URLs of "
    "topics available to clients and allows clients to see the list of supported topics on a server. The extension is "
    "expected to appear, if supported, on the Subscription resource entry.",
)  # fmt: skip
@pytest.mark.parametrize(
    ("server", "wanted"),
    [
        (
            Server(capabilities("a", "b")),
            [Topic("a", None, "CapabilityStatement"), Topic("b", None, "CapabilityStatement")],
        ),
        (Server(capabilities("a", key="valueUri")), [Topic("a", None, "CapabilityStatement")]),
        (Server(capabilities("a", of="Patient")), []),
        (Server({}, Basic=FhirRequestRefused(403), SubscriptionTopic=FhirRequestRefused(400)), []),
        (
            Server(capabilities("a"), SubscriptionTopic=[{"url": "a", "title": "A"}, {"id": "no url"}]),
            [Topic("a", "A", "SubscriptionTopic")],
        ),
    ],
    ids=["extension", "as-uri", "elsewhere", "nothing", "resource"],
)  # fmt: skip
async def test_topics_are_found_where_the_standards_put_them(server, wanted):
    assert list(await discover_topics(server)) == wanted


async def test_topics_of_r4_are_read_from_basic_resources_as_a_real_server_writes_them():
    found = await discover_topics(Server({}, Basic=[*BUILTIN_TOPICS, {"resourceType": "Basic", "id": "other"}]))
    assert Topic(COMPLETE, "Encounter completed", "Basic") in found
    assert len(found) == len(BUILTIN_TOPICS)


async def test_the_sandbox_ehr_can_be_asked(facade):
    found = await discover_topics(facade.connections.client("sandbox"))
    assert not found or COMPLETE in {topic.url for topic in found}

"""Which subscription topics an EHR says it has; many say nothing, and are told by their administrator."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_support.client import FhirAnswerInvalid, FhirClient, FhirRequestRefused

__all__ = ["Topic", "discover_topics"]

_CANONICAL = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
)
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic"


@dataclass(frozen=True)
class Topic:
    """A topic: its canonical URL, its title where there is one, and where it was found."""

    url: str
    title: str | None
    source: str


async def discover_topics(client: FhirClient) -> tuple[Topic, ...]:
    """Return the topics an EHR says it has, each once; an EHR that does not say has none here.

    They may stand in the CapabilityStatement (an extension of the backport), be SubscriptionTopic resources (R4B and
    R5) or, in R4, Basic resources that carry the elements of one. Raises ``FhirClientError`` when the
    CapabilityStatement cannot be read.
    """
    found: dict[str, Topic] = {}
    for topic in _advertised(await client.capabilities()):
        found.setdefault(topic.url, topic)
    for resource_type, read in (("SubscriptionTopic", _of_topic), ("Basic", _of_basic)):
        params = [("code", "SubscriptionTopic")] if resource_type == "Basic" else []
        try:
            resources = await client.search(resource_type, [*params, ("_count", "100")])
        except (FhirRequestRefused, FhirAnswerInvalid):
            continue  # not every server knows the type, or lets us read it
        for named in filter(None, map(read, resources)):
            if named.url not in found or found[named.url].title is None:
                found[named.url] = named
    return tuple(sorted(found.values(), key=lambda topic: topic.url))


def _advertised(capabilities: Mapping[str, Any]) -> Iterator[Topic]:
    for rest in capabilities.get("rest", []):
        for resource in rest.get("resource", []):
            if resource.get("type") == "Subscription":
                for url in _values(resource, _CANONICAL):
                    yield Topic(url, None, "CapabilityStatement")


def _of_topic(resource: Mapping[str, Any]) -> Topic | None:
    url = resource.get("url")
    return Topic(str(url), resource.get("title"), "SubscriptionTopic") if url else None


def _of_basic(resource: Mapping[str, Any]) -> Topic | None:
    url = next(_values(resource, f"{_R5}.url"), None)
    return Topic(url, next(_values(resource, f"{_R5}.title"), None), "Basic") if url else None


def _values(resource: Mapping[str, Any], url: str) -> Iterator[str]:
    for extension in resource.get("extension", []):
        if extension.get("url") == url:
            yield from (str(value) for name, value in extension.items() if name.startswith("value"))

"""What is asked of OpenSearch, as JSON. A text that is searched for is only ever a value in it. Pure."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from service_contracts.evidence import PassageQuery

from retrieval.opensearch.head import Head
from retrieval.wanted import Wanted

__all__ = ["by_meaning", "by_words", "counting", "gone", "of_passages", "visible"]

Query = dict[str, Any]
_MOST_WORDS = 256
_CANDIDATES = 200


def visible(head: Head, *filters: Query) -> Query:
    """Return a query for the rows that count under ``head`` and pass ``filters``; it scores nothing."""
    added: list[Query] = [{"range": {"added": {"lte": head.change}}}]
    removed: Query = {"bool": {"filter": [{"range": {"removed": {"lte": head.change}}}]}}
    hidden: list[Query] = [removed]
    if aborted := head.uncounted:
        hidden.append({"terms": {"added": aborted}})
        removed["bool"]["must_not"] = [{"terms": {"removed": aborted}}]
    return {"bool": {"filter": [*added, *filters], "must_not": hidden}}


def gone(head: Head, since: int, *filters: Query) -> Query:
    """Return a query for the rows that counted under change ``since`` and do not under ``head``."""
    removed = {"range": {"removed": {"gt": since, "lte": head.change}}}
    return {"bool": {"filter": [removed, *filters], "must_not": [{"terms": {"removed": head.uncounted}}]}}


def of_passages(head: Head, query: PassageQuery, as_of: date) -> Query:
    """Return the filter of a passage query: in force on the day, of the kinds, publishers and version wanted."""
    day = as_of.toordinal()
    filters: list[Query] = [{"range": {"since": {"lte": day}}}, {"range": {"until": {"gt": day}}}]
    filters += [{"terms": {name: list(values)}} for name, values in Wanted.of(query).marks()]
    return visible(head, *filters)


def by_words(text: str, allowed: Query, depth: int) -> Query:
    """Return a search by the words of titles, headings and texts; a word that is said twice counts once."""
    words = list(dict.fromkeys(text.lower().split()))[:_MOST_WORDS]
    wanted = {"match": {"words": {"query": " ".join(words)}}}
    return {
        "query": {"bool": {"must": [wanted], **allowed["bool"]}},
        "size": depth,
        "_source": False,
        "track_total_hits": False,
    }


def by_meaning(vector: Sequence[float], encoder: str, allowed: Query, depth: int) -> Query:
    """Return a search for the nearest vectors of one encoder, filtered while the graph is walked."""
    bool_ = allowed["bool"]
    filtered = {"bool": {**bool_, "filter": [*bool_["filter"], {"term": {"encoder": encoder}}]}}
    nearest = {
        "vector": list(vector),
        "k": depth,
        "filter": filtered,
        "method_parameters": {"ef_search": max(_CANDIDATES, depth)},
    }
    return {"query": {"knn": {"vector": nearest}}, "size": depth, "_source": False, "track_total_hits": False}


def counting(query: Query) -> Query:
    """Return a search that only counts."""
    return {"query": query, "size": 0, "track_total_hits": True}

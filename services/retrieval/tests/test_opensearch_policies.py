"""What the policies promise of a cluster: who may do what, and that nothing keeps the text of a query."""

import json
import ssl
from pathlib import Path

import httpx
import pytest
from preceptor.certificates import Authority
from preceptor.opensearch.policies import query_text_leaks
from retrieval.index import IndexUnavailable, IndexUnreadable
from retrieval.opensearch_index import open_opensearch_index
from service_contracts.evidence import PassageQuery

POLICIES = Path(__file__).parents[3] / "policies" / "opensearch"
TEMPLATES = sorted((POLICIES / "templates").glob("*.json"))
THRESHOLDS = [
    *(
        f"search.slowlog.threshold.{phase}.{level}"
        for phase in ("query", "fetch")
        for level in ("warn", "info", "debug", "trace")
    ),
    *(f"indexing.slowlog.threshold.index.{level}" for level in ("warn", "info", "debug", "trace")),
]
CANARY = "zanzibar quokka laryngitis"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_templates_switch_every_slow_log_off_and_take_no_unknown_field(path):
    template = json.loads(path.read_text())["template"]
    settings = template["settings"]["index"]
    assert {name: settings[name] for name in THRESHOLDS} == dict.fromkeys(THRESHOLDS, "-1")
    assert settings["indexing.slowlog.source"] == "false"
    assert settings["translog.durability"] == "request"
    assert template["mappings"]["dynamic"] == "strict"


def test_query_insights_are_switched_off_where_a_cluster_has_them():
    settings = json.loads((POLICIES / "cluster_settings.json").read_text())
    for measure in ("latency", "cpu", "memory"):
        assert settings[f"search.insights.top_queries.{measure}.enabled"] == "false"
    assert settings["search.insights.top_queries.exporter.type"] == "none"
    assert settings["search.insights.top_queries.max_source_length"] == "0"


@pytest.fixture
async def index(opensearch, connect_node, make):
    index = await open_opensearch_index(connect_node(), "policies")
    await index.write([make.document(passages=["words"])])
    await index.refresh()
    yield index
    await index.close()


@pytest.mark.parametrize("engine", ["opensearch"], indirect=True)
async def test_what_is_searched_for_is_kept_nowhere(index, opensearch, engine):
    with opensearch.node.client() as admin:
        assert query_text_leaks(admin) == []
    for _ in range(3):
        await index.passages(PassageQuery(text=CANARY, budget_ms=5000))
    kept = [path for path in opensearch.node.state_dir.rglob("*") if path.is_file()]
    assert kept
    word = CANARY.split()[0].encode()
    assert [path for path in kept if word in path.read_bytes()] == []


async def test_an_index_that_would_log_queries_is_not_opened(index, opensearch, connect_node):
    with opensearch.node.client() as admin:
        slow = {"index.search.slowlog.threshold.query.trace": "0ms"}
        admin.put("/preceptor-documents-policies/_settings", json=slow).raise_for_status()
        try:
            assert len(query_text_leaks(admin)) == 1
            with pytest.raises(IndexUnreadable, match="would log what is searched for"):
                await open_opensearch_index(connect_node(), "policies")
        finally:
            back = {"index.search.slowlog.threshold.query.trace": "-1"}
            admin.put("/preceptor-documents-policies/_settings", json=back).raise_for_status()


async def test_indices_without_the_templates_are_not_taken(opensearch, connect_node):
    with opensearch.node.client() as admin:
        loose = {"mappings": {"dynamic": True}}
        answer = admin.put("/preceptor-documents-loose", json=loose)
        assert answer.status_code == 200, answer.text
    with pytest.raises(IndexUnreadable, match="not made by the templates"):
        await open_opensearch_index(connect_node(), "loose")


def request_as(opensearch, name, method, path, json=None):
    with opensearch.node.client(name) as client:
        return client.request(method, path, json=json).status_code


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/.opendistro_security/_search", None),
        ("GET", "/_search", None),
        ("GET", "/other/_search", None),
        ("PUT", "/other", {}),
        ("DELETE", "/other", None),
        ("GET", "/_cluster/settings", None),
        ("PUT", "/_cluster/settings", {"persistent": {"search.default_allow_partial_results": "true"}}),
        ("PUT", "/_index_template/loose", {"index_patterns": ["preceptor-documents-*"], "priority": 900}),
        ("PUT", "/preceptor-documents-policies/_settings", {"index.search.slowlog.threshold.query.trace": "0ms"}),
        ("GET", "/_plugins/_security/api/roles", None),
        ("PUT", "/_snapshot/anywhere", {"type": "fs", "settings": {"location": "x"}}),
    ],
)
def test_the_role_of_retrieval_opens_its_own_indices_and_nothing_else(index, opensearch, method, path, body):
    assert request_as(opensearch, "retrieval", method, path, json=body) == 403


@pytest.mark.parametrize("path", ["/", "/preceptor-documents-policies/_search", "/_cluster/health"])
def test_a_certificate_of_nobody_known_opens_nothing(opensearch, path):
    assert request_as(opensearch, "stranger", "GET", path) == 403


async def test_a_client_without_a_role_is_told_that_the_index_cannot_be_used(opensearch, connect_node):
    with pytest.raises(IndexUnavailable, match="403"):
        await open_opensearch_index(connect_node("stranger"), "policies")


def test_without_a_certificate_of_the_authority_there_is_no_connection(opensearch, tmp_path):
    trusting = ssl.create_default_context(cafile=str(opensearch.node.authority_file))
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        httpx.get(opensearch.node.address, verify=trusting)
    forged = Authority().client("retrieval")
    (tmp_path / "c.pem").write_bytes(forged.certificate)
    (tmp_path / "k.pem").write_bytes(forged.key)
    trusting.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        httpx.get(opensearch.node.address, verify=trusting)
    with pytest.raises(httpx.TransportError):
        httpx.get(opensearch.node.address.replace("https://", "http://"))
    with pytest.raises(httpx.TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(opensearch.node.address)

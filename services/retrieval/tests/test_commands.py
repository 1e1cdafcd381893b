"""``preceptor ingest`` as a process with a real OpenBao: runs, a stop with Ctrl-C, what is said when it fails."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import hvac
import pytest
from retrieval.engines import open_texts
from retrieval.index import IndexUnreadable
from retrieval.settings import RetrievalSettings
from service_contracts.evidence import Source
from service_contracts.patient_texts import PatientText
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

POLICY = Path(__file__).parents[3] / "policies" / "vault" / "retrieval.hcl"
RECORDS = 2000


class Vault:
    """An OpenBao in development mode with the role of this service, and the agent that hands out its secret."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        self.process = subprocess.Popen(
            [shutil.which("bao", path=str(Path(sys.prefix) / "bin")), "server", "-dev", "-dev-root-token-id=root",
             f"-dev-listen-address={self.url.removeprefix('http://')}", "-dev-no-store-token"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.client = hvac.Client(url=self.url, token="root")
        for _ in range(200):
            try:
                if self.client.sys.is_initialized():
                    break
            except OSError:
                time.sleep(0.1)
        self.client.sys.enable_secrets_engine("transit")
        self.client.secrets.transit.create_key("retrieval-index", derived=True)
        self.client.sys.enable_auth_method("approle")
        self.client.sys.create_or_update_policy("retrieval", POLICY.read_text())
        self.client.auth.approle.create_or_update_approle("retrieval", token_policies=["retrieval"])
        self.role_id = self.client.auth.approle.read_role_id("retrieval")["data"]["role_id"]
        self.socket_path = folder / "agent.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket_path))
        self.listener.listen()
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self):
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            with caller:
                caller.recv(1000)
                wrapped = self.client.write_data("auth/approle/role/retrieval/secret-id", data={}, wrap_ttl="60s")
                line = {"role_id": self.role_id, "wrapped_secret_id": wrapped["wrap_info"]["token"]}
                caller.sendall(json.dumps(line).encode() + b"\n")

    def close(self):
        self.listener.close()
        self.client.adapter.close()
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    if not POLICY.exists() or shutil.which("bao", path=str(Path(sys.prefix) / "bin")) is None:
        pytest.skip("OpenBao or the policy of this service is not here")
    one = Vault(tmp_path_factory.mktemp("vault"))
    yield one
    one.close()


@pytest.fixture
def start(vault, tmp_path):
    """Start ``preceptor ingest`` with arguments; ``settings`` replace or (None) take away environment variables."""

    def run(*arguments, stdin=None, **settings):
        environment = {
            "PATH": os.environ["PATH"],
            "PRECEPTOR_VAULT_ADDRESS": vault.url,
            "PRECEPTOR_VAULT_ROLE": "retrieval",
            "PRECEPTOR_VAULT_LOGIN": "agent",
            "PRECEPTOR_VAULT_AGENT_SOCKET": str(vault.socket_path),
            "PRECEPTOR_RETRIEVAL_INDEX_DIR": str(tmp_path / "index"),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        } | settings
        return subprocess.Popen(
            [sys.executable, "-c", "from retrieval.commands import app; app()", *map(str, arguments)],
            env={name: value for name, value in environment.items() if value is not None},
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return run


def ended(process):
    output, errors = process.communicate(timeout=120)
    return process.returncode, output + errors


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.jsonl"
    with path.open("w") as out:
        for n in range(RECORDS):
            meta = {"spl_set_id": [f"set-{n}"], "spl_id": [f"v-{n}"], "substance_name": [f"DRUG{n}"], "route": ["ORAL"]}
            text = "The maximum daily dose is 40 mg. " + "Some more words about it. " * 60
            out.write(json.dumps({"openfda": meta, "dosage_and_administration": [text]}) + "\n")
    return path


def test_a_run_stopped_by_ctrl_c_says_so_and_the_next_one_finishes_it(start, labels, tmp_path):
    process = start("labels", labels)
    wal = tmp_path / "index" / "index.db-wal"
    started = time.monotonic()
    while not (wal.exists() and wal.stat().st_size > 1_500_000):
        assert process.poll() is None and time.monotonic() - started < 60
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    code, said = ended(process)
    assert code == 130
    assert "Stopping after this batch" in said and "The same command goes on from here." in said
    assert "Traceback" not in said
    code, said = ended(start("labels", labels))
    assert code == 0 and " read before" in said and "0 refused" in said and " 0 read before" not in said
    code, said = ended(start("status"))
    counted = {line.split()[0]: line.split()[-1] for line in said.splitlines() if len(line.split()) > 1}
    assert int(counted["passages"].replace(",", "")) >= RECORDS
    assert f"{RECORDS} read before" in ended(start("labels", labels))[1]


def test_a_record_that_is_refused_is_listed_and_an_input_that_breaks_off_fails_the_run(start, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"openfda": {"spl_set_id": ["s"]}, "warnings": ["w"]}\n{\n')
    code, said = ended(start("labels", path))
    assert code == 0 and "a.jsonl:2" in said and "not JSON" in said
    path = tmp_path / "pubmed26n0001.xml"
    path.write_text("<PubmedArticleSet><PubmedArticle>")
    code, said = ended(start("pubmed", path))
    assert code == 1 and "not well-formed" in said and "are not read, since they build on it" in said


def test_facts_of_a_site_are_taken_whole_or_refused_with_the_place(start, tmp_path):
    good = tmp_path / "site.yaml"
    good.write_text(
        "sources:\n  a: {title: T, publisher: P, identifier: I, version: 1}\nfacts:\n  - {id: dose/x, source: a,"
        " section: S, statement: Say so., body: {kind: dose-limit, ingredient: x, max_daily: {value: 1, unit: mg}}}\n"
    )
    bad = tmp_path / "bad.yaml"
    bad.write_text(good.read_text().replace("dose-limit", "dose-limits"))
    code, said = ended(start("facts", good, bad))
    assert code == 1
    assert "site.yaml: 1 added" in said and "fact dose/x" in said


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"PRECEPTOR_VAULT_AGENT_SOCKET": "/nowhere/agent.sock"}, "is the suite up?"),
        ({"PRECEPTOR_RETRIEVAL_INDEX_DIR": None}, "PRECEPTOR_RETRIEVAL_INDEX_DIR"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(start, settings, says):
    code, said = ended(start("status", **settings))
    assert code == 1 and says in said and "Traceback" not in said


def test_an_index_of_another_secret_store_is_refused(start, tmp_path, vault):
    code, _ = ended(start("status"))
    assert code == 0
    vault.client.secrets.transit.update_key_configuration("retrieval-index", deletion_allowed=True)
    vault.client.secrets.transit.delete_key("retrieval-index")
    vault.client.secrets.transit.create_key("retrieval-index", derived=True)
    before = (tmp_path / "index" / "index.db").read_bytes()
    code, said = ended(start("status"))
    assert code == 1 and "does not open the wrapped key" in said
    assert (tmp_path / "index" / "index.db").read_bytes() == before


def patient_texts(vault, tmp_path, work):
    """Do something with the texts of the index that the commands use."""

    async def main():
        settings = VaultSettings(address=vault.url, role="retrieval", login="agent", agent_socket=vault.socket_path)
        texts = await open_texts(RetrievalSettings(index_dir=tmp_path / "index"), connect_secret_store(settings))
        try:
            return await work(texts)
        finally:
            await texts.close()

    return asyncio.run(main())


def test_a_forgotten_patient_is_unreadable_also_in_a_copy_of_the_files_and_is_named_nowhere(start, vault, tmp_path):
    one, other = "https://ehr.example/fhir/Patient/Quokka-1", "https://ehr.example/fhir/Patient/Quokka-2"
    source = Source(title="A note", publisher="A ward", identifier="n", version="1", section="Course")

    async def keep(texts):
        for patient in (one, other):
            await texts.add(patient, [PatientText(id="n#0", source=source, text="Zanzibar fever")])

    async def found(texts):
        hits = {}
        for patient in (one, other):
            try:
                hits[patient[-1]] = len(await texts.search(patient, "zanzibar", 5, date(2026, 1, 1)))
            except IndexUnreadable as closed:
                hits[patient[-1]] = str(closed)
        return hits

    patient_texts(vault, tmp_path, keep)
    shutil.copytree(tmp_path / "index", tmp_path / "copy")
    (tmp_path / "patients.txt").write_text(f"{one}\n\n{one}\n")
    code, said = ended(start("forget", "--patient-file", tmp_path / "patients.txt"))
    assert (code, "1 forgotten, 1 texts deleted." in said) == (0, True), said
    assert "Quokka" not in said and "Zanzibar" not in said
    assert patient_texts(vault, tmp_path, found) == {"1": 0, "2": 1}
    # The files as they were before: the rows are there, and what opened them is not.
    shutil.rmtree(tmp_path / "index")
    shutil.move(tmp_path / "copy", tmp_path / "index")
    assert patient_texts(vault, tmp_path, found) == {
        "1": "the key of these rows was destroyed, or may not be read",
        "2": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "given", "says"),
    [
        ((), "", "either --patient-file or --patient-stdin"),
        (("--patient-stdin",), "https://ehr.example/fhir/Patient/1\nQuokka\n", "line 2 is no absolute reference"),
        (("--patient-stdin",), "\n", "no patient is named"),
    ],
)
def test_nobody_is_forgotten_when_one_line_is_no_patient_and_the_line_is_not_repeated(start, arguments, given, says):
    process = start("forget", *arguments, stdin=subprocess.PIPE)
    output, errors = process.communicate(given, timeout=120)
    assert process.returncode != 0
    assert says in " ".join((output + errors).replace("│", " ").split())
    assert "Quokka" not in output + errors

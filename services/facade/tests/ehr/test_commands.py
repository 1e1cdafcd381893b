"""preceptor ehr add, remove and list, against the real sandbox EHR."""

import json
import stat

import pytest
from facade.commands import app
from facade.ehr.registry import EhrRegistry
from service_runtime.secrets import MemorySecretStore
from typer.testing import CliRunner


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ehrs.json"


@pytest.fixture
def vault(monkeypatch):
    with pytest.warns(UserWarning, match="memory only"):
        store = MemorySecretStore()
    monkeypatch.setattr("facade.ehr.entered.VaultSettings", lambda: None)
    monkeypatch.setattr("facade.ehr.entered.connect_secret_store", lambda _: store)
    return store


@pytest.fixture
def run(file, tmp_path, monkeypatch, vault):
    """Runs a command with the environment of a facade; nobody is at the terminal."""
    for name, value in {
        "PUBLIC_BASE_URL": "https://preceptor.example.org",
        "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'facade.sqlite3'}",
        "EHRS_FILE": str(file),
        "RECONCILIATION_URL": "http://localhost:1/reconciliation",
        "RETRIEVAL_URL": "http://localhost:1/retrieval",
    }.items():
        monkeypatch.setenv(f"PRECEPTOR_FACADE_{name}", value)
    monkeypatch.setenv("COLUMNS", "300")
    runner = CliRunner()
    return lambda *arguments, stdin="": runner.invoke(app, list(arguments), input=stdin)


@pytest.fixture
def options(sandbox):
    def make(**changes):
        values = {
            "--id": "main",
            "--name": "Main [bold]hospital[/bold]",
            "--fhir-base": sandbox.fhir_base,
            "--backend-client-id": "preceptor-backend",
            "--launch-client-id": "preceptor",
            **{f"--{name.replace('_', '-')}": value for name, value in changes.items()},
        }
        return ["add", *(part for name, value in values.items() if value is not None for part in (name, value))]

    return make


def test_an_ehr_is_read_and_registered(run, options, file, sandbox):
    done = run(
        *options(frame_ancestor=sandbox.base_url, cds_client="https://cds.example.org=https://cds.example.org/jwks")
    )

    assert done.exit_code == 0, done.output
    assert "the SMART configuration can be read" in done.output
    assert "https://preceptor.example.org/smart/callback" in done.output
    ehr = EhrRegistry.from_file(file).get("main")
    assert (ehr.issuer, ehr.frame_ancestors) == (sandbox.fhir_base, (sandbox.base_url,))
    assert ehr.cds_clients[0].jwks_uri == "https://cds.example.org/jwks"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.glob(".ehrs.json*")] == [".ehrs.json.lock"]


def test_a_dry_run_shows_the_entry_and_changes_nothing(run, options, file):
    done = run(*options(), "--dry-run")

    assert done.exit_code == 0, done.output
    assert '"backend_client_id": "preceptor-backend"' in done.output
    assert "Nothing was changed" in done.output
    assert not file.exists()


def test_a_second_one_of_a_name_needs_to_be_meant(run, options, file):
    assert run(*options()).exit_code == 0
    before = file.read_text()

    refused = run(*options(name="Other"))
    assert refused.exit_code == 1
    assert "registered already" in refused.output
    assert file.read_text() == before
    assert run(*options(name="Other"), "--replace").exit_code == 0
    assert EhrRegistry.from_file(file).get("main").name == "Other"


def test_an_issuer_of_another_ehr_is_refused_and_the_file_stays(run, options, file):
    assert run(*options()).exit_code == 0
    before = file.read_text()

    refused = run(*options(id="second"))

    assert refused.exit_code == 1
    assert "two EHRs share an id or an issuer" in refused.output
    assert file.read_text() == before


def test_a_secret_comes_by_stdin_and_goes_to_the_secret_store_alone(run, options, file, vault):
    given = "a secret + with / signs"
    arguments = options(client_type="confidential-symmetric")

    missing = run(*arguments)
    assert missing.exit_code == 1
    assert not file.exists()
    done = run(*arguments, "--secret-stdin", stdin=f"{given}\n")

    assert done.exit_code == 0, done.output
    assert vault._fields["facade/clients/main"] == {"secret": given}
    assert given not in done.output
    assert given not in file.read_text()
    assert run("remove", "main", "--yes").exit_code == 0
    assert vault._fields["facade/clients/main"] == {"secret": ""}
    assert json.loads(file.read_text()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fhir_base": "http://ehr.example.org/fhir"}, "must be https, except on this machine itself"),
        ({"fhir_base": "https://ehr.example.org/fhir/"}, "trailing slash"),
        ({"fhir_base": "https://user@ehr.example.org/fhir"}, "user information"),
        ({"fhir_base": "https://2130706433/fhir"}, "usual form"),
        ({"fhir_base": "https://0x7f.1/fhir"}, "usual form"),
        ({"fhir_base": "https://EHR.example.org/fhir"}, "lower case"),
        ({"fhir_base": "https://ehr.example.org./fhir"}, "usual form"),
        ({"fhir_base": "https://ehr.example.org/a/../fhir"}, ".. segments"),
        ({"fhir_base": "https://ehr\\.example.org/fhir"}, "backslashes"),
        ({"fhir_base": "https://еhr.example.org/fhir"}, "ASCII"),
        ({"id": "Main EHR"}, "id: String should match pattern"),
        ({"origin": "https://ehr.example.org/path"}, "must be an origin"),
        ({"frame_ancestor": "*"}, "must be an origin"),
        ({"frame_ancestor": "https://*.example.org"}, "usual form"),
        ({"token_issuer": "https://ehr.example.org"}, "must be checked by jwks_uri or introspection_endpoint"),
        ({"cds_client": "https://ehr.example.org"}, "must be ISS=JWKS_URI"),
        ({"name": None}, "is needed"),
    ],
)
def test_what_cannot_be_registered_is_said_in_words(run, options, file, changes, said):
    refused = run(*options(**changes))

    assert refused.exit_code != 0
    assert said in refused.output + refused.stderr
    assert not file.exists()


def test_an_ehr_that_does_not_answer_is_registered_only_anyway(run, options, file):
    refused = run(*options(fhir_base="http://localhost:9/fhir"))
    assert refused.exit_code == 1
    assert "does not answer" in refused.output
    assert not file.exists()
    shown = run(*options(fhir_base="http://localhost:9/fhir"), "--dry-run")
    assert shown.exit_code == 1
    assert '"fhir_base": "http://localhost:9/fhir"' in shown.output

    assert run(*options(fhir_base="http://localhost:9/fhir"), "--anyway").exit_code == 0
    assert file.exists()


def test_an_endpoint_elsewhere_is_named_with_the_option_that_allows_it(run, options, sandbox):
    other = sandbox.fhir_base.replace("localhost", "127.0.0.1")

    refused = run(*options(fhir_base=other))

    assert refused.exit_code == 1
    assert (
        f"token_endpoint is at {sandbox.base_url}, which is not registered: add --origin {sandbox.base_url}"
        in refused.output
    )


def test_remove_asks_and_list_shows(run, options, file):
    run(*options())

    assert "Nothing was changed" in run("remove", "main").output
    shown = run("list")
    assert "main" in shown.output
    assert "confidential-asymmetric" in shown.output
    assert run("remove", "another", "--yes").exit_code == 1
    assert run("remove", "main", "--yes").exit_code == 0
    assert json.loads(file.read_text()) == []


def test_check_says_what_does_not_work(run, options, vault, monkeypatch):
    assert run(*options()).exit_code == 0
    monkeypatch.setattr("facade.commands.VaultSettings", lambda: None)
    monkeypatch.setattr("facade.commands.connect_secret_store", lambda _: vault)

    checked = run("check")

    # The EHR knows this client by keys at an address where nothing runs now.
    assert checked.exit_code == 1
    assert "FhirRequestRefused" in checked.output

"""A headless Chromium in front of real processes: OpenBao, sandbox EHR, reconciliation and facade."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Error, FrameLocator, Page, expect, sync_playwright
from preceptor.openbao.running import RunningOpenBao

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
DEMONSTRATION = "enc-ac4dcc33953d"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


# Generous, because the machine may be busy with other tests; what is quick is not slowed down by it.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True)
class Hospital:
    """The running processes. The EHR is on 127.0.0.1 and the facade on localhost: two sites, as in a hospital."""

    ehr_url: str
    facade_url: str
    switches: Path
    log: Path

    @contextmanager
    def down(self, service: str) -> Iterator[None]:
        """Stop ``drafting`` or ``evidence`` for a while."""
        switch = self.switches / f"{service}-down"
        switch.touch()
        try:
            yield
        finally:
            switch.unlink()


@pytest.fixture(scope="module")
def hospital(openbao: RunningOpenBao, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Every process of the path from launch to signature, on ports of its own."""
    folder = tmp_path_factory.mktemp("hospital")
    (folder / "switches").mkdir()
    ehr_port, facade_port, reconciliation_port = free_port(), free_port(), free_port()
    hospital = Hospital(
        f"http://127.0.0.1:{ehr_port}", f"http://localhost:{facade_port}", folder / "switches", folder / "log"
    )
    clients = ROOT / "services/sandbox-ehr/src/sandbox_ehr/development_clients.json"
    (folder / "clients.json").write_text(clients.read_text().replace("http://localhost:8000", hospital.facade_url))
    (entry,) = json.loads((ROOT / "services/facade/examples/ehrs.sandbox.json").read_text())
    base = f"{hospital.ehr_url}/fhir"
    entry |= {"issuer": base, "fhir_base": base, "frame_ancestors": [hospital.ehr_url]}
    (folder / "ehrs.json").write_text(json.dumps([entry]))
    ehr = {
        "PRECEPTOR_SANDBOX_EHR_STATE_DIR": str(folder / "ehr"),
        "PRECEPTOR_SANDBOX_EHR_CLIENTS_FILE": str(folder / "clients.json"),
        "PRECEPTOR_SANDBOX_EHR_PORT": str(ehr_port),
        "PRECEPTOR_SANDBOX_EHR_BASE_URL": hospital.ehr_url,
    }
    facade = {
        **openbao.environment("facade"),
        "PRECEPTOR_FACADE_PUBLIC_BASE_URL": hospital.facade_url,
        "PRECEPTOR_FACADE_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'facade.sqlite3'}",
        "PRECEPTOR_FACADE_EHRS_FILE": str(folder / "ehrs.json"),
        "PRECEPTOR_FACADE_RECONCILIATION_URL": f"http://127.0.0.1:{reconciliation_port}",
        "PRECEPTOR_FACADE_RETRIEVAL_URL": "http://127.0.0.1:1/retrieval",
        "PRECEPTOR_FACADE_PORT": str(facade_port),
        "PRECEPTOR_FACADE_INSTANCE": "browser-tests",
        "PRECEPTOR_FACADE_POLL_S": "0.2",
    }
    script = str(Path(__file__).with_name("reconciliation_process.py"))
    reconciliation = [sys.executable, script, str(reconciliation_port), str(hospital.switches), "0.03"]
    processes = []
    try:
        with hospital.log.open("ab") as output:
            for command, environment in (
                ([sys.executable, "-m", "sandbox_ehr"], ehr),
                (reconciliation, openbao.environment("reconciliation")),
                ([sys.executable, "-m", "facade"], facade),
            ):
                kept = {name: value for name, value in os.environ.items() if not name.startswith("PRECEPTOR_")}
                processes.append(subprocess.Popen(command, env={**kept, **environment}, stdout=output, stderr=output))
        for process, url in zip(
            processes,
            (hospital.ehr_url, f"http://127.0.0.1:{reconciliation_port}", hospital.facade_url),
            strict=True,
        ):
            _until_healthy(f"{url}/healthz", process, hospital.log)
        yield hospital
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-4000:])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine, without a window."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    found = os.environ.get("PRECEPTOR_TEST_BROWSER", found)
    if found is None:
        pytest.skip("no Chromium is installed here: the clinician's page is not tested in a browser")
    with sync_playwright() as playwright:
        try:
            running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        except Error as error:
            pytest.skip(f"Chromium does not start here, so the page is not tested in a browser: {error.message[:200]}")
        yield running
        running.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser nobody has used yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab; whatever the page's own script or policy complains about fails the test."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if _is_complaint(message) else None)
    yield page
    assert not complaints, complaints


def _is_complaint(message: Any) -> bool:
    # A refused request is told by the page itself, and tests ask for some.
    return message.type == "error" and "Failed to load resource" not in message.text


class Desk:
    """What a clinician does at the EHR."""

    def __init__(self, page: Page, hospital: Hospital) -> None:
        self.page = page
        self.hospital = hospital

    def open_stay(self, encounter: str = DEMONSTRATION) -> None:
        self.page.goto(f"{self.hospital.ehr_url}/stays/{encounter}")

    def launch(self, encounter: str = DEMONSTRATION) -> FrameLocator:
        """Open the stay, press Launch Preceptor, and return the frame."""
        self.open_stay(encounter)
        self.page.get_by_role("button", name="Launch Preceptor").click()
        return self.frame

    def review(self, encounter: str = DEMONSTRATION) -> FrameLocator:
        """Launch and wait for the document; a draft that was not ready in its time is asked for again."""
        frame = self.launch(encounter)
        retry = frame.get_by_role("button", name="Try again")
        for _ in range(5):
            expect(frame.locator(".section").first.or_(retry)).to_be_visible()
            if not retry.is_visible():
                break
            retry.click()
        return frame

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator("iframe")

    def stays(self) -> list[str]:
        """The encounters on the EHR's list."""
        self.page.goto(self.hospital.ehr_url)
        links = self.page.locator("a[href^='/stays/']").evaluate_all("links => links.map(a => a.getAttribute('href'))")
        return list(dict.fromkeys(str(link).removeprefix("/stays/") for link in links))


@pytest.fixture
def desk(page: Page, hospital: Hospital) -> Desk:
    return Desk(page, hospital)

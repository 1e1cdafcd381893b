"""One OpenSearch node on the loopback interface: its files, its configuration, how it is started and waited for."""

import json
import os
import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from preceptor.certificates import Authority, Identity
from preceptor.opensearch.errors import OpenSearchNotReady
from preceptor.opensearch.java import java_program
from preceptor.private_files import private_dir, write_private

__all__ = ["ADMIN", "OpenSearchNode"]

ADMIN = "admin"
_NODE = "node"
_POLL_S = 0.2
# OpenSearch refuses to run as root; this number belongs to nobody, so no user has to be made for it.
_NOBODY = "65534"
_CONFIGURATION = """\
cluster.name: preceptor
node.name: local
path.data: {data}
path.logs: {logs}
network.host: 127.0.0.1
http.port: {port}
transport.port: {transport_port}
discovery.type: single-node
plugins.security.ssl.http.enabled: true
plugins.security.ssl.http.clientauth_mode: REQUIRE
plugins.security.ssl.http.enabled_protocols: ["TLSv1.3", "TLSv1.2"]
plugins.security.ssl.http.pemcert_filepath: node.pem
plugins.security.ssl.http.pemkey_filepath: node-key.pem
plugins.security.ssl.http.pemtrustedcas_filepath: authority.pem
plugins.security.ssl.transport.enabled_protocols: ["TLSv1.3", "TLSv1.2"]
plugins.security.ssl.transport.enforce_hostname_verification: true
plugins.security.ssl.transport.pemcert_filepath: node.pem
plugins.security.ssl.transport.pemkey_filepath: node-key.pem
plugins.security.ssl.transport.pemtrustedcas_filepath: authority.pem
plugins.security.nodes_dn: ["CN=node,O=Preceptor"]
plugins.security.authcz.admin_dn: ["CN=admin,O=Preceptor"]
plugins.security.allow_default_init_securityindex: true
plugins.security.audit.type: log4j
"""
_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


@dataclass(frozen=True)
class OpenSearchNode:
    """A node whose files lie under ``state_dir``; ``distribution`` is what it runs and is not written to.

    Certificates are new at each start; the authority's key is kept nowhere.
    """

    state_dir: Path
    distribution: Path
    port: int = 9200
    transport_port: int = 9300
    heap: str = "512m"

    @property
    def address(self) -> str:
        """The REST API's URL as seen from this machine."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def authority_file(self) -> Path:
        """The certificate that clients trust."""
        return self.clients_dir / "authority.pem"

    @property
    def clients_dir(self) -> Path:
        """Certificates and keys of clients, readable by their owner only."""
        return self.state_dir / "clients"

    def prepare(self, security: Path, clients: tuple[str, ...]) -> list[str]:
        """Write configuration and certificates; return the command that starts the node.

        ``security`` holds the first security configuration, ``clients`` are the common names to sign for.
        """
        private_dir(self.state_dir)
        for folder in ("data", "logs", "temporary"):
            (self.state_dir / folder).mkdir(exist_ok=True, mode=0o700)
        configuration = self.state_dir / "config"
        shutil.rmtree(configuration, ignore_errors=True)
        shutil.copytree(security, configuration / "opensearch-security")
        self._write_certificates(configuration, clients)
        (configuration / "opensearch.yml").write_text(self._configuration())
        (configuration / "log4j2.properties").write_text(_LOGGING)
        for path in (configuration, *configuration.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        return [
            *self._unprivileged(),
            str(java_program()),
            *self._java_options(),
            "org.opensearch.bootstrap.OpenSearch",
        ]

    def _write_certificates(self, configuration: Path, clients: tuple[str, ...]) -> None:
        authority = Authority()
        node = authority.node(_NODE)
        (configuration / "authority.pem").write_bytes(authority.certificate)
        (configuration / "node.pem").write_bytes(node.certificate)
        write_private(configuration / "node-key.pem", node.key)
        private_dir(self.clients_dir)
        write_private(self.authority_file, authority.certificate)
        for name in (ADMIN, *clients):
            self._write_client(name, authority.client(name))

    def _write_client(self, name: str, identity: Identity) -> None:
        write_private(self.clients_dir / f"{name}.pem", identity.certificate)
        write_private(self.clients_dir / f"{name}-key.pem", identity.key)

    def client(self, name: str = ADMIN) -> httpx.Client:
        """Return a client that shows the certificate of ``name``."""
        context = ssl.create_default_context(cafile=str(self.authority_file))
        context.load_cert_chain(self.clients_dir / f"{name}.pem", self.clients_dir / f"{name}-key.pem")
        return httpx.Client(base_url=self.address, verify=context, timeout=30)

    def wait_until_ready(self, process: subprocess.Popen[bytes], timeout_s: float = 240.0) -> None:
        """Wait until users are let in, which is later than the cluster's own health; raise ``OpenSearchNotReady``."""
        deadline = time.monotonic() + timeout_s
        with self.client() as client:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise OpenSearchNotReady(f"OpenSearch ended with exit status {process.returncode} while starting")
                try:
                    answer = client.get("/_plugins/_security/health")
                    if answer.status_code == 200 and answer.json().get("status") == "UP":
                        return
                except (httpx.TransportError, ValueError):
                    pass
                time.sleep(_POLL_S)
        raise OpenSearchNotReady(f"OpenSearch was not ready within {timeout_s:g} s")

    def _configuration(self) -> str:
        return _CONFIGURATION.format(
            data=json.dumps(str(self.state_dir / "data")),
            logs=json.dumps(str(self.state_dir / "logs")),
            port=self.port,
            transport_port=self.transport_port,
        )

    def _unprivileged(self) -> list[str]:
        if os.getuid() != 0:
            return []
        for folder in ("config", "data", "logs", "temporary"):
            for path in ((place := self.state_dir / folder), *place.rglob("*")):
                os.chown(path, int(_NOBODY), int(_NOBODY), follow_symlinks=False)
        # It may pass the folders above its own, which belong to root alone.
        passing = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--securebits=+no_setuid_fixup"]
        return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", *passing]

    def _java_options(self) -> list[str]:
        home, temporary = self.distribution, self.state_dir / "temporary"
        return [
            f"-Xms{self.heap}",
            f"-Xmx{self.heap}",
            "-XX:+UseSerialGC" if (os.cpu_count() or 1) <= 2 else "-XX:+UseG1GC",
            "-Dfile.encoding=UTF-8",
            f"-Djava.io.tmpdir={temporary}",
            f"-Djna.tmpdir={temporary}",
            "-Dlog4j2.disable.jmx=true",
            "-Dlog4j2.formatMsgNoLookups=true",
            "-Dio.netty.noUnsafe=true",
            "-Dio.netty.allocator.numDirectArenas=0",
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "--add-opens=java.base/java.nio=org.apache.arrow.memory.core,ALL-UNNAMED",
            f"-javaagent:{home / 'agent' / 'opensearch-agent.jar'}",
            f"-Dopensearch.path.home={home}",
            f"-Dopensearch.path.conf={self.state_dir / 'config'}",
            "-Dopensearch.distribution.type=tar",
            "-cp",
            f"{home / 'lib'}/*",
        ]

"""A local node as one context, for the command and for tests."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preceptor.opensearch.node import OpenSearchNode
from preceptor.opensearch.policies import apply_policies

__all__ = ["CLIENTS", "RunningOpenSearch", "running_opensearch"]

CLIENTS = ("retrieval",)


class RunningOpenSearch:
    """A node that users are let into; it can be broken as machines break, and started again on its data."""

    def __init__(self, node: OpenSearchNode, command: list[str], log: Path) -> None:
        self.node = node
        self._command = command
        self._log = log
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603  our own command
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def kill(self) -> None:
        """End the process as a power cut does."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start the node on the data it had and wait until users are let in; raise ``OpenSearchError``."""
        self.process = self._start()
        self.node.wait_until_ready(self.process)

    def pause(self) -> None:
        """Let the process hang."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the process in order."""
        self.resume()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def environment(self, client: str = "retrieval") -> dict[str, str]:
        """Return the environment variables by which retrieval uses this node; none of them is secret."""
        prefix = "PRECEPTOR_RETRIEVAL_OPENSEARCH"
        return {
            "PRECEPTOR_RETRIEVAL_ENGINE": "opensearch",
            f"{prefix}_URL": self.node.address,
            f"{prefix}_CA_FILE": str(self.node.authority_file),
            f"{prefix}_CERTIFICATE_FILE": str(self.node.clients_dir / f"{client}.pem"),
            f"{prefix}_KEY_FILE": str(self.node.clients_dir / f"{client}-key.pem"),
        }


@contextmanager
def running_opensearch(
    node: OpenSearchNode, policies: Path, log: Path, clients: tuple[str, ...] = CLIENTS
) -> Iterator[RunningOpenSearch]:
    """Run the node with its policies in place; it ends with the context. Raises ``OpenSearchError``."""
    running = RunningOpenSearch(node, node.prepare(policies / "security", clients), log)
    try:
        node.wait_until_ready(running.process)
        with node.client() as admin:
            apply_policies(admin, policies)
        yield running
    finally:
        running.stop()

"""Runs OpenBao and its agent in a container of compose.yaml, until it is told to stop.

``/run/preceptor`` is shared with the services: they find the agent's socket and the server's certificate authority
there. The unseal key and the socket of the operator stay in folders that no other container has.
"""

import shutil
import signal
import sys
import threading
from pathlib import Path
from tempfile import mkdtemp

from preceptor.openbao.running import running_openbao
from preceptor.openbao.server import OpenBaoServer
from service_runtime.log import configure_logging

STATE, SHARED, POLICIES = Path("/var/lib/preceptor"), Path("/run/preceptor"), Path("/etc/preceptor/policies")


def main(*, port: int = 8200, cluster_port: int = 8201) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    configure_logging("openbao")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = OpenBaoServer(STATE / "openbao", Path(mkdtemp(prefix="openbao-")), port, cluster_port)
    with running_openbao(server, SHARED / "agent.sock", POLICIES, Path("/dev/stderr")):
        shutil.copyfile(server.ca_file, SHARED / "ca.pem")
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

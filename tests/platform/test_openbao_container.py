"""What the container of OpenBao runs: server and agent come up, share what services need, and stop when asked."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_START = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("run_openbao", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.STATE, module.SHARED, module.POLICIES = (Path(argument) for argument in sys.argv[2:5])
sys.exit(module.main(port=int(sys.argv[5]), cluster_port=int(sys.argv[6])))
"""


def _free_ports() -> tuple[int, int]:
    spec = importlib.util.spec_from_file_location("root_conftest", ROOT / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    first, second = module.free_ports(2)
    return first, second


def test_it_serves_its_agent_and_authority_until_it_is_told_to_stop() -> None:
    with tempfile.TemporaryDirectory(prefix="p-") as folder:
        state, shared = Path(folder) / "state", Path(folder) / "run"
        state.mkdir()
        shared.mkdir()
        port, cluster_port = _free_ports()
        arguments = [ROOT / "docker" / "run_openbao.py", state, shared, ROOT / "policies" / "vault", port, cluster_port]
        environment = {**os.environ, "TMPDIR": folder}
        command = [sys.executable, "-c", _START, *map(str, arguments)]
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + 120
                while not (shared / "ca.pem").is_file():
                    assert process.poll() is None, "it ended while it started"
                    assert time.monotonic() < deadline, "it did not come up"
                    time.sleep(0.2)
                assert (shared / "agent.sock").is_socket()
                assert {path.name for path in shared.iterdir()} == {"agent.sock", "ca.pem"}
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0
            finally:
                if process.poll() is None:
                    process.kill()
        assert not (shared / "agent.sock").exists()

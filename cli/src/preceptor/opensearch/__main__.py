"""``make opensearch``: run a local OpenSearch node until Ctrl-C and say how retrieval is pointed at it."""

import signal
import sys
from pathlib import Path

from rich.console import Console

from preceptor.opensearch.distribution import assembled, is_assembled
from preceptor.opensearch.errors import OpenSearchError
from preceptor.opensearch.node import OpenSearchNode
from preceptor.opensearch.running import running_opensearch

_CHECKOUT = Path(__file__).resolve().parents[4]
_KEPT = _CHECKOUT / ".preceptor"
console = Console(stderr=True)


def main() -> int:
    """Run the node; return the exit status."""
    cache, state = _KEPT / "cache", _KEPT / "state" / "opensearch"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        if not is_assembled(cache):
            console.print("Fetching OpenSearch by Maven (195 MB).")
        node = OpenSearchNode(state, assembled(cache))
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with console.status("Starting OpenSearch"):
            context = running_opensearch(node, _CHECKOUT / "policies" / "opensearch", state / "node.log")
            running = context.__enter__()
        try:
            console.print(f"OpenSearch is at {node.address}. For retrieval:")
            for name, value in running.environment().items():
                print(f"export {name}={value}")
            console.print("Ctrl-C ends it; what was ingested stays.")
            running.process.wait()
            console.print(f"OpenSearch ended; the log is {state / 'node.log'}.", style="red")
            return 1
        finally:
            context.__exit__(None, None, None)
    except KeyboardInterrupt:
        return 0
    except OpenSearchError as error:
        console.print(str(error), style="red")
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""``python -m benchmarks.retrieval_opening FOLDER ENCODER``: open an embedded index by the key on standard input.

A process of its own, so that its time and memory are those of an index and nothing else.
"""

import json
import sys
import time
from pathlib import Path

import psutil
from retrieval.embedded_index import EmbeddedIndex
from retrieval.index_key import INDEX_FILE
from retrieval.sqlcipher_store import SqlCipherStore

from benchmarks.open_literature import Known


def main(folder: str, encoder: str) -> None:
    """Open the index and say in JSON what that took."""
    key = bytes.fromhex(sys.stdin.read())
    began = time.perf_counter()
    index = EmbeddedIndex(SqlCipherStore(Path(folder) / INDEX_FILE, key), Known(encoder, {}))
    elapsed_s = time.perf_counter() - began
    memory = psutil.Process().memory_info().rss >> 20
    # Not what the system counts for a process: that begins with the memory of the process it was started from.
    lines = Path("/proc/self/status").read_text().splitlines()
    most = next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))
    sys.stdout.write(json.dumps({"elapsed_s": elapsed_s, "memory_mb": memory, "most_memory_mb": most}) + "\n")
    index.store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

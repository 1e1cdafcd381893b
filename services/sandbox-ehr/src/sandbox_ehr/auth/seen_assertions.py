"""The jti of every client assertion that was accepted, kept on disk so that a restart forgets none."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sandbox_ehr.auth.errors import OAuthError

__all__ = ["SeenAssertions"]

_TABLE = """
CREATE TABLE IF NOT EXISTS seen (
  client_id TEXT NOT NULL, jti TEXT NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (client_id, jti)
) WITHOUT ROWID
"""


class SeenAssertions:
    """Remembers pairs of client and ``jti`` until the assertion would have expired anyway."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(_TABLE)

    def remember(self, client_id: str, jti: str, expires_at: float) -> None:
        """Keep an assertion; raise ``OAuthError`` when it was kept before (SMART: jti SHALL be checked)."""
        with self._lock:
            self._database.execute("DELETE FROM seen WHERE expires_at <= ?", (self._clock(),))
            try:
                self._database.execute("INSERT INTO seen VALUES (?, ?, ?)", (client_id, jti, expires_at))
            except sqlite3.IntegrityError:
                raise OAuthError("invalid_client", "jti was used before", 401) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

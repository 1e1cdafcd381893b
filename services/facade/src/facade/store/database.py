"""The SQL database: SQLite with write-ahead log and full synchronisation, or PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from facade.store.tables import Base

__all__ = ["Database", "Work"]

_MIGRATIONS = "facade:store/migrations"
_READ_ONLY = "preceptor_read_only"
_MOST_TOGETHER = 50
_Result = TypeVar("_Result")
Work = Callable[[Connection], _Result]
"""Something to write inside a transaction that somebody else begins and ends; it may run in a thread."""


@dataclass(frozen=True, eq=False)
class _Writing:
    """What somebody wants to write, and where the outcome is told."""

    work: Work[Any]
    outcome: "asyncio.Future[Any]"


class Database:
    """Opens sessions and brings the schema up to date. ``url`` is an async SQLAlchemy URL.

    ``password`` is asked for at every new connection to PostgreSQL, so that a password that was changed is found.
    """

    def __init__(self, url: str, password: Callable[[], Awaitable[str | None]] | None = None) -> None:
        is_postgresql = url.startswith("postgresql")
        self._engine = create_async_engine(
            url,
            pool_pre_ping=is_postgresql,
            hide_parameters=True,
            connect_args={"password": password} if is_postgresql and password else {},
        )
        self._turn: AbstractAsyncContextManager[object] = nullcontext()
        self._writer: _Writer | None = None
        if self._engine.dialect.name == "sqlite":
            _prepare_sqlite(self._engine.sync_engine)
            # SQLite has one writer at a time and lets the others try again and again; here they wait in turn.
            self._turn = asyncio.Lock()
            self._writer = _Writer(url)
        self._waiting: list[_Writing] = []
        self._statements: dict[tuple[str, str | None, tuple[str, ...]], Any] = {}
        self._writing = async_sessionmaker(self._engine, expire_on_commit=False)
        self._reading = async_sessionmaker(self._engine.execution_options(**{_READ_ONLY: True}), expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A transaction: committed, and on the disk, when the block ends; rolled back when it raises."""
        async with self._turn, self._writing() as session, session.begin():
            yield session

    async def write(self, work: Work[_Result]) -> _Result:
        """Run ``work`` in a transaction that those share who wait for the same writer; return what it returns.

        A sync of the disk takes as long for many as for one. When this returns, what was written is on the disk. Should
        another's work fail, this is run again without it: ``work`` only inserts, and keeps nothing between two runs.
        """
        writing = _Writing(work, asyncio.get_running_loop().create_future())
        self._waiting.append(writing)
        try:
            async with self._turn:
                if writing in self._waiting:
                    together, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
                    # Whoever came first may be told to stop: what it writes for the others goes on.
                    await asyncio.shield(self._write_together(together))
            result: _Result = await writing.outcome
        except asyncio.CancelledError:
            writing.outcome.cancel()
            if writing in self._waiting:
                self._waiting.remove(writing)
            raise
        return result

    async def _write_together(self, together: Sequence[_Writing]) -> None:
        try:
            results = await self._run_together([one.work for one in together])
        except Exception as error:  # noqa: BLE001  told to whom it belongs
            if len(together) > 1:
                for one in together:
                    await self._write_together([one])
                return
            _tell(together[0].outcome, None, error)
            return
        for one, result in zip(together, results, strict=True):
            _tell(one.outcome, result, None)

    async def _run_together(self, works: Sequence[Work[Any]]) -> list[Any]:
        if self._writer is not None:
            return await self._writer.run(works)
        async with self._engine.begin() as connection:
            return [await connection.run_sync(work) for work in works]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads and waits for no writer."""
        async with self._reading() as session, session.begin():
            yield session

    async def insert_new(self, session: AsyncSession, table: type[Base], values: dict[str, Any]) -> bool:
        """Insert a row unless one with the same key exists; return whether it was inserted."""
        result = await session.execute(self._insert(table, None, ()), values)
        return bool(getattr(result, "rowcount", 0))

    async def insert_new_row(self, session: AsyncSession, table: type[Base], values: dict[str, Any], key: Any) -> Any:
        """Insert a row unless one with the same key exists; return its column ``key``, or None when it was there."""
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        statement: Any = dialect.insert(table).values(**values).on_conflict_do_nothing().returning(key)
        return await session.scalar(statement)

    async def insert_or_update(
        self,
        session: AsyncSession,
        table: type[Base],
        rows: Sequence[dict[str, Any]],
        *,
        key: str,
        update: tuple[str, ...],
    ) -> None:
        """Insert rows at once; of those whose ``key`` exists only the columns ``update`` are changed."""
        await session.execute(self._insert(table, key, update), list(rows))

    def _insert(self, table: type[Base], key: str | None, update: tuple[str, ...]) -> Any:
        """Return the statement, made once: what is made anew each time is also compiled anew each time."""
        name = (table.__tablename__, key, update)
        if name not in self._statements:
            dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
            statement = dialect.insert(cast(Table, table.__table__))
            self._statements[name] = (
                statement.on_conflict_do_nothing()
                if key is None
                else statement.on_conflict_do_update(
                    index_elements=[key], set_={column: statement.excluded[column] for column in update}
                )
            )
        return self._statements[name]

    async def migrate(self) -> None:
        """Apply the migrations that are missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(_upgrade)

    async def check(self) -> None:
        """Write and roll back, so that a full or read-only disk is noticed; raise ``SQLAlchemyError``."""
        async with self._engine.connect() as connection:
            await connection.execute(text("CREATE TEMPORARY TABLE IF NOT EXISTS readiness (probe INTEGER)"))
            await connection.execute(text("UPDATE inbox_event SET failures = failures WHERE sequence = -1"))
            await connection.rollback()

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()
        if self._writer is not None:
            self._writer.close()


class _Writer:
    """Runs whole transactions of SQLite in one thread: aiosqlite changes threads several times for each statement."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(make_url(url).set(drivername="sqlite"), hide_parameters=True)
        _prepare_sqlite(self._engine)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-writer")

    async def run(self, works: Sequence[Work[Any]]) -> list[Any]:
        """Run ``works`` in one transaction; return what they return."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, works)

    def close(self) -> None:
        """Close the connection, after what is being written."""
        self._thread.shutdown()
        self._engine.dispose()

    def _run(self, works: Sequence[Work[Any]]) -> list[Any]:
        with self._engine.begin() as connection:
            return [work(connection) for work in works]


def _tell(outcome: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    """Settle an outcome; whoever waited for it may have been told to stop."""
    if outcome.done():
        return
    if error is None:
        outcome.set_result(result)
    else:
        outcome.set_exception(error)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", _MIGRATIONS)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _prepare_sqlite(engine: Engine) -> None:
    """Make every commit durable and every write transaction take its lock at the start.

    ``synchronous=FULL`` syncs the write-ahead log at each commit; with NORMAL an acknowledged event could be lost
    in a power cut. A transaction that reads first and then writes would fail at once when another wrote between,
    whatever the busy timeout: BEGIN IMMEDIATE waits instead.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None  # the listener below emits BEGIN
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

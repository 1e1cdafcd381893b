"""Sessions of the clinician's page: each belongs to one launch, one clinician and one stay."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from service_runtime.envelope import EnvelopeCipher
from sqlalchemy import delete, or_, update

from facade.resources.ids import patient_scope
from facade.smart.secret_values import hashed, random_value, short_name
from facade.smart.token_response import AppContext
from facade.store.database import Database
from facade.store.tables import SessionRow

__all__ = ["NewSession", "Session", "SessionContext", "SessionEnded", "Sessions"]

# A session in use is written at most this often.
_TOUCH_EVERY = timedelta(seconds=15)


class SessionEnded(Exception):
    """There is no session, or it ended: idle too long, older than allowed, or closed."""


class SessionContext(BaseModel):
    """Who looks at which stay. It is kept sealed: it names the patient and holds the tokens of the launch.

    ``not_granted`` says in words what the EHR did not let us have; ``app_context`` and ``open_resources`` what the
    launch wants to see first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    patient: str
    encounter: str
    practitioner: str
    practitioner_name: str | None = None
    patient_name: str | None = None
    patient_birth_date: str | None = None
    patient_sex: str | None = None
    show_banner: bool = True
    not_granted: tuple[str, ...] = ()
    app_context: AppContext | None = None
    open_resources: tuple[str, ...] = ()
    access_token: str
    refresh_token: str | None = None
    token_endpoint: str
    token_expires_at: datetime
    csrf_token: str


@dataclass(frozen=True)
class Session:
    """An open session; ``window`` is its name in addresses."""

    window: str
    ehr_id: str
    context: SessionContext
    ends_at: datetime

    def accepts_csrf(self, unverified_token: str | None) -> bool:
        """Whether a form or script of this session's own page sent the request."""
        return hmac.compare_digest(self.context.csrf_token.encode(), (unverified_token or "").encode())


@dataclass(frozen=True)
class NewSession:
    """A session just opened, with the secret that goes into its cookie and is not kept."""

    window: str
    secret: str


class Sessions:
    """Opens, finds and ends sessions; the cookie's secret is stored as a hash, the context sealed."""

    def __init__(
        self,
        database: Database,
        cipher: EnvelopeCipher,
        *,
        idle_s: int,
        absolute_s: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._idle = timedelta(seconds=idle_s)
        self._absolute = timedelta(seconds=absolute_s)
        self._clock = clock

    @property
    def absolute_s(self) -> int:
        """How long a session lasts at the most."""
        return int(self._absolute.total_seconds())

    @property
    def idle_s(self) -> int:
        """How long an unused session lasts."""
        return int(self._idle.total_seconds())

    async def open(self, ehr_id: str, context: SessionContext) -> NewSession:
        """Keep a new session, and drop those that ended."""
        now = self._clock()
        window, secret = short_name(), random_value()
        scope = patient_scope(ehr_id, context.patient)
        row = SessionRow(
            window=window,
            secret_hash=hashed(secret),
            ehr_id=ehr_id,
            patient_key=scope,
            sealed=await self._seal(context, scope, window),
            idle_until=now + self._idle,
            ends_at=now + self._absolute,
        )
        async with self._database.session() as session:
            await session.execute(
                delete(SessionRow).where(or_(SessionRow.idle_until <= now, SessionRow.ends_at <= now))
            )
            session.add(row)
        return NewSession(window, secret)

    async def find(self, unverified_window: str, unverified_secret: str | None) -> Session:
        """Return the session and start its idle time anew; raise ``SessionEnded``."""
        now = self._clock()
        async with self._database.reading() as session:
            row = await session.get(SessionRow, unverified_window)
        if row is None or not hmac.compare_digest(row.secret_hash, hashed(unverified_secret or "")):
            raise SessionEnded
        if row.idle_until <= now or row.ends_at <= now:
            await self.end(row.window)
            raise SessionEnded
        if now + self._idle - row.idle_until >= min(_TOUCH_EVERY, self._idle / 10):
            async with self._database.session() as session:
                await session.execute(
                    update(SessionRow).where(SessionRow.window == row.window).values(idle_until=now + self._idle)
                )
        return Session(row.window, row.ehr_id, await self._open(row), row.ends_at)

    async def context(self, session: Session) -> SessionContext:
        """Return the context as it is kept now (another request may have renewed its tokens)."""
        async with self._database.reading() as reading:
            row = await reading.get(SessionRow, session.window)
        if row is None:
            raise SessionEnded
        return await self._open(row)

    async def claim_renewal(self, session: Session, for_s: float) -> bool:
        """Whether this caller alone, of all processes, renews the tokens of the session for the next ``for_s``."""
        now = self._clock()
        free = or_(SessionRow.renewing_until.is_(None), SessionRow.renewing_until <= now)
        statement = (
            update(SessionRow)
            .where(SessionRow.window == session.window, free)
            .values(renewing_until=now + timedelta(seconds=for_s))
            .returning(SessionRow.window)
        )
        async with self._database.session() as writing:
            return (await writing.execute(statement)).scalar_one_or_none() is not None

    async def give_up_renewal(self, session: Session) -> None:
        """Let another caller renew the tokens."""
        async with self._database.session() as writing:
            await writing.execute(
                update(SessionRow).where(SessionRow.window == session.window).values(renewing_until=None)
            )

    async def replace(self, session: Session, context: SessionContext) -> None:
        """Keep a changed context (renewed tokens); what was claimed is free again."""
        scope = patient_scope(session.ehr_id, session.context.patient)
        sealed = await self._seal(context, scope, session.window)
        async with self._database.session() as writing:
            await writing.execute(
                update(SessionRow).where(SessionRow.window == session.window).values(sealed=sealed, renewing_until=None)
            )

    async def end(self, window: str) -> None:
        """Forget a session and its tokens."""
        async with self._database.session() as session:
            await session.execute(delete(SessionRow).where(SessionRow.window == window))

    async def _open(self, row: SessionRow) -> SessionContext:
        raw = await self._cipher.open(row.sealed, scope=row.patient_key, aad=_place(row.window))
        return SessionContext.model_validate_json(raw)

    async def _seal(self, context: SessionContext, scope: str, window: str) -> bytes:
        return await self._cipher.seal(context.model_dump_json().encode(), scope=scope, aad=_place(window))


def _place(window: str) -> str:
    return f"session.sealed/{window}"

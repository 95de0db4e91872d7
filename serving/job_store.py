"""Jobs as rows of a database: SQLite on one machine, PostgreSQL where several replicas share them (docs/jobs.md).

States: waiting -> running -> done, failed or cancelled. A running job is leased: a worker that dies stops renewing, and another
one takes the job up again.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from data.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.engine import Engine

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
ENDED = (DONE, FAILED, CANCELLED)
STOPPING = "stopping"
"""What callers are shown of a running job that was cancelled."""
LEASE_S = 60.0
"""A job whose worker has not been heard of for so long is taken up by another."""
MAX_ATTEMPTS = 5
"""A job during which so many workers died is given up."""
WEBHOOK_STATES = ("due", "sent", "failed")
LISTED = 100
GIVEN_UP = "Given up: its workers died again and again."


@dataclass(frozen=True)
class Job:
    """A row. Times are seconds since 1970; None: not yet."""

    id: str
    owner: str
    """Name of the caller's key; empty where no keys are needed."""
    state: str
    name: str
    """Of the file as it was sent."""
    settings: dict[str, Any]
    output: str
    """Name of the result."""
    bytes: int
    created: float
    started: float | None
    finished: float | None
    expires: float
    lease_until: float
    worker: str
    attempts: int
    cancel: bool
    rows: int
    """Done: labelled and rejected."""
    total: int | None
    rejects: int
    model: str | None
    error: str | None
    webhook: str | None
    webhook_state: str | None
    """None (nothing to send), `due`, `sent` or `failed`."""
    webhook_attempts: int
    webhook_next: float

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class JobStore:
    """Safe to use from several threads, processes and, with PostgreSQL, machines."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        """Open the database and make its table where there is none. ConfigError if that does not work."""
        import sqlalchemy as sa

        self._sa = sa
        self.clock = clock
        try:
            self._engine: Engine = sa.create_engine(url, pool_pre_ping=True)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _prepare_sqlite)
            self._jobs = _table(sa)
            self._jobs.metadata.create_all(self._engine)
        except (sa.exc.SQLAlchemyError, ModuleNotFoundError) as error:
            shown = sa.engine.make_url(url).render_as_string(hide_password=True) if "://" in url else "the URL"
            raise ConfigError(
                f"the jobs' database {shown} cannot be used: {type(error).__name__}: {str(error).splitlines()[0]}"
            ) from error

    def close(self) -> None:
        self._engine.dispose()

    # What callers do ---------------------------------------------------------------------------------------------------

    def add(self, job: Job) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._jobs.insert().values(**_written(job)))

    def find(self, id: str, owner: str | None = None) -> Job | None:
        """The job; None if there is none, or it is another owner's."""
        condition = self._jobs.c.id == id
        if owner is not None:
            condition &= self._jobs.c.owner == owner
        found = self._select(condition, limit=1)
        return found[0] if found else None

    def jobs_of(self, owner: str) -> list[Job]:
        """The newest LISTED jobs of an owner, newest first."""
        return self._select(self._jobs.c.owner == owner, limit=LISTED, newest=True)

    def open_jobs(self, owner: str) -> int:
        """How many of an owner's jobs have not ended."""
        c = self._jobs.c
        count = self._sa.select(self._sa.func.count()).where((c.owner == owner) & c.state.in_((WAITING, RUNNING)))
        with self._engine.connect() as connection:
            return int(connection.execute(count).scalar_one())

    def cancel(self, id: str) -> None:
        """End a waiting job; ask the worker of a running one to stop."""
        now = self.clock()
        self._update((self._jobs.c.id == id) & (self._jobs.c.state == WAITING), state=CANCELLED, finished=now)
        self._update((self._jobs.c.id == id) & (self._jobs.c.state == RUNNING), cancel=True)

    # What workers do ---------------------------------------------------------------------------------------------------

    def take(self, worker: str) -> Job | None:
        """Lease the oldest job that waits, or whose worker is gone; None if there is nothing to do."""
        c = self._jobs.c
        while True:
            now = self.clock()
            free = (c.state == WAITING) | ((c.state == RUNNING) & (c.lease_until < now))
            found = self._select(free, limit=1)
            if not found:
                return None
            job = found[0]
            if job.attempts >= MAX_ATTEMPTS:
                self._update((c.id == job.id) & free, state=FAILED, finished=now, error=GIVEN_UP,
                             webhook_state="due" if job.webhook else None)  # fmt: skip
                continue
            taken = self._update(
                (c.id == job.id) & free,  # once more: another worker may have been faster
                state=RUNNING, worker=worker, lease_until=now + LEASE_S, attempts=c.attempts + 1,
                started=self._sa.func.coalesce(c.started, now),
            )  # fmt: skip
            if taken:
                return self.find(job.id)

    def renew(self, id: str, worker: str, rows: int, total: int | None, rejects: int) -> bool:
        """Keep the lease and tell the progress. False: the job is no longer the worker's, or is to be cancelled."""
        c = self._jobs.c
        mine = (c.id == id) & (c.state == RUNNING) & (c.worker == worker)
        kept = self._update(mine, lease_until=self.clock() + LEASE_S, rows=rows, total=total, rejects=rejects)
        if not kept:
            return False
        job = self.find(id)
        return job is not None and not job.cancel

    def end(self, id: str, worker: str, state: str, **values: Any) -> bool:
        """Note how a job ended. False if it is no longer the worker's."""
        c = self._jobs.c
        job = self.find(id)
        due = "due" if job is not None and job.webhook and state != CANCELLED else None
        return self._update((c.id == id) & (c.state == RUNNING) & (c.worker == worker),
                            state=state, finished=self.clock(), webhook_state=due, lease_until=0.0, **values)  # fmt: skip

    def give_back(self, id: str, worker: str) -> None:
        """Let another worker go on at once; the stop was ours, and does not count as a death."""
        c = self._jobs.c
        self._update(
            (c.id == id) & (c.state == RUNNING) & (c.worker == worker), state=WAITING, lease_until=0.0, attempts=c.attempts - 1
        )

    def take_webhook(self, retry_after_s: float) -> Job | None:
        """A job whose caller is to be told; nobody else gets it for `retry_after_s`."""
        c = self._jobs.c
        now = self.clock()
        due = (c.webhook_state == "due") & (c.webhook_next <= now)
        for job in self._select(due, limit=1):
            if self._update((c.id == job.id) & due, webhook_next=now + retry_after_s, webhook_attempts=c.webhook_attempts + 1):
                return self.find(job.id)
        return None

    def webhook(self, id: str, state: str, next_time: float = 0.0) -> None:
        self._update(self._jobs.c.id == id, webhook_state=state, webhook_next=next_time)

    def expired(self) -> list[Job]:
        """Jobs whose files may go. A running one is left until it has ended."""
        return self._select((self._jobs.c.expires < self.clock()) & (self._jobs.c.state != RUNNING), limit=LISTED)

    def remove(self, id: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._jobs.delete().where(self._jobs.c.id == id))

    def known(self) -> set[str]:
        """Ids of every job."""
        with self._engine.connect() as connection:
            return set(connection.execute(self._sa.select(self._jobs.c.id)).scalars())

    def _select(self, condition: ColumnElement[bool], limit: int, newest: bool = False) -> list[Job]:
        order = self._jobs.c.created.desc() if newest else self._jobs.c.created
        statement = self._jobs.select().where(condition).order_by(order, self._jobs.c.id).limit(limit)
        with self._engine.connect() as connection:
            return [_read(dict(row._mapping)) for row in connection.execute(statement)]

    def _update(self, condition: ColumnElement[bool], **values: Any) -> bool:
        with self._engine.begin() as connection:
            return connection.execute(self._jobs.update().where(condition).values(**values)).rowcount == 1


def new_id() -> str:
    """Nobody guesses it: 128 bits."""
    return secrets.token_hex(16)


def new_job(
    id: str, owner: str, name: str, settings: dict[str, Any], output: str, size: int, webhook: str | None, now: float, keep_s: float
) -> Job:
    """A job that waits."""
    return Job(
        id=id, owner=owner, state=WAITING, name=name, settings=settings, output=output, bytes=size, created=now, started=None,
        finished=None, expires=now + keep_s, lease_until=0.0, worker="", attempts=0, cancel=False, rows=0, total=None, rejects=0,
        model=None, error=None, webhook=webhook, webhook_state=None, webhook_attempts=0, webhook_next=0.0,
    )  # fmt: skip


def _written(job: Job) -> dict[str, Any]:
    values = {each.name: getattr(job, each.name) for each in fields(job)}
    return {**values, "settings": json.dumps(job.settings, ensure_ascii=False)}


def _read(values: dict[str, Any]) -> Job:
    return Job(**{**values, "settings": json.loads(values["settings"])})


def _table(sa: Any) -> Table:
    text, number, moment = sa.Text, sa.BigInteger, sa.Double
    table: Table = sa.Table(
        "feedback_jobs",
        sa.MetaData(),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False, index=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        *(sa.Column(name, text, nullable=False) for name in ("name", "settings", "output", "worker")),
        *(sa.Column(name, number, nullable=False) for name in ("bytes", "attempts", "rows", "rejects", "webhook_attempts")),
        *(sa.Column(name, moment, nullable=False) for name in ("created", "expires", "lease_until", "webhook_next")),
        *(sa.Column(name, moment) for name in ("started", "finished")),
        *(sa.Column(name, text) for name in ("model", "error", "webhook", "webhook_state")),
        sa.Column("total", number),
        sa.Column("cancel", sa.Boolean, nullable=False),
    )
    return table


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()

"""What runs beside the requests: the workers of inbox and outbox, and the keeper of our Subscriptions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service_runtime.log import LogCode, log

from facade.container import Container
from facade.fhir.tenants import home_of
from facade.operations.worker import JobWorker
from facade.pipeline.delivery import Deliverer
from facade.pipeline.events import EventProcessor
from facade.pipeline.loops import WorkLoop
from facade.subscriptions.keeper import SubscriptionKeeper

__all__ = ["running"]


@asynccontextmanager
async def running(container: Container) -> AsyncIterator[None]:
    """Bring the database up to date, take up what an earlier process left, work until the block ends, and close.

    What is cut off at the end was claimed and is not finished: the next process does it.
    """
    settings = container.settings
    await container.database.migrate()
    freed = await container.inbox.queue.release_own() + await container.outbox.queue.release_own()
    freed += await container.operations.jobs.queue.release_own()
    log(LogCode.SERVICE_STARTED, count=freed)
    events = EventProcessor(
        ehrs=container.ehrs,
        inbox=container.inbox,
        connections=container.connections,
        drafting=container.drafting,
        overlap_s=settings.catch_up_overlap_s,
    )
    deliverer = Deliverer(outbox=container.outbox, connections=container.connections, documents=container.documents)
    stop_keeping = asyncio.Event()
    keeper = SubscriptionKeeper(
        ehrs=container.ehrs,
        connections=container.connections,
        secrets=container.receiver.secrets,
        inbox=container.inbox,
        public_base_url=settings.public_base_url,
        wake=container.wake,
        stop=stop_keeping,
    )
    jobs = JobWorker(container.operations, lambda ehr_id: home_of(container.ehrs, settings.public_base_url, ehr_id))
    loops = [
        *(
            WorkLoop(events.step, container.wake, poll_s=settings.poll_s, stage="inbox")
            for _ in range(settings.workers)
        ),
        *(
            WorkLoop(deliverer.step, container.written_back, poll_s=settings.poll_s, stage="outbox")
            for _ in range(settings.workers)
        ),
        *(
            WorkLoop(jobs.step, container.operations.wake, poll_s=settings.poll_s, stage="jobs")
            for _ in range(settings.workers)
        ),
        WorkLoop(keeper.step, stop_keeping, poll_s=settings.subscription_check_s, stage="subscription"),
    ]
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        yield
    finally:
        for loop in loops:
            loop.stop()
        _, late = await asyncio.wait(tasks, timeout=settings.stop_timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await container.drafting.close(settings.stop_timeout_s)
        await container.inbox.queue.release_own()
        await container.outbox.queue.release_own()
        await container.operations.jobs.queue.release_own()
        await container.http.aclose()
        await container.database.close()
        log(LogCode.SERVICE_STOPPED)

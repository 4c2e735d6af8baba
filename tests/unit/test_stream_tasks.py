import asyncio

from cuepoint.streams.tasks import end


async def test_a_task_that_loses_cancellations_is_ended() -> None:
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost += 1
                if lost > 2:
                    raise

    async def broken() -> None:
        raise ValueError

    tasks = [asyncio.create_task(deaf()), asyncio.create_task(broken())]
    await asyncio.sleep(0)
    await end(*tasks)
    assert [task.done() for task in tasks] == [True, True]
    assert lost == 3
    await end()

#!/usr/bin/python3 -B
"""asyncio_switch -- asyncio: one switch between two tasks that yield by sleep(0)

Each goes by way of the loop. Prints the processor time for one sleep(0) of either.
"""
import asyncio
import time

ROUNDS = 50000


async def pause(times):
    sleep = asyncio.sleep
    for _ in range(times):
        await sleep(0)


async def both(rounds):
    """Nanoseconds of two tasks with so many rounds each."""
    began = time.process_time_ns()
    await asyncio.gather(pause(rounds), pause(rounds))
    return time.process_time_ns() - began


async def main():
    await both(1000)
    print("switch %.10g ns" % (await both(ROUNDS) / (2 * ROUNDS)))


asyncio.run(main())

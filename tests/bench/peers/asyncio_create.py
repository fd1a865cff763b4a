#!/usr/bin/python3 -B
"""asyncio_create -- asyncio: create_task and await of a task that does nothing

One after another. Prints the processor time of one.
"""
import asyncio
import time

COUNT = 30000


async def nothing():
    pass


async def create_and_join(count):
    for _ in range(count):
        await asyncio.create_task(nothing())


async def main():
    await create_and_join(1000)
    began = time.process_time_ns()
    await create_and_join(COUNT)
    print("create_join %.10g ns" % ((time.process_time_ns() - began) / COUNT))


asyncio.run(main())

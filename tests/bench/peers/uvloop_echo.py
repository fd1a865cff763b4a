#!/usr/bin/python3 -B
"""uvloop_echo -- uvloop: asyncio_echo on uvloop's loop"""
import uvloop

uvloop.install()
import asyncio_echo     # which runs

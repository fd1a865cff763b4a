#!/usr/bin/python3 -B
"""uvloop_create -- uvloop: asyncio_create on uvloop's loop"""
import uvloop

uvloop.install()
import asyncio_create     # which runs

#!/usr/bin/python3 -B
"""uvloop_switch -- uvloop: asyncio_switch on uvloop's loop"""
import uvloop

uvloop.install()
import asyncio_switch     # which runs

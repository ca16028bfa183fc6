"""Serves an ASGI application on a free port of loopback and says which, until standard input ends."""

import asyncio
import json
import os
import socket
import sys
import threading

import uvicorn


def serve(application, start_grpc=None):
    """`start_grpc`: run on the event loop before the first connection is taken; gives the port of a gRPC server."""
    listening = socket.socket()
    listening.bind(('127.0.0.1', 0))
    # Who connects before the server runs waits, instead of being refused.
    listening.listen()

    def end_with_parent():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    server = uvicorn.Server(uvicorn.Config(application, log_level='error'))

    async def run():
        ports = {'port': listening.getsockname()[1]}
        if start_grpc:
            ports['grpc'] = await start_grpc()
        print(json.dumps(ports), flush=True)
        await server.serve(sockets=[listening])

    asyncio.run(run())

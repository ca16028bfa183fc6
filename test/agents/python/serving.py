"""Serves an ASGI application on a free port of loopback and says which, until standard input ends."""

import json
import os
import socket
import sys
import threading

import uvicorn


def serve(application):
    listening = socket.socket()
    listening.bind(('127.0.0.1', 0))
    # Who connects before the server runs waits, instead of being refused.
    listening.listen()

    def end_with_parent():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    print(json.dumps({'port': listening.getsockname()[1]}), flush=True)
    uvicorn.Server(uvicorn.Config(application, log_level='error')).run(sockets=[listening])

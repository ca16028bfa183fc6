"""One step of the benchmark for a peer in Python: `build` or `search`, described by a JSON file, its result written to
another. The Node peers do the same in `bench/measure/step.mjs`.

Usage: python step.py <request.json>
"""

import gc
import importlib
import json
import math
import os
import resource
import shutil
import sys
import time

import numpy as np


class Stopwatch:
    """Wall and CPU seconds since its making; CPU counts all threads of the process."""

    def __init__(self):
        self.cpu = time.process_time()
        self.wall = time.perf_counter()

    def read(self):
        return {"wall": time.perf_counter() - self.wall, "cpu": time.process_time() - self.cpu}


def read_unit_rows(file, dimensions):
    """The rows of a file of `f32`, scaled to length 1: the peers order unit vectors as the cosine does."""
    rows = np.fromfile(file, dtype="<f4").reshape(-1, dimensions)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def resident_bytes():
    """Memory this process has now: all of it, and (on Linux) the part no file backs."""
    gc.collect()
    sizes = {}
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "RssAnon"):
                sizes[name] = int(value.split()[0]) * 1024
    return sizes["VmRSS"], sizes["RssAnon"]


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def size_of(place):
    if os.path.isfile(place):
        return os.path.getsize(place)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(place) for name in names)


def build(peer, request):
    rows = read_unit_rows(request["base"], request["dimensions"])
    watch = Stopwatch()
    peer.build(rows, request["settings"])
    built = watch.read()
    peak = peak_bytes()
    watch = Stopwatch()
    if os.path.isdir(request["index"]):
        shutil.rmtree(request["index"])
    peer.save(request["index"])
    return {"build": built, "save": watch.read(), "diskBytes": size_of(request["index"]), "peakBytes": peak}


def search(peer, request):
    queries = read_unit_rows(request["queries"], request["dimensions"])[: request["queryCount"]]
    rows = [queries[at : at + 1] for at in range(len(queries))]
    truth = np.fromfile(request["truth"], dtype="<i4").reshape(-1, request["truthDepth"])
    before = resident_bytes()
    watch = Stopwatch()
    peer.load(request["index"], request["settings"])
    load = watch.read()
    peer.use(request["points"][0])
    watch = Stopwatch()
    peer.search(rows[0], request["k"])
    first = watch.read()
    points = []
    memory = None
    for point in request["points"]:
        peer.use(point)
        points.append(measure(peer, rows, truth, request))
        memory = memory or (resident_bytes(), peak_bytes())
    (resident, private), peak = memory
    return {
        "load": load,
        "firstQuery": first,
        "residentBytes": resident - before[0],
        "privateBytes": private - before[1],
        "peakBytes": peak,
        "points": points,
    }


def measure(peer, rows, truth, request):
    # Recall is taken from a round that is not timed and warms the caches.
    k = request["k"]
    found = sum(len(set(peer.search(row, k)[:k].tolist()) & set(nearest[:k].tolist())) for row, nearest in zip(rows, truth))
    rounds = []
    started = time.perf_counter()
    while not rounds or (len(rounds) < request["rounds"] and time.perf_counter() - started < request["seconds"]):
        rounds.append(timed_round(peer, rows, k))
    return {"recall": found / (len(rows) * k), "rounds": rounds}


def timed_round(peer, rows, k):
    times = np.empty(len(rows))
    watch = Stopwatch()
    for at, row in enumerate(rows):
        started = time.perf_counter()
        peer.search(row, k)
        times[at] = time.perf_counter() - started
    spent = watch.read()
    times.sort()
    return {**spent, **{name: float(times[max(1, math.ceil(len(times) * share)) - 1]) for name, share in (("p50", 0.5), ("p99", 0.99))}}


def main():
    with open(sys.argv[1], encoding="utf8") as file:
        request = json.load(file)
    peer = importlib.import_module(request["peer"]).Peer()
    result = {"build": build, "search": search}[request["step"]](peer, request)
    with open(request["result"], "w", encoding="utf8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()

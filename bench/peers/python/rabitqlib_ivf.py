"""IVF of rabitqlib: codes of so many `bits`, or 1 bit and the raw vectors with 32; its points are values of `nprobe`."""

import math
import os

from rabitqlib import IvfIndex, QGKMeans


class Peer:
    def build(self, rows, settings):
        count, dimensions = rows.shape
        lists = round(settings["listsPerRoot"] * math.sqrt(count))
        threads = os.cpu_count()
        # The library's own clustering, the one it recommends for many centroids.
        means = QGKMeans(dimensions, lists, num_threads=threads)
        means.train(rows)
        self.index = IvfIndex(dimensions, count, lists, settings["bits"], metric="l2")
        self.index.build(
            rows, means.centroids, means.assignments, num_threads=threads, fast_quantization=settings["fastQuantization"]
        )

    def save(self, file):
        self.index.save(file)

    def load(self, file, settings):
        self.index = IvfIndex.load(file)

    def use(self, point):
        self.nprobe = point["nprobe"]

    def search(self, row, k):
        return self.index.search(row, k, self.nprobe)[0][0]

"""HNSW over codes of rabitqlib; its points are values of `ef`."""

import os

from rabitqlib import HnswIndex, RaBitQKMeans


class Peer:
    def build(self, rows, settings):
        count, dimensions = rows.shape
        threads = os.cpu_count()
        means = RaBitQKMeans(dimensions, settings["centroids"], num_threads=threads)
        means.train(rows)
        self.index = HnswIndex(
            dimensions, count, M=settings["m"], ef_construction=settings["efConstruction"], nbits=settings["bits"]
        )
        self.index.build(rows, means.centroids, means.assignments, num_threads=threads, fast_quantization=True)

    def save(self, file):
        self.index.save(file)

    def load(self, file, settings):
        self.index = HnswIndex.load(file)

    def use(self, point):
        self.ef = point["ef"]

    def search(self, row, k):
        return self.index.search(row, k, self.ef)[0][0]

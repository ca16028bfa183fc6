"""SymphonyQG of rabitqlib, a graph whose nodes hold the codes of their neighbours; its points are values of `ef`."""

import os

from rabitqlib import SymqgIndex


class Peer:
    def build(self, rows, settings):
        self.index = SymqgIndex(rows.shape[1], settings["degree"], metric="l2", quantization_bits=settings["bits"])
        self.index.build(rows, settings["efConstruction"], num_threads=os.cpu_count())

    def save(self, file):
        self.index.save(file)

    def load(self, file, settings):
        self.index = SymqgIndex.load(file)

    def use(self, point):
        self.ef = point["ef"]

    def search(self, row, k):
        return self.index.search(row, k, self.ef)[0][0]

"""An index of faiss by its factory string, in which `{lists}` stands for the number of lists; its points are values of
`nprobe` and `refineFactor`, or of `ef`."""

import math

import faiss


class Peer:
    def build(self, rows, settings):
        count, dimensions = rows.shape
        lists = round(settings.get("listsPerRoot", 0) * math.sqrt(count))
        name = settings["factory"].format(lists=lists, dimensions=dimensions)
        self.index = faiss.index_factory(dimensions, name, faiss.METRIC_L2)
        self.index.train(rows)
        self.index.add(rows)

    def save(self, file):
        faiss.write_index(self.index, file)

    def load(self, file, settings):
        # One query on one thread, as for all.
        faiss.omp_set_num_threads(1)
        self.index = faiss.read_index(file)
        self.space = faiss.ParameterSpace()

    def use(self, point):
        names = {"nprobe": "nprobe", "refineFactor": "k_factor_rf", "ef": "efSearch"}
        for name, value in point.items():
            self.space.set_index_parameter(self.index, names[name], value)

    def search(self, row, k):
        return self.index.search(row, k)[1][0]

"""Runs the pipeline once, in this process, against a store. Writes what it did as JSON to standard output.

    python run.py STORE FOLDER_WITH_PIPELINE [--modules N]
"""

import argparse
import json
import multiprocessing
import os
import sys
import sysconfig
import time
from concurrent.futures import ProcessPoolExecutor

import afresh


def main():
    options = argparse.ArgumentParser()
    options.add_argument("store")
    options.add_argument("pipeline")
    options.add_argument("--modules", type=int)
    options = options.parse_args()

    sys.path.insert(0, options.pipeline)
    import pipeline

    library = sysconfig.get_paths()["stdlib"]
    done = {}
    workers = os.cpu_count() or 1
    # Only misses go to the worker processes. A run that finds everything starts none.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    with pool, afresh.Client(options.store) as here, afresh.Client(options.store, executor=pool) as elsewhere:
        with Step("list", here, done):
            names = here.submit(pipeline.list_modules, library, sys.version, options.modules).load()
        with Step("parse", here, done):
            facts = elsewhere.map(pipeline.parse, names, library, max_workers=2 * workers)
        with Step("measure", here, done):
            measures = here.map(pipeline.measure, facts)
        with Step("report", here, done):
            report = here.submit(pipeline.report, measures)
        json.dump(
            {
                "steps": done,
                "modules": len(names),
                "measure": measures[-1].commit_hash,
                "report": report.load(),
            },
            sys.stdout,
        )


class Step:
    """Times a step and counts the functions that really ran: each leaves a commit."""

    def __init__(self, name, client, done):
        self.name = name
        self.client = client
        self.done = done

    def __enter__(self):
        self.before = self.client.stats().commits
        self.started = time.perf_counter()

    def __exit__(self, *_):
        took = time.perf_counter() - self.started
        self.done[self.name] = {"ran": self.client.stats().commits - self.before, "seconds": took}


if __name__ == "__main__":
    main()

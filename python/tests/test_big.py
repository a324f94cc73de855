"""Results of a gigabyte: stored and loaded without being copied more than once, or not at all."""

import os

import pytest

pytest.importorskip("numpy")
resource = pytest.importorskip("resource")

SIZE = (256 if os.environ.get("AFRESH_TEST_SMALL") == "1" else 1024) << 20

SCRIPT = """
    import afresh, numpy, sys
    step, size = sys.argv[1], int(sys.argv[2])

    def memory(name):
        for line in open("/proc/self/status"):
            if line.startswith(name):
                return int(line.split()[1]) * 1024

    def private():
        # What is this process's own: mapped files can be dropped by the kernel at any time.
        return memory("RssAnon")

    @afresh.memo(store="store", version="1", mapped=step == "map")
    def big():
        return numpy.random.default_rng(1).integers(0, 256, size, dtype=numpy.uint8)

    import random, zlib  # not to be counted
    before = memory("VmRSS")
    array = big()
    peak = memory("VmHWM") - before
    print(peak, memory("VmHWM"), private(), array.nbytes, array.flags.writeable, int(array[::4096].sum()))
    if step == "map":
        try:
            array[0] = 1
        except ValueError as error:
            print(error)
    """


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_a_large_array_is_stored_and_loaded_in_little_more_than_its_size(apart):
    script = str(apart.write("big.py", SCRIPT))
    seen = {}
    for step in ("store", "load", "map"):
        out = apart.run(script, step, str(SIZE), timeout=300).stdout.splitlines()
        peak, _, own, length, writable, total = out[0].split()
        seen[step] = total
        share = int(peak) / SIZE
        anonymous = int(own) / SIZE
        print(f"MUST-HOLD peak extra memory to {step} {SIZE >> 20} MB: {share:.2f} x, {anonymous:.2f} x unmapped")
        assert int(length) == SIZE
        assert writable == ("False" if step == "map" else "True")
        # The array itself is among it, whether computed or loaded.
        assert share < 1.3
        if step == "map":
            assert int(own) < 0.3 * SIZE
            assert "read-only" in out[1]
    assert len(set(seen.values())) == 1


def test_a_large_array_of_a_client_is_the_same_bytes_as_that_of_memo(store, runs):
    import numpy

    import afresh

    def make():
        runs.mark()
        return numpy.arange(1_000_000)

    ref = afresh.Client(store).submit(make)
    assert (afresh.memo(make, store=store)() == ref.load()).all()
    mapped = afresh.memo(make, store=store, mapped=True)()
    assert not mapped.flags.writeable and mapped.ctypes.data % 64 == 0
    assert runs.count == 1

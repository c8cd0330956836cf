"""One thread a process: the tests' models are small, and threads would wait for each other."""

import os

# Before torch is imported, which reads it once; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

"""Set before anything imports torch: tests run beside other work, and two OpenMP threads on two
busy cores are many times slower than one."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

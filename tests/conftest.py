"""Set before anything imports torch: tests run beside other work, and two OpenMP threads on two
busy cores are many times slower than one."""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")

# A runner started in the background ignores Ctrl-C and hands that on to its children; the tests
# that press it need it heard.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

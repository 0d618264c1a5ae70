"""The domain: data, models, training, chat, export. Knows nothing of the page or the
job runner.

Decision: A bare process for each parent kills its children when its pipe to the parent
    closes.
Because: the system closes it on every platform, even if the parent was killed. A thread
    of the child would never run while C code holds Python's lock, and PR_SET_PDEATHSIG
    fires when the thread that started the child ends.
Proof: tests/backend/test_child_process.py; it has not run on Windows or macOS.
Reconsider when: the parent and its watchdog are killed together, as by the end of a
    container, and children live on.
"""

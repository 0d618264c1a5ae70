"""Files that survive a crash: atomic writes, JSON files, manifests.

Decision: Whatever another process may read is written to a temporary file, flushed and
    renamed.
Because: a run must survive a power cut, a full disk and a killed process.
Proof: tests/faults lets the Nth write, flush or rename fail, for every N;
    tests/backend/files/test_files.py.
Reconsider when: a file that only one process reads is slow to write.

Decision: Renames and deletions are retried for half a minute while Windows says that a
    program has a file open.
Because: virus scanners and cloud folders read every new file, and a checkpoint of some
    GB takes them seconds.
Proof: tests/backend/files/test_files.py; tests/windows_rules imitates the rules in any
    test. Never run on Windows.
Reconsider when: somebody has run it there.
"""

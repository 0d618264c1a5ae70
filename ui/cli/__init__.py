"""The command line: one file for a group of commands.

Decision: Each command takes `--json` and prints one JSON document, also for wrong
    usage.
Because: scripts and tests read it.
Proof: tests/ui/cli/test_main.py.
Reconsider when: another interface for programs replaces it.
"""

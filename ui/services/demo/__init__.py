"""Services that only a shared demo needs: its visitors and their limits.

Decision: On ZeroGPU the Space trains on its processor, as on a Space without a GPU.
Because: that GPU is only lent to calls of the page's process, of a minute and within
    each visitor's quota; the bundled model trains on the sample in minutes.
Proof: tests/ui/web/test_serve.py, with the real decorator; no real Space has run it.
Reconsider when: a demo trains a model that takes a processor too long.

Decision: A job is admitted in one step: limits are checked and the job is created under
    one lock for each visitor, while the shared queue holds its place.
Because: two clicks at once must not pass a limit of one.
Proof: tests/ui/services/demo/test_visitor_apps.py, tests/jobs/test_fair_queue.py.
Reconsider when: a demo runs on several servers.
"""

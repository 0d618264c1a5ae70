"""Services that only a shared demo needs: its visitors, their limits, and the GPU that they take turns on.

Decision: On ZeroGPU a run is trained in calls of the page's process. Only the start of an attempt differs: a thread
    requests a call, whose forked process runs the worker's code, without a dry run.
Because: no other process gets that GPU. An attempt whose time is up is queued again.
Proof: tests/ui/services/demo/test_gpu_calls.py, tests/ui/web/test_zero_gpu.py, with the real decorator and a stand-in
    for its server.
Reconsider when: a real ZeroGPU behaves otherwise; none has run it.

Decision: A job is admitted in one step: limits are checked and the job is created under one lock for each visitor,
    while the shared queue holds its place.
Because: two clicks at once must not pass a limit of one.
Proof: tests/ui/services/demo/test_visitor_apps.py, tests/jobs/test_fair_queue.py.
Reconsider when: a demo runs on several servers.
"""

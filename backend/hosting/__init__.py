"""A page that many people visit: what they may do there, and how much.

Decision: A visitor of a shared demo has services and a folder of their own, named by a
    keyed hash of our cookie or of the account. One policy says what is off; the
    services ask it, not the page.
Because: two visitors must never see each other's data, whatever URL they request.
Proof: tests/ui/web/test_isolation.py, tests/backend/hosting, and two real browsers in
    tests/browser/test_demo.py. No real Space has run it.
Reconsider when: no real Space ever runs it: then one visitor at a time is enough.
"""

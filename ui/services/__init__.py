"""What the page and the command line have in common.

Decision: Services are objects that are given what they need, and both faces use the
    same ones.
Because: what the page can do has a command (except a note about a run), and tests need
    no page.
Proof: the tests of the page (tests/ui/web) and those of the commands (tests/ui/cli) use
    the same, real services.
Reconsider when: the two faces need different services.
"""

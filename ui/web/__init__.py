"""The page: the only package that knows gradio.

Decision: A handler only queues; the page shows what the folders say. The browser asks
    for one signature of the open tab, in a route of our own beside gradio, and only
    when that has changed is the tab fetched.
Because: no training runs inside a handler, and an open page costs almost nothing.
Proof: tests/ui/web/test_page_tick.py; tests/benchmarks/page_tick.py.
Reconsider when: gradio can push updates without a connection for each page.

Decision: The browser holds what is the browser's, in sessionStorage, with a copy for
    new pages. A handler answers with the fields that change.
Because: with gr.State gradio keeps a connection open for every page, and a browser has
    six to one address. Answers that cross never overwrite each other.
Proof: tests/browser/test_store.py, test_many_pages.py, test_typing.py.
Reconsider when: gradio's state needs no open connection.

Decision: An import hook stops gradio from writing type stubs at every start.
Because: that takes 0.9 of 1.9 seconds, and gradio has no switch for it.
Proof: timed by hand; no test.
Reconsider when: gradio stops writing them, or offers a switch.

Decision: JavaScript is in static/js, one file per subject, linted; Python holds
    one-line calls.
Because: a linter reads files, not strings.
Proof: tests/static/test_scripts.py.
Reconsider when: gradio bundles a component's script itself.
"""

from ui.web import skip_type_stubs

skip_type_stubs.install()

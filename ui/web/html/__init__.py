"""HTML components. HTML is a type, `markupsafe.Markup`.

Decision: Views return `markupsafe.Markup`. Text that comes in is escaped when it is
    formatted in, not by remembering to.
Because: the page shows what strangers wrote into files.
Proof: tests/ui/web/html/test_typed_html.py finds HTML built any other way;
    tests/browser/test_injection.py plants scripts.
Reconsider when: gradio escapes what it shows.

Decision: Charts are SVG of our own, drawn on the server from at most 500 points a
    series.
Because: a plotting library is megabytes of script for one chart.
Proof: tests/ui/web/html/test_charts.py.
Reconsider when: people want to zoom.
"""

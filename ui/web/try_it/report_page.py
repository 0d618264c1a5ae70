"""The report of an evaluation as one HTML file without scripts, to send to a colleague."""

from __future__ import annotations

from markupsafe import Markup

from backend.records.evaluation import EvaluationReport
from ui.records.runs import RunInfo
from ui.text import format as fmt
from ui.web.try_it import report_card, verdict_card

_STYLE = Markup("""
body { font: 16px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem; } h3 { font-size: .85rem; color: #555; margin: 0 0 .3rem; }
article { border-top: 1px solid #ddd; padding: 1rem 0; } .asked { color: #555; }
.versus { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: .7rem; }
.versus > div { background: #f4f4f2; border-radius: 8px; padding: .6rem .8rem; overflow-wrap: anywhere; }
.versus p, dl { margin: 0; white-space: pre-wrap; } .cells > div { display: grid; grid-template-columns: 1fr 2fr; }
dd { margin: 0; } mark { background: #fbe3d6; color: inherit; }
.fault dd { color: #a02020; } .badge { font-size: .8rem; margin-left: .4rem; font-weight: 600; }
.small { color: #555; font-size: .9rem; } .only-mistakes, summary svg { display: none; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem .8rem .2rem 0; }
""")


def page(report: EvaluationReport, info: RunInfo) -> str:
    """A whole HTML document: the verdict, how it was measured, and every answer."""
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{}</title>'
        '<meta name="viewport" content="width=device-width"><style>{}</style></head>'
        "<body><h1>{}</h1><p>{}</p>{}{}</body></html>"
    ).format(
        info.name,
        _STYLE,
        info.name,
        fmt.origin(info),
        verdict_card.verdict(report),
        report_card.opened(report),
    )

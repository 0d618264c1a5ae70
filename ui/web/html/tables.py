"""Tables that can be sorted and searched, as HTML."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from ui.web.html.components import join, options


def table(
    headers: Sequence[str],
    lines: Sequence[Sequence[str]],
    caption: str,
    sortable: bool = False,
    kind: str = "",
    marks: Sequence[Mapping[str, Sequence[str]]] = (),
) -> Markup:
    """A table.

    lines: a cell for each column; a cell may start with a `sort_key`
    caption: for screen readers
    sortable: whether a click on a header sorts by its column
    kind: its CSS class, by which `finder` finds it
    marks: for each line, its data attributes
    """
    plain, unnamed = Markup('<th scope="col">{}</th>'), Markup("<td></td>")
    sorting = Markup(
        '<th scope="col"><button type="button" class="sort">{}</button></th>'
    )
    head = [
        (sorting if sortable else plain).format(name) if name else unnamed
        for name in headers
    ]
    row, data, end = Markup("<tr{}>{}</tr>"), Markup(' data-{}="{}"'), Markup("</td>")
    starts = [Markup('<td data-name="{}">').format(name) for name in headers]
    body = [
        row.format(
            join(data.format(key, " ".join(values)) for key, values in mark.items()),
            join(
                start + content + end
                for start, content in zip(starts, line, strict=True)
            ),
        )
        for mark, line in zip(marks or [{}] * len(lines), lines, strict=True)
    ]
    return Markup(
        '<div class="list-table"><table class="{}"><caption class="unseen">{}</caption>'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(kind, caption, join(head), join(body))


def sort_key(value: float) -> Markup:
    """A hidden number that a sortable column sorts by."""
    return Markup('<data value="{}"></data>').format(value)


def finder(kind: str, question: str, columns: Sequence[str]) -> Markup:
    """A search field and a list to sort by, for a table. It shows the lines that carry
    every typed word among the `words` of their marks, sorted by the chosen column
    (static/js/tables.js). columns: their names.
    """
    return Markup(
        '<div class="filters" data-for="{}"><div class="find"><label><span>{}</span><input type="search" '
        'autocomplete="off" spellcheck="false"></label>'
        '<button type="button" class="btn quiet clear" hidden>Clear the search</button>'
        '<label><span>Sort by</span><select class="order" aria-label="Sort by">{}</select></label></div>'
        '<p class="small left" role="status"></p></div>'
    ).format(
        kind,
        question,
        options([("", "Recommended first"), *((name, name) for name in columns)]),
    )

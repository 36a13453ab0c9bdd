"""The view of a comparison: what it shows of runs that have ended, fail, wait, or are hostile."""

import re

import pytest

from agy_nb.analysis.metrics.turn_cost import Cost, dollars
from agy_nb.assertions.observation import ObservedCall
from agy_nb.experiments.progress import Progress, TerminalLine
from agy_nb.experiments.results import RunResult, summary
from agy_nb.widgets.comparison import answer_cards, answers_view, comparison_text
from agy_nb.widgets.comparison.comparison_view import ComparisonView

pytestmark = pytest.mark.blocking_allowed  # a widget looks whether its style sheet was edited

HOSTILE = "<script>alert(1)</script> <img src=x onerror=y> ![a](https://example.org/x.png)"


class StoredComparison:
    """Stands in for `agy.Comparison`: results without agents."""

    def __init__(self, *runs, repeat=1):
        self.runs = runs
        self.variants = tuple(dict.fromkeys(run.variant for run in runs))
        self.problems = ()
        ran = [run for run in runs if run.status != "not run"]
        self.progress = Progress(len(runs), len(ran), 0, 0, Cost(0.02, is_lower_bound=False), 1.0)

    def summary(self):
        return summary(self.runs)


def result(variant="a", answer="It is sunny", prompt="How?", **more):
    return RunResult(
        variant, 1, 0, prompt, **{"status": "ok", "answer": answer, "tokens": 7} | more
    )


@pytest.fixture
async def show():
    views = []

    def make(*runs):
        view = ComparisonView(StoredComparison(*runs))
        views.append(view)
        view.refresh()
        return view

    yield make
    for view in views:
        view.close()


async def test_answers_are_side_by_side_with_marks(show):
    view = show(result(), result("b", "It is cold", calls=(ObservedCall("look", {"at": 1}),)))
    html = view._page.html()
    assert html.count("agy-variant-head") == 2
    assert "It is <del>sunny</del> <ins>cold</ins>" in html
    assert "<code>look(at=1)</code>" in html
    assert "7 tokens" in html


async def test_marks_can_be_turned_off(show):
    view = show(result(answer="*a* b"), result("b", "*a* c"))
    view._on_act("differences", "")
    html = view._page.html()
    assert "<ins>" not in html
    assert "<em>a</em>" in html
    assert 'aria-pressed="false"' in html


async def test_nothing_of_a_model_is_html(show):
    hostile = {
        "prompt": HOSTILE,
        "error": HOSTILE,
        "calls": (ObservedCall(HOSTILE, {HOSTILE: HOSTILE}, status=HOSTILE),),
    }
    runs = [result("a" + HOSTILE, HOSTILE, **hostile), result("b", f"{HOSTILE} more", **hostile)]
    view = show(*runs)
    for _ in range(2):  # with marks, and as Markdown
        assert not re.search(r"<(?:script|img)", view._page.html() + view._static().html)
        view._on_act("differences", "")
    markdown = comparison_text.markdown(view._comparison.progress, [runs])
    outside = re.sub(r"^(`{3,})\n.*?\n\1$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"<(?:script|img)|(?<!\\)!\[", outside)


async def test_runs_that_failed_or_wait_say_why(show):
    view = show(
        result(status="error", error="BackendError: no", answer="so far"),
        RunResult("b", 1, 0, "How?", error="the limit is reached"),
    )
    html = view._page.html()
    assert "so far" in html
    assert '<p class="agy-error">BackendError: no</p>' in html
    assert "Not run: the limit is reached" in html
    assert 'value="1"' in html
    assert "<progress" in html


async def test_long_answers_are_folded_and_rows_limited(show, monkeypatch):
    monkeypatch.setattr(answers_view, "MOST_ROWS", 2)
    view = show(*[result(answer="word " * 500, prompt=f"p{n}") for n in range(5)])
    html = view._page.html()
    assert html.count('<details class="agy-long">') == 2
    assert "500 words" in html
    assert "3 more rows of answers" in html
    assert "Mark differences" not in html  # of one variant


async def test_the_notebook_keeps_html_markdown_and_text(show):
    bundle = show(result(), result("b", "It is cold"))._static().bundle()
    assert set(bundle) == {"text/html", "text/markdown", "text/plain"}
    assert "data-agy-act" not in bundle["text/html"]
    assert "**b**" in bundle["text/markdown"]
    assert "b: It is cold" in bundle["text/plain"]


def test_the_progress_is_one_line():
    cost = Cost(0.02, is_lower_bound=False)
    assert Progress(12, 5, 0, 0, cost, 1.0).text == "5 of 12 runs, $0.02 of $1.00"
    low = Progress(12, 5, 2, 1, Cost(0.02, is_lower_bound=True), None)
    assert low.text == "5 of 12 runs, at least $0.02, 1 failed, 2 running"
    unknown = Progress(2, 1, 0, 0, Cost(None, is_lower_bound=True), None)
    assert unknown.text == "1 of 2 runs, cost unknown"
    assert Progress(2, 0, 0, 0, Cost(None, is_lower_bound=False), None).text == "0 of 2 runs"
    assert dollars(0) == "$0.00"


def test_a_terminal_shows_one_line(capsys, monkeypatch):
    line, cost = TerminalLine(), Cost(None, is_lower_bound=False)
    line.show(Progress(2, 0, 1, 0, cost, None))
    line.end()
    assert capsys.readouterr().err == ""  # a file
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    line.show(Progress(2, 0, 1, 0, cost, None))
    line.show(Progress(2, 2, 0, 0, cost, None))
    line.end()
    assert capsys.readouterr().err == "\r0 of 2 runs, 1 running\r2 of 2 runs           \n"


def test_the_bar_is_gone_at_the_end():
    cost = Cost(0.5, is_lower_bound=False)
    stopped = Progress(4, 2, 0, 0, cost, 0.5, stopped="the limit <is> reached")
    html = answer_cards.progress_bar(stopped, ["cannot write"])
    assert "<progress" not in html
    assert "the limit &lt;is&gt; reached" in html
    assert "cannot write" in html

"""The matrix of docs/front_ends.md: which test has seen what work in which front end.

Run `python -m tests.docs.generated.front_ends` to write it into the page.
"""

from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "front_ends.md"
BEGIN, END = (
    "<!-- matrix: python -m tests.docs.generated.front_ends -->",
    "<!-- end of the matrix -->",
)

FEATURES = ("stream", "static", "approve", "question", "stop", "panel", "usage", "browse")
NO_STDIN = "widgets/in_kernel/test_without_input.py"
LAB = "widgets/in_lab"
KEPT = "test_notebook_without_its_kernel_has_all_that_was_there"
SERVERS = "widgets/in_servers/test_servers.py"
TERMINALS = "widgets/in_servers/test_terminals.py"
VSCODE = "widgets/in_servers/test_vscode.py"
QTCONSOLE = "widgets/in_servers/test_qtconsole.py"
TEXT = "test_terminal_streams_asks_and_prints_pages"


def _server(test: str, *more: str) -> dict[str, str]:
    shown = ("stream", "approve", "question", "stop", "panel", "usage", *more)
    return dict.fromkeys(shown, f"{SERVERS}::{test}")


def _vscode() -> dict[str, str]:
    shown = ("stream", "approve", "question", "stop", "panel", "usage", "browse")
    return dict.fromkeys(shown, f"{VSCODE}::test_vscodes_manager_shows_streams_and_asks")


def _terminal() -> dict[str, str]:
    shown = ("stream", "static", "approve", "panel", "usage", "browse")
    return dict.fromkeys(shown, f"{TERMINALS}::{TEXT}") | {
        "question": f"{TERMINALS}::test_terminal_asks_the_models_question",
        "stop": f"{TERMINALS}::test_ctrl_c_stops_the_turn",
    }


SEEN: dict[str, dict[str, str]] = {
    "JupyterLab 4": {
        "stream": f"{LAB}/test_turns.py::test_turn_streams_into_the_cell_and_stays_as_html",
        "static": f"{LAB}/test_lifetimes.py::{KEPT}",
        "approve": f"{LAB}/test_turns.py::test_click_allows",
        "question": f"{LAB}/test_turns.py::test_question_is_answered_with_a_choice",
        "stop": f"{LAB}/test_pages.py::test_two_agents_answer_at_once_and_one_is_stopped",
        "panel": f"{LAB}/test_panels.py::test_two_chats_at_once_show_the_same",
        "usage": f"{LAB}/test_pages.py::test_usage_is_sorted_grouped_and_charted",
        "browse": f"{LAB}/test_pages.py::test_recordings_are_listed_opened_and_played",
    },
    "Notebook 7": {
        "stream": f"{LAB}/test_notebook7.py::test_turn_streams_and_is_stopped",
        "static": f"{LAB}/test_notebook7.py::{KEPT}",
        "approve": f"{LAB}/test_notebook7.py::test_click_allows",
        "stop": f"{LAB}/test_notebook7.py::test_turn_streams_and_is_stopped",
        "question": f"{LAB}/test_notebook7.py::test_question_is_answered_in_the_panel",
        "panel": f"{LAB}/test_notebook7.py::test_chat_panel_answers",
        "usage": f"{LAB}/test_notebook7.py::test_usage_is_grouped_by_turn",
        "browse": f"{LAB}/test_notebook7.py::test_recording_is_opened",
    },
    "marimo": _server("test_marimo_shows_streams_and_asks", "browse"),
    "Voila": _server("test_voila_shows_streams_and_asks", "browse"),
    "Panel": _server("test_panel_shows_streams_and_asks", "browse"),
    "Solara": _server("test_solara_shows_streams_and_asks", "browse"),
    "IPython terminal": _terminal(),
    "`jupyter console`": _terminal(),
    "`python -m asyncio`": _terminal(),
    "qtconsole": dict.fromkeys(
        FEATURES, f"{QTCONSOLE}::test_qtconsole_streams_asks_and_prints_pages"
    ),
    "papermill": {
        "static": f"{NO_STDIN}::test_papermill_leaves_html_and_no_widget",
        "panel": f"{NO_STDIN}::test_chat_panel_has_the_turns_before_and_after_it",
        "usage": f"{NO_STDIN}::test_usage_is_complete_before_its_cell_ends_and_stays_so",
        "browse": f"{NO_STDIN}::test_recordings_are_listed_before_their_cell_ends",
    },
    "nbconvert": dict.fromkeys(
        ("static", "panel", "usage", "browse"), f"{NO_STDIN}::test_nbconvert_has_every_view"
    ),
    "VS Code (widget manager)": _vscode(),
    "Colab": {},
}

DENIES = {"papermill": ("approve", "question"), "nbconvert": ("approve", "question")}
"""Where no one can be asked."""

IMPOSSIBLE = {
    "papermill": ("stream", "stop"),
    "nbconvert": ("stream", "stop"),
    "Voila": ("static",),
    "Panel": ("static",),
    "Solara": ("static",),
}
"""Without a live page, nothing streams and nothing can be stopped. Apps save no page."""


def matrix() -> str:
    """The table and the tests of each cell, as Markdown."""
    lines = [f"| front end | {' | '.join(FEATURES)} |", "| --- " * (len(FEATURES) + 1) + "|"]
    for name, seen in SEEN.items():
        lines.append(f"| {name} | {' | '.join(_cell(name, seen, each) for each in FEATURES)} |")
    lines += ["", "The tests behind the table:", ""]
    for name, seen in SEEN.items():
        tests = sorted(set(seen.values()))
        lines += [f"- {name}: {', '.join(f'`{test}`' for test in tests)}"] if tests else []
    return "\n".join(lines)


def _cell(name: str, seen: dict[str, str], feature: str) -> str:
    if feature in seen:
        return "tested"
    if feature in DENIES.get(name, ()):
        return "denied"
    return "-" if feature in IMPOSSIBLE.get(name, ()) else "not run"


def written(page: str) -> str:
    """The page with the matrix."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{matrix()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

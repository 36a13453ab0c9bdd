"""A workbook that Excel opens as it is, and a page that a manager can read."""

from __future__ import annotations

import datetime as dt
import html
import re

import openpyxl
import pytest

import agy_nb as agy
from agy_nb.analysis import Prices
from agy_nb.analysis.export.excel import CELL
from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError
from tests.analysis.conftest import START, Wire, save, two_calls

OWN = Prices(
    own={"gemini-2.5-flash": (1.0, 0.1, 10.0), "<script>alert(1)</script>": (2.0, 2.0, 2.0)}
)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def sessions(tmp_path):
    save(tmp_path / "runs" / "plain", two_calls())
    wire = Wire(start=START + 86_400).begin(model=HOSTILE).prompt().usage(prompt=1_000_000)
    wire.tool("1", name='=HYPERLINK("http://x")', error="<img src=x onerror=alert(1)>")
    save(tmp_path / "runs" / "=1+2", wire.idle().end())
    return agy.load(tmp_path / "runs", prices=OWN, cache=False)


@pytest.fixture
def book(sessions, tmp_path):
    sessions.to_excel(tmp_path / "book.xlsx")
    return openpyxl.load_workbook(tmp_path / "book.xlsx")


def column(sheet, name):
    [place] = [cell.column for cell in sheet[1] if cell.value == name]
    return [row[place - 1] for row in sheet.iter_rows(min_row=2)]


def test_csv_wants_a_folder(tmp_path):
    sessions = agy.load(save(tmp_path / "c", two_calls()), prices=None)
    with pytest.raises(
        InvalidInputError, match=r"looks like a file.*turns\.to_csv\('usage\.csv'\)"
    ):
        sessions.to_csv(tmp_path / "usage.csv")
    sessions.to_csv(tmp_path / "out")
    assert sorted(each.stem for each in (tmp_path / "out").iterdir()) == sorted(TABLES)


def test_each_table_with_rows_is_a_sheet(book, sessions):
    filled = [name for name in TABLES if len(sessions.frame(name))]
    assert book.sheetnames == filled
    for name in filled:
        assert book[name].max_row == len(sessions.frame(name)) + 1


def test_times_are_utc_without_a_zone_and_durations_are_seconds(book, sessions):
    [first, *_] = column(book["turns"], "started_at_utc")
    expected = sessions.turns["started_at"].iloc[0].to_pydatetime().replace(tzinfo=None)
    assert abs(first.value - expected) < dt.timedelta(milliseconds=1)
    seconds = [cell.value for cell in column(book["turns"], "duration_s")]
    assert seconds == pytest.approx(sessions.turns["duration"].dt.total_seconds().tolist())


def test_texts_are_no_formulas(book):
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]
    assert "=1+2" in [cell.value for cell in column(book["sessions"], "session_name")]


def test_long_texts_are_cut_and_control_characters_replaced(tmp_path):
    text = "\x00" + "\U0001f600" * CELL
    wire = Wire().begin().prompt(text).usage(prompt=5).idle().end()
    wire.step(0, source="USER", target="MODEL", text=text)
    sessions = agy.load(save(tmp_path / "c", wire), text=True, cache=False)
    assert sessions.messages["text"].str.len().max() > CELL
    sessions.to_excel(tmp_path / "book.xlsx")
    texts = [
        cell.value
        for cell in column(openpyxl.load_workbook(tmp_path / "book.xlsx")["messages"], "text")
    ]
    longest = max(texts, key=len)
    assert len(longest.encode("utf-16-le")) // 2 <= CELL
    assert longest.startswith("\ufffd\U0001f600")
    assert longest.endswith("(cut)")


def test_no_sessions_are_a_workbook_too(tmp_path):
    (tmp_path / "none").mkdir()
    agy.load(tmp_path / "none").to_excel(tmp_path / "book.xlsx")
    assert openpyxl.load_workbook(tmp_path / "book.xlsx").sheetnames == ["sessions", "problems"]


def test_another_kind_of_file_is_refused(sessions, tmp_path):
    with pytest.raises(InvalidInputError, match=r"ends in \.xlsx"):
        sessions.to_excel(tmp_path / "book.xls")


def test_report_has_totals_costs_outliers_tools_and_failures(sessions, tmp_path):
    sessions.to_report(tmp_path / "r.html", title="November", tz="UTC")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h[12]>(.*?)</h[12]>", page)
    assert headings == [
        "November",
        "Totals",
        "Cost over time by model",
        "Most expensive turns",
        "Slowest tools",
        "Failures",
    ]
    total = sessions.usage(())["cost_usd"].iloc[0]
    assert f"<dd>${total:,.2f}</dd>" in page
    assert "<td>add</td>" in page
    assert len(re.findall("<rect x=", page)) == 2  # one day and one model each


def test_report_needs_no_network_and_no_script_and_escapes_all_texts(sessions):
    from agy_nb.analysis.export.report import report

    page = report(sessions, title="<b>&", tz="UTC")
    assert "<title>&lt;b&gt;&amp;</title>" in page
    assert html.escape(HOSTILE) in page
    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(
        r"(src|href)=|url\(|@import|https?:", html.unescape(re.sub(r"<td.*?</td>", "", page))
    )


def test_report_of_nothing_says_so(tmp_path):
    (tmp_path / "none").mkdir()
    agy.load(tmp_path / "none").to_report(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    for words in ("No model call has a price", "No tool was called", "No errors"):
        assert words in page


def test_notebooks_show_totals_and_the_sessions_with_the_highest_cost(tmp_path):
    for number, name in enumerate(["<b>one<_b>", *"bcdefg"]):
        wire = Wire().begin().prompt().usage(prompt=1_000 * (number + 1), answer=10).idle().end()
        save(tmp_path / name, wire)
    shown = agy.load(tmp_path, cache=False)._repr_html_()
    assert "7 sessions · 7 turns · 7 model calls · 28,070 tokens · cost $" in shown
    assert shown.count("<tr>") == 1 + 5
    assert "2 more sessions" in shown
    assert ">7,010<" in shown
    only = agy.load(tmp_path / "<b>one<_b>", cache=False)._repr_html_()
    assert "&lt;b&gt;one" in only


def test_notebooks_show_tables_without_a_session(tmp_path):
    shown = agy.load(tmp_path, cache=False)._repr_html_()
    assert "0 sessions · 0 turns · 0 model calls · n/a tokens · cost n/a · 1 problem" in shown


def test_notebooks_show_a_lower_bound(tmp_path):
    wire = Wire().begin(model="no-such-model").prompt().usage(prompt=500)
    wire.step(2, text="Well", state="ACTIVE").add("client", {"haltRequest": True}).idle().end()
    shown = agy.load(save(tmp_path / "c", wire), cache=False)._repr_html_()
    assert "≥ 500 tokens · cost n/a" in shown

from __future__ import annotations

from pathlib import Path

import pytest

from agy_nb.analysis.builders.dataframes import dtype, empty, frame
from agy_nb.analysis.loading import load
from agy_nb.analysis.metrics.usage_columns import USAGE, USAGE_KEYS
from agy_nb.analysis.reference import markdown
from agy_nb.analysis.schema import DTYPES, TABLES
from tests.analysis.conftest import save, two_calls


@pytest.mark.parametrize("name", TABLES)
def test_every_column_says_what_it_is(name):
    table = TABLES[name]
    assert len(set(table.names)) == len(table.names)
    assert set(table.key) <= set(table.names)
    assert table.names[0] == "session_id"
    for column in table.columns:
        assert column.meaning
        assert column.kind in DTYPES
        assert (column.kind == "category") == bool(column.words)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.slow
def test_empty_table_has_the_types_of_a_full_one(name, tmp_path):
    full = load(save(tmp_path / "c", two_calls()), chunks=True, text=True).frame(name)
    assert list(empty(name).dtypes) == list(full.dtypes)
    assert list(full.dtypes) == [dtype(column) for column in TABLES[name].columns]
    assert list(full.columns) == list(TABLES[name].names)


@pytest.mark.parametrize("name", TABLES)
def test_row_of_unknowns_has_the_types_too(name):
    table = TABLES[name]
    unknown = frame(table, {column: [None] for column in table.names})
    assert list(unknown.dtypes) == list(empty(name).dtypes)
    assert unknown.isna().all(axis=None)


@pytest.mark.parametrize("by", USAGE_KEYS)
@pytest.mark.slow
def test_usage_of_nothing_has_the_types_of_usage(by, tmp_path):
    (tmp_path / "none").mkdir()
    full = load(save(tmp_path / "c", two_calls())).usage(by)
    nothing = load(tmp_path / "none").usage(by)
    assert len(nothing) == 0
    assert list(nothing.dtypes) == list(full.dtypes)
    if by != "tool":
        assert list(full.columns) == [column.name for column in (*USAGE_KEYS[by], *USAGE)]


def test_no_cell_holds_a_container(recording):
    sessions = load(recording, chunks=True, text=True)
    for name in TABLES:
        table = sessions.frame(name).astype(object)
        assert not table.map(lambda cell: isinstance(cell, dict | list | tuple)).any(axis=None)


def test_page_of_the_documentation_is_that_of_the_schema():
    page = Path(__file__).parents[2] / "docs" / "tables.md"
    told = "python -m agy_nb.analysis.reference > docs/tables.md"
    assert page.read_text(encoding="utf-8") == markdown(), f"write it anew: {told}"

"""The report of cassettes that no test uses."""

import os

import pytest

from agy_nb.cassette.storage.ownership import new_folder

MODULE = """
import pytest

@pytest.mark.skip(reason="a skipped test uses its cassette too")
@pytest.mark.agy_cassette
def test_one(): pass

@pytest.mark.skip
@pytest.mark.agy_cassette("named")
def test_two(): pass

def test_three(): pass
"""


@pytest.fixture
def tests(suite, lay):
    """Two folders, two modules in the first, all cassettes in use."""
    suite.makepyfile(**{"a/test_a": MODULE, "a/test_b": MODULE, "b/test_c": MODULE})
    for place in ("a/cassettes/test_a", "a/cassettes/test_b", "b/cassettes/test_c"):
        lay(f"{place}/test_one", f"{place}/named")


def unused(result):
    """The cassettes of the report."""
    lines = result.outlines
    starts = [n for n, line in enumerate(lines) if " unused cassettes " in line]
    if not starts:
        return []
    (start,) = starts
    end = next(n for n, line in enumerate(lines) if n > start and "used by no test" in line)
    return lines[start + 1 : end]


def test_cassettes_in_use_are_not_reported(tests, run):
    assert unused(run()) == []


def test_cassette_without_a_test_is_reported(tests, run, lay):
    lay("a/cassettes/test_a/test_gone", "a/cassettes/deep/er/gone")
    result = run()
    assert unused(result) == ["a/cassettes/deep/er/gone", "a/cassettes/test_a/test_gone"]
    result.stdout.fnmatch_lines(["2 cassettes are used by no test. *"])
    assert result.ret == 0


def test_cassettes_of_a_module_that_is_gone_are_reported(tests, run, suite):
    (suite.path / "a/test_b.py").unlink()
    assert unused(run()) == ["a/cassettes/test_b/named", "a/cassettes/test_b/test_one"]


@pytest.mark.parametrize("how", ["option", "setting"])
def test_unused_cassettes_can_fail_the_run(tests, run, lay, how):
    asked = ["--agy-unused=fail"] if how == "option" else ["-o", "agy_unused=fail"]
    assert run(*asked).ret == 0
    lay("a/cassettes/test_a/test_gone")
    result = run(*asked)
    assert unused(result) == ["a/cassettes/test_a/test_gone"]
    assert result.ret == 1


def test_report_can_be_switched_off(tests, run, lay):
    lay("a/cassettes/test_a/test_gone")
    assert unused(run("--agy-unused=off")) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a"], ["a/cassettes/gone/x", "a/cassettes/test_a/x", "a/cassettes/test_b/x"]),
        (["a/test_a.py"], ["a/cassettes/test_a/x"]),
        (["a/test_a.py", "b"], ["a/cassettes/test_a/x", "b/cassettes/test_c/x"]),
        (["a/test_a.py::test_three"], []),
        (["-k", "three"], []),
        (["-k", "not test_a.py", "a"], ["a/cassettes/test_b/x"]),
        (["--deselect", "a/test_a.py::test_three", "a"], ["a/cassettes/test_b/x"]),
        (["--ignore", "a/test_b.py", "a"], ["a/cassettes/test_a/x"]),
        (["--lf"], []),
        (["--collect-only"], []),
    ],
)
@pytest.mark.slow
def test_only_what_was_looked_at_wholly_is_reported(tests, run, lay, arguments, expected):
    lay(
        "a/cassettes/test_a/x", "a/cassettes/test_b/x", "b/cassettes/test_c/x", "a/cassettes/gone/x"
    )
    assert unused(run(*arguments)) == expected


def test_module_that_cannot_be_collected_has_no_unused_cassettes(tests, run, suite):
    suite.makepyfile(**{"a/test_b": "import nothing_of_that_name"})
    assert unused(run("--continue-on-collection-errors")) == []


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ("import nothing_of_that_name", ["--continue-on-collection-errors"]),
        ("import pytest\npytest.importorskip('nothing_of_that_name')", []),
        ("import pytest\npytest.skip('not now', allow_module_level=True)", []),
        ("", ["--ignore", "a/test_b.py"]),
        ("", ["--ignore-glob", "*_b.py"]),
        pytest.param("", ["-n", "2", "--ignore", "a/test_b.py"], marks=pytest.mark.slow),
    ],
)
def test_cassette_of_modules_that_were_not_read_may_be_theirs(
    tests, run, lay, suite, source, arguments
):
    lay("a/cassettes/shared/weather", "a/cassettes/test_a/gone")
    if source:
        suite.makepyfile(**{"a/test_b": source})
    assert unused(run(*arguments)) == ["a/cassettes/test_a/gone"]


def test_last_failed_run_reports_nothing(suite, run, lay):
    test = "@pytest.mark.agy_cassette\ndef test_it(): assert {}"
    for name in ("one", "two"):
        suite.makepyfile(**{f"a/test_{name}": f"import pytest\n{test.format(name == 'one')}"})
    lay("a/cassettes/shared/weather")
    with_cache = ("-p", "cacheprovider")
    run(*with_cache, "--agy-unused=off").assert_outcomes(passed=1, failed=1)
    only_the_failed_one = run(*with_cache, "--lf")
    only_the_failed_one.assert_outcomes(failed=1)
    assert unused(only_the_failed_one) == []
    assert unused(run(*with_cache)) == ["a/cassettes/shared/weather"]


@pytest.mark.parametrize("arguments", [[], pytest.param(["-n", "2"], marks=pytest.mark.slow)])
def test_names_with_stray_bytes_are_reported(suite, run, lay, arguments):
    suite.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.skip
        @pytest.mark.agy_cassette("stray\\udcff")
        def test_it(): pass
        """
    )
    lay(os.fsdecode(b"cassettes/test_it/stray\xff"), os.fsdecode(b"cassettes/test_it/gone\xff"))
    (found,) = unused(run(*arguments))
    assert found.startswith("cassettes/test_it/gone")


def test_run_that_stops_early_reports_what_it_collected(tests, run, lay, suite):
    lay("a/cassettes/test_a/x")
    suite.makepyfile(**{"a/test_0": "def test_fails(): assert False"})
    assert unused(run("-x")) == ["a/cassettes/test_a/x"]


def test_leftovers_of_recordings_are_not_reported(tests, run, suite):
    named = suite.path / "a/cassettes/test_a/named"
    folder = new_folder(named)
    for file in named.iterdir():
        file.rename(folder / file.name)
    named.rmdir()
    assert unused(run()) == []


def test_cassettes_beside_tests_without_our_marker_are_not_ours(suite, run, lay):
    suite.makepyfile(**{"a/test_a": "def test_one(): pass"})
    lay("a/cassettes/weather", "a/cassettes/test_a/test_one")
    assert unused(run()) == []


def test_directory_of_all_cassettes_is_looked_at_too(tests, run, lay):
    lay("kept/a/test_a/test_one", "kept/a/test_a/gone", "kept/a/gone/x", "kept/b/test_c/named")
    lay("kept/elsewhere/x")
    found = unused(run("--agy-cassette-dir=kept"))
    assert found == ["kept/a/gone/x", "kept/a/test_a/gone"]

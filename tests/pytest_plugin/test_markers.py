"""Where a test's cassette lies, and in which mode it is used."""

import pytest

pytestmark = [
    pytest.mark.real,  # opening a cassette loads the SDK
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

MISSING = "there is no cassette at {}/{}"
STARTS_AN_AGENT = """
import pytest

@pytest.fixture(autouse=True)
def started(agy_agent): pass
"""


def missing(result, suite):
    """The cassettes that were not found, as paths from the suite's folder."""
    start = MISSING.format(suite.path, "")
    lines = [line.removeprefix("E").strip() for line in result.outlines]
    return [line.removeprefix(start).partition(";")[0] for line in lines if line.startswith(start)]


@pytest.fixture
def asked_for(suite, run):
    """The cassettes that the tests of a module want."""

    def asked_for(source, *arguments, name="tests/test_a"):
        suite.makepyfile(**{name: f"import pytest\n{source}"})
        return missing(run("--agy-record-mode=none", *arguments), suite)

    (suite.path / "tests").mkdir()
    suite.makeconftest(STARTS_AN_AGENT)
    return asked_for


def test_cassette_is_named_after_the_test(asked_for):
    source = """
@pytest.mark.agy_cassette
def test_one(): pass

@pytest.mark.agy_cassette
class TestGroup:
    def test_two(self): pass

    class TestInner:
        def test_three(self): pass
"""
    assert asked_for(source) == [
        "tests/cassettes/test_a/test_one",
        "tests/cassettes/test_a/TestGroup.test_two",
        "tests/cassettes/test_a/TestGroup.TestInner.test_three",
    ]


def test_parametrised_names_are_safe_and_stay_apart(asked_for):
    source = """
@pytest.mark.agy_cassette
@pytest.mark.parametrize("value", ["Rome", "a/b", "a?b", "../..", "x" * 300, "x" * 301])
def test_one(value): pass
"""
    found = asked_for(source)
    assert found[0] == "tests/cassettes/test_a/test_one[Rome]"
    assert len(set(found)) == 6
    assert {name.count("/") for name in found} == {3}
    assert max(len(name.rpartition("/")[2]) for name in found) <= 200


def test_names_that_differ_by_case_stay_apart_on_every_file_system(asked_for):
    source = """
pytestmark = pytest.mark.agy_cassette

@pytest.mark.parametrize("city", ["Rome", "rome", "Oslo"])
def test_one(city): pass

def test_two(): pass
def test_Two(): pass

class TestA:
    def test_three(self): pass

class Testa:
    def test_three(self): pass
"""
    found = asked_for(source)
    assert len({name.lower() for name in found}) == 7
    assert "tests/cassettes/test_a/test_one[Oslo]" in found
    # A run of one test uses the same name.
    assert asked_for(source, "tests/test_a.py::test_one[Rome]") == [found[0]]


def test_repeated_test_has_one_cassette(asked_for):
    """The ids of pytest-repeat and pytest-flakefinder, as these plugins make them."""
    source = """
def pytest_generate_tests(metafunc):
    name, values, ids = {
        "test_one": ("__pytest_repeat_step_number", range(2), lambda i: f"{i + 1}-2"),
        "test_two": ("__flakefinder_test_two", [0, 1], None),
    }[metafunc.function.__name__]
    metafunc.fixturenames.append(name)
    metafunc.parametrize(name, values, ids=ids)

@pytest.mark.agy_cassette
@pytest.mark.parametrize("value", ["a", "1-2"])
def test_one(value): pass

@pytest.mark.agy_cassette
def test_two(): pass
"""
    folder = "tests/cassettes/test_a"
    names = ["test_one[a]"] * 2 + ["test_one[1-2]"] * 2 + ["test_two"] * 2
    assert sorted(asked_for(source)) == sorted(f"{folder}/{name}" for name in names)


def test_marker_of_the_module_holds_for_every_test(asked_for):
    source = """
pytestmark = pytest.mark.agy_cassette

def test_one(): pass
def test_two(): pass
"""
    assert asked_for(source) == [
        "tests/cassettes/test_a/test_one",
        "tests/cassettes/test_a/test_two",
    ]


def test_nearer_marker_wins_argument_by_argument(asked_for):
    source = """
pytestmark = pytest.mark.agy_cassette("of_the_module")

def test_one(): pass

@pytest.mark.agy_cassette(speed=1)
def test_two(): pass

@pytest.mark.agy_cassette(name=None)
def test_three(): pass

@pytest.mark.agy_cassette("own")
def test_four(): pass
"""
    folder = "tests/cassettes/test_a"
    names = ["of_the_module", "of_the_module", "test_three", "own"]
    assert asked_for(source) == [f"{folder}/{name}" for name in names]


def test_name_with_a_folder_is_for_the_modules_beside_each_other(asked_for):
    source = '@pytest.mark.agy_cassette("shared/weather")\ndef test_one(): pass'
    assert asked_for(source) == ["tests/cassettes/shared/weather"]


def test_absolute_name_stays(asked_for, suite):
    path = suite.path / "elsewhere" / "weather"
    source = f"@pytest.mark.agy_cassette({str(path)!r})\ndef test_one(): pass"
    assert asked_for(source) == ["elsewhere/weather"]


@pytest.mark.parametrize(
    "arguments", [("--agy-cassette-dir=kept",), ("-o", "agy_cassette_dir=kept")]
)
def test_directory_of_all_cassettes_mirrors_the_tests(asked_for, arguments):
    source = "@pytest.mark.agy_cassette\ndef test_one(): pass"
    assert asked_for(source, *arguments) == ["kept/tests/test_a/test_one"]


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("'..'", "*named '..', which leads out of *"),
        ("'../a'", "*named '../a', which leads out of *"),
        ("''", "*is named ''; use text such as*"),
        ("3", "*is named 3; use text such as*"),
        ("'x' * 300", "*is 300 bytes long*"),
        ("'a', name='b'", "*gives name twice*"),
        ("path='a'", "*takes `name`, not `path`*"),
        ("'a', 'wire', None, 4", "*4 positional arguments*"),
        ("colour='red'", "*unexpected keyword argument 'colour'*use_cassette*"),
        ("seam='radio'", "*seam must be one of wire, model, got 'radio'*"),
        ("ignore='config.models'", "*ignore must be a list, got 'config.models'; write ignore=*"),
        ("match_on='prompt'", "*match_on must be a list, got 'prompt'; write match_on=*'prompt'*"),
        (
            "redact=[7]",
            "*redact must be a list of *, JSON paths or functions, got 7*",
        ),
        ("record_mode='sometimes'", "*record_mode must be one of once, none, *"),
    ],
)
def test_marker_that_cannot_be_read_is_a_failure_in_words(suite, run, marker, said):
    suite.makepyfile(f"import pytest\n@pytest.mark.agy_cassette({marker})\ndef test_one(): pass")
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said])
    assert "Traceback" not in result.stdout.str()


def test_marker_that_an_agent_finds_wrong_is_said_without_frames_of_libraries(suite, run):
    suite.makepyfile(
        "import pytest\n@pytest.mark.agy_cassette(ignore='a.b')\ndef test_one(agy_agent): pass"
    )
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["ignore must be a list, got 'a.b'; write ignore=*"])
    result.stdout.no_fnmatch_line("*site-packages*")


CI = "CI is set: cassettes are only replayed. *"


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_in_ci_a_missing_cassette_fails_with_the_command_to_type(suite, run, monkeypatch, value):
    monkeypatch.setenv("CI", value)
    suite.makepyfile(
        **{"tests/test_a": "import pytest\n@pytest.mark.agy_cassette\n"
           "@pytest.mark.parametrize('city', ['New York'])\ndef test_one(agy_agent, city): pass"}
    )  # fmt: skip
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [CI, "*pytest 'tests/test_a.py::test_one?New York?' --agy-record-mode=once"]
    )


def test_in_ci_a_test_that_starts_no_agent_needs_no_cassette(suite, run, monkeypatch):
    suite.makepyfile("import pytest\npytestmark = pytest.mark.agy_cassette\ndef test_one(): pass")
    run().assert_outcomes(passed=1)
    monkeypatch.setenv("CI", "1")
    run().assert_outcomes(passed=1)


def test_command_to_type_is_as_one_types_it_where_one_is(suite, run, monkeypatch):
    monkeypatch.setenv("CI", "1")
    suite.makepyfile(
        **{"tests/test_a": "import pytest\n@pytest.mark.agy_cassette\ndef test_a(agy_agent): 0"}
    )
    monkeypatch.chdir(suite.path / "tests")
    run().stdout.fnmatch_lines(["*pytest test_a.py::test_a --agy-record-mode=once"])


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_ci_can_be_said_to_be_none(suite, run, monkeypatch, value):
    monkeypatch.setenv("CI", value)
    suite.makepyfile("import pytest\n@pytest.mark.agy_cassette\ndef test_one(): pass")
    run().assert_outcomes(passed=1)  # records: there is nothing to record


AGENT = """
import pytest

@pytest.mark.agy_cassette({marker})
def test_one(agy_agent):
    pass
"""


@pytest.mark.parametrize(
    ("marker", "ini", "arguments", "records"),
    [
        ("", "", (), False),
        ("", "", ("--agy-record-mode=once",), True),
        ("", "once", (), True),
        ("record_mode='once'", "", (), True),
        ("record_mode='once'", "none", (), True),
        ("record_mode='once'", "", ("--agy-record-mode=none",), False),
        ("", "once", ("--agy-record-mode=none",), False),
    ],
)
def test_command_line_beats_the_marker_the_marker_the_ini_file_and_all_beat_ci(
    suite, run, cassettes, monkeypatch, marker, ini, arguments, records
):
    monkeypatch.setenv("CI", "1")
    suite.makepyfile(test_a=AGENT.format(marker=marker))
    setting = ("-o", f"agy_record_mode={ini}") if ini else ()
    run(*setting, *arguments)
    assert cassettes() == (["cassettes/test_a/test_one"] if records else [])


@pytest.mark.parametrize("setting", ["agy_record_mode=often", "agy_unused=shout"])
def test_wrong_setting_is_a_usage_error(suite, run, setting):
    result = run("-o", setting)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {setting.partition('=')[0]} must be one of *"])


def test_header_tells_what_was_asked_for(suite, run):
    result = run("--agy-record-mode=none", "--agy-block-network")
    result.stdout.fnmatch_lines(["agy_nb: record mode none, network blocked"])
    assert "agy_nb: " not in run().stdout.str()

"""`agy.load_env`: variables from a `.env` file, without overriding and without showing values."""

import os

import pytest

import agy_nb as agy
from agy_nb.cassette import use_cassette
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.known import environment_values as known_variables
from agy_nb.testing import ScriptedModel, call, say

PASSWORD = "Tr0ub4dor&3zzX9"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Give each test its own variables, and its own values that redaction knows."""
    monkeypatch.setattr(known_variables, "_values", set())
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def env_file(tmp_path):
    def write(content):
        path = tmp_path / ".env"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_variables_that_are_not_set_are_set(env_file):
    path = env_file(
        "\ufeff# the team's\nexport TEAM_COLOUR=blue\nTEAM_MOTTO='two words # and a hash'\n"
        'TEAM_LINES="one\\ntwo"\nTEAM_BOTH=${TEAM_COLOUR}-${TEAM_NONE:-green}\nTEAM_EMPTY=\n'
    )
    names = ("TEAM_BOTH", "TEAM_COLOUR", "TEAM_EMPTY", "TEAM_LINES", "TEAM_MOTTO")
    assert agy.load_env(path) == names
    values = ["blue-green", "blue", "", "one\ntwo", "two words # and a hash"]
    assert [os.environ[name] for name in names] == values


@pytest.mark.parametrize("value", ["red", ""])
def test_variable_that_is_set_keeps_its_value(env_file, monkeypatch, value):
    monkeypatch.setenv("TEAM_COLOUR", value)
    assert agy.load_env(env_file("TEAM_COLOUR=blue")) == ()
    assert os.environ["TEAM_COLOUR"] == value


def test_file_of_the_current_folder_is_the_default(env_file, monkeypatch):
    monkeypatch.chdir(env_file("TEAM_COLOUR=blue").parent)
    assert agy.load_env() == ("TEAM_COLOUR",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"A=1\nDB_PASSWORD='{PASSWORD}\n", "line 2 of"),
        (f"A=1\nHOST {PASSWORD}\n", "line 2 of"),
        (f"A=1\n'B={PASSWORD}'={PASSWORD}\n", "line 2 of"),
        (f"A=1\nB={PASSWORD}\0\n", "line 2 of"),
        (f"A=1\nB={PASSWORD}\xff\n".encode("latin-1"), "is not UTF-8"),
        (f"A={PASSWORD}\n" * 60_000, "larger than"),
    ],
    ids=["open quote", "no =", "= in a name", "NUL", "latin-1", "large"],
)
def test_bad_file_is_refused_whole_and_no_value_is_shown(env_file, content, words, caplog, capsys):
    path = env_file(content)
    with pytest.raises(agy.InvalidConfigError, match=words) as raised:
        agy.load_env(path)
    assert raised.value.field == "path"
    assert str(path) in str(raised.value)
    assert "A" not in os.environ
    shown = capsys.readouterr()
    error: BaseException | None = raised.value
    while error is not None:
        assert PASSWORD[:8] not in str(error)
        error = error.__cause__
    assert PASSWORD[:8] not in f"{shown.out}{shown.err}{caplog.text}"


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(agy.InvalidConfigError, match=r"cannot read '.*none\.env'"):
        agy.load_env(tmp_path / "none.env")


def test_pipe_and_folder_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(agy.InvalidConfigError, match="not a regular file"):
            agy.load_env(path)


def test_redactors_of_before_and_after_know_the_values(env_file, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "another-one-77")
    before = Redactor(places={})
    agy.load_env(env_file(f"DB_PASSWORD='{PASSWORD}'\nTEAM_COLOUR=violetblue\n"))
    for redactor in (before, Redactor(places={})):
        text = redactor.text(f"it said {PASSWORD} and violetblue and another-one-77")
        assert text == "it said {{agy:secret}} and violetblue and {{agy:secret}}"


def test_value_that_the_user_allows_stays(env_file):
    redactor = Redactor(places={}, allow=[PASSWORD])
    agy.load_env(env_file(f"DB_PASSWORD='{PASSWORD}'"))
    assert redactor.text(f"it said {PASSWORD}") == f"it said {PASSWORD}"


def test_redactor_with_an_environment_of_its_own_does_not_learn(env_file):
    redactor = Redactor(environ={}, places={})
    agy.load_env(env_file("DB_PASSWORD='correct horse'"))
    assert redactor.known == 0


@pytest.mark.real
@pytest.mark.blocking_allowed  # the file is read while the loop waits, as in a cell
async def test_recording_that_goes_on_holds_no_value_of_the_file(runtime, env_file, tmp_path):
    def read_setting() -> str:
        """Read a setting."""
        return f"the setting is {os.environ['DB_PASSWORD']}"

    path = env_file(f"DB_PASSWORD='{PASSWORD}'")
    async with (
        use_cassette(tmp_path / "c", "all"),
        ScriptedModel([call("read_setting"), say("done")]) as model,
    ):
        agent = await runtime.create_agent(model.config(), tools=[read_setting])
        agy.load_env(path)
        response = await agent.chat("what is it?")
        assert await response.text() == "done"
        assert [each.result for each in response.tool_results] == [f"the setting is {PASSWORD}"]
        await agent.shutdown()
    kept = "".join(file.read_text() for file in (tmp_path / "c").rglob("*") if file.is_file())
    assert "the setting is {{agy:secret}}" in kept
    assert PASSWORD not in kept

"""`agy-nb cassette diff`, `textconv`, `export` and `prune`: cassettes in a repository of git."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml

from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.storage.format import MODEL, WIRE
from agy_nb.cassette.storage.model_log import read_model
from agy_nb.cassette.storage.shared.shared_texts import FOLDER
from agy_nb.errors import InvalidInputError
from tests.cassette.storage.test_shared_texts import body, recorded


def git(folder, *words):
    settings = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    run = subprocess.run(
        ["git", *settings, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return run.stdout


@pytest.fixture
def told(cassette, frames):
    """Make a cassette of an agent with some instructions."""

    def told(name, instructions, prompt="Hello"):
        custom = {"custom": {"part": [{"text": instructions}]}}
        config = frames.config(systemInstructions=custom)
        return cassette([config, frames.ready(), frames.prompt(prompt)], name=name)

    return told


@pytest.fixture
def repository(told, tmp_path, monkeypatch):
    """A repository with a cassette in two commits."""
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    for number, words in enumerate(("Be brief.", "Be exact.")):
        shutil.rmtree(tmp_path / "tests" / "cassettes", ignore_errors=True)
        (tmp_path / "tests" / "cassettes").mkdir(parents=True)
        made = told(f"made{number}", words)
        made.rename(tmp_path / "tests" / "cassettes" / "x")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-qm", words)
    return tmp_path


FIELD = "session 0: config.systemInstructions.custom.part[0].text differs"


def test_diff_names_the_field_of_a_configuration(run, told):
    code, out = run("diff", told("a", "Be brief."), told("b", "Be exact."))
    assert code == 1
    assert FIELD in out
    assert "-Be brief." in out
    assert "+Be exact." in out


def test_diff_compares_with_a_revision(run, repository):
    code, out = run("diff", "HEAD~1", "--", "tests/cassettes/x")
    assert (code, FIELD in out) == (1, True)
    assert run("diff", "HEAD", "--", "tests/cassettes/x") == (0, "")
    assert run("diff", "tests/cassettes/x") == (0, "")  # with HEAD
    code, out = run("diff", "HEAD~1", "HEAD", "--", "tests")
    assert (code, FIELD in out) == (1, True)


def test_diff_finds_cassettes_of_one_side(run, repository, told):
    told("y", "Be kind.").rename(repository / "tests" / "cassettes" / "y")
    code, out = run("diff", "HEAD", "--", "tests/cassettes")
    assert (code, out) == (1, "only in tests/cassettes: y\n")
    shutil.rmtree(repository / "tests" / "cassettes" / "x")
    assert "only in HEAD:tests/cassettes: x\n" in run("diff", "HEAD", "--", "tests/cassettes")[1]


def test_diff_without_a_repository_says_what_to_pass(run, tmp_path, monkeypatch, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(CassetteError, match="not in a git repository"):
        run("diff", told("a", "Be brief."))
    with pytest.raises(InvalidInputError, match="compares two cassettes, got 3"):
        run("diff", tmp_path / "a", tmp_path / "a", tmp_path / "a")


def test_diff_of_nothing_recorded_says_so(run, repository):
    with pytest.raises(CassetteError, match="no cassette at tests/other"):
        run("diff", "HEAD", "--", "tests/other")


def test_textconv_shows_words_without_ids_and_times(run, told, cassette, frames):
    path = told("a", "Be brief.\nBe exact.")
    code, out = run("textconv", path / WIRE)
    (session,) = yaml.safe_load(out)
    assert code == 0
    assert session["turns"][0]["prompt"] == {"parts": [{"text": "Hello"}]}
    assert "            Be exact." in out
    assert "dt" not in out


@pytest.mark.slow
def test_textconv_makes_the_diff_of_git_readable(repository):
    command = f"{sys.executable} -m agy_nb.cli cassette textconv"
    git(repository, "config", "diff.agy-cassette.textconv", command)
    (repository / ".gitattributes").write_text("**/cassettes/**/wire.jsonl diff=agy-cassette\n")
    out = git(repository, "diff", "HEAD~1", "HEAD", "--", f"*{WIRE}")
    changed = [line.strip() for line in out.splitlines() if line[:1] in "+-" and line[1:2] == " "]
    assert [line[0] for line in changed] == ["-", "+"]
    assert "text: Be exact." in changed[1]


def test_textconv_of_the_models_side(run, tmp_path):
    path = recorded(tmp_path / "a", body("One\nand two"))
    (exchange,) = yaml.safe_load(run("textconv", path / MODEL)[1])
    assert exchange["body"]["contents"][0]["parts"] == [{"text": "One\nand two"}]
    assert exchange["response"] == [{}]
    assert exchange["status"] == 200


def test_textconv_gives_another_file_as_it_is(run, tmp_path):
    (tmp_path / "x").write_text("interactions: [1]\n<<<<<<< ours\n")
    assert run("textconv", tmp_path / "x") == (0, "interactions: [1]\n<<<<<<< ours\n")


def test_export_for_vcrpy_is_a_file_of_its_own(run, tmp_path):
    import vcr

    path = recorded(tmp_path / "here" / "a", body("One"))
    target = tmp_path / "there" / "model.yaml"
    assert run("export", "--vcr", path, target)[0] == 0
    with vcr.use_cassette(str(target), record_mode="none") as found:
        (request,) = found.requests
    assert request.body.decode() == body("One")
    with pytest.raises(CassetteError, match="exists; choose another name"):
        run("export", "--vcr", path, target)


def test_export_makes_a_copy_that_needs_nothing_else(run, tmp_path):
    path = recorded(tmp_path / "here" / "a", body("One"))
    copy = tmp_path / "there" / "a"
    assert run("export", path, copy)[0] == 0
    assert [made["request"]["body"] for made in read_model(copy)] == [body("One")]
    assert not (copy.parent / FOLDER).exists()
    assert run("verify", copy)[0] == 0


def test_prune_removes_texts_of_cassettes_that_were_deleted(run, tmp_path):
    for name, tool in (("a", "weather"), ("b", "traffic")):
        recorded(tmp_path / name, body("One", tool=tool))
    assert run("prune", tmp_path)[1].startswith("no leftovers")
    shutil.rmtree(tmp_path / "b")
    code, out = run("prune", tmp_path)
    (unused,) = (tmp_path / FOLDER).glob("traffic-*.json")
    assert (code, out) == (0, f"would remove {unused}: no cassette uses it\n")
    run("prune", "--yes", tmp_path)
    assert not unused.exists()
    assert len(read_model(tmp_path / "a")) == 1


def test_list_finds_the_cassettes_of_tests(run, tmp_path, monkeypatch, told):
    monkeypatch.chdir(tmp_path)
    for folder in ("cassettes", "tests/unit/cassettes/test_a"):
        (tmp_path / folder).mkdir(parents=True)
        told("made", "Be brief.").rename(tmp_path / folder / "x")
    code, out = run("list", "--json")
    assert code == 0
    assert [item["path"] for item in json.loads(out)] == [
        "cassettes/x",
        "tests/unit/cassettes/test_a/x",
    ]

"""The how-to guides: what can run offline runs as it stands; the others say that it does not."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml

import agy_nb as agy
from agy_nb.testing import EchoModel
from tests.docs import pages

GUIDES = sorted(path.name for path in (pages.DOCS / "howto").glob("*.md"))
RUN = {  # here and in test_tasks.py
    "budgets.md",
    "changed_prompt.md",
    "choose_model.md",
    "labels.md",
    "no_key.md",
    "outlier.md",
    "parallel.md",
    "personal_data.md",
    "share_notebook.md",
    "stop_a_tool.md",
    "what_leaves_my_machine.md",
    "dask.md",
    "local_models.md",
    "mcp.md",
    "opentelemetry.md",
    "papermill.md",
    "prices.md",
    "subagents.md",
    "branches.md",
    "compare_runs.md",
}
CASSETTES = pages.DOCS.parent / "cassettes"


def test_every_guide_runs_or_says_that_it_does_not():
    silent = [
        name
        for name in set(GUIDES) - RUN
        if not re.search(r"Not run by our tests|Our tests (run|check)", pages.read(f"howto/{name}"))
    ]
    assert silent == []


def test_every_guide_is_on_the_first_page():
    index = pages.read("index.md")
    assert [name for name in GUIDES if f"howto/{name.removesuffix('.md')}\n" not in index] == []


def test_a_guide_is_one_screen_long():
    lengths = {name: len(pages.read(f"howto/{name}").splitlines()) for name in GUIDES}
    assert {name: length for name, length in lengths.items() if length > 80} == {}


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK makes its save_dir on the loop
async def test_mcp(notebook, capsys):
    *_, calls = await pages.run("howto/mcp.md", notebook)
    assert "tea costs 3 euros" in capsys.readouterr().out
    assert calls.to_numpy().tolist() == [["price", "mcp", "shop", "ok"]]


@pytest.mark.real
@pytest.mark.blocking_allowed  # as above
async def test_subagents(notebook, capsys):
    *_, usage = await pages.run("howto/subagents.md", notebook)
    assert capsys.readouterr().out.splitlines() == [
        "the agent wants invoke_subagent",
        "a subagent wants look_up",
        "I wait.",
        "",
        "A cat purrs.",
        "subagent: It purrs.",
    ]
    assert sorted(usage["depth"]) == [0, 1]
    await notebook["model"].stop()


@pytest.mark.real
@pytest.mark.blocking_allowed  # as above
async def test_branches(notebook, capsys):
    await pages.run("howto/branches.md", notebook)
    assert capsys.readouterr().out.splitlines() == [
        f"You said {known} things." for known in (3, 2, 2, 4, 2)
    ]
    tree = notebook["runtime"].tables.branches()
    assert list(tree["n_turns"]) == [5, 1, 1, 0]
    assert list(tree["n_abandoned"]) == [1, 0, 0, 0]
    await agy.runtime().close()  # of the agent that continues a recording
    await notebook["runtime"].close()
    await notebook["model"].stop()


@pytest.mark.real
@pytest.mark.blocking_allowed  # as above
async def test_compare_runs(notebook):
    table, summary, from_folder = await pages.run("howto/compare_runs.md", notebook)
    assert table["answer"].tolist()[-1] == "get_weather says: sunny in Paris"
    assert summary["n_ok"].tolist() == [4, 4, 4]
    assert from_folder == [True, True, False, False]


@pytest.mark.real
@pytest.mark.blocking_allowed  # as above
async def test_local_models(notebook, capsys):
    async with EchoModel() as server:
        local = {'"http://localhost:11434/v1"': repr(server.openai_base_url)}
        await pages.run("howto/local_models.md", notebook, local)
    assert capsys.readouterr().out.splitlines()[-1].endswith("get_weather says: sunny in Paris")
    await notebook["model"].stop()


@pytest.mark.real
@pytest.mark.blocking_allowed  # as above
async def test_prices(notebook):
    listed, ours, why, live = await pages.run("howto/prices.md", notebook)
    assert (ours["cost_usd"] < listed["cost_usd"]).all()
    assert {key[1] for key in why.index} == {"override", "unknown_usage", "not_charged"}
    assert (live["total_tokens"] > 0).all()


@pytest.mark.real
@pytest.mark.blocking_allowed  # as above
async def test_opentelemetry(notebook, capsys):
    await pages.run("howto/opentelemetry.md", notebook)
    out = capsys.readouterr().out
    assert re.search(r"^[1-9]\d* spans$", out, flags=re.MULTILINE)
    names = [span.name.split()[0] for span in notebook["exporter"].get_finished_spans()]
    assert set(names) == {"invoke_agent", "chat", "execute_tool"}
    assert names.count("invoke_agent") == 2  # the recorded turn, and the one of the live agent


@pytest.fixture(scope="module")
def cluster():
    from dask.distributed import Client

    with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
        yield client


@pytest.mark.slow
@pytest.mark.blocking_allowed  # Dask has a loop of its own, in this process
async def test_dask(notebook, cluster, tmp_path, capsys):
    notebook["cluster"] = cluster
    usage, lengths, _ = await pages.run("howto/dask.md", notebook, {"Client()": "cluster"})
    assert (
        usage["total_tokens"].sum() == agy.load(CASSETTES).usage(by="model")["total_tokens"].sum()
    )
    assert lengths.sum() > 0
    assert list((tmp_path / "out" / "turns").rglob("*.parquet"))
    assert "recordings in" in capsys.readouterr().out


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.blocking_allowed  # papermill runs a loop of its own here
@pytest.mark.filterwarnings("ignore::DeprecationWarning:papermill")
def test_papermill_records_and_replays(tmp_path):
    import nbformat  # takes a second, which the other tests need not wait for
    import papermill

    cells = [nbformat.v4.new_code_cell(code) for code in pages.blocks("howto/papermill.md")]
    [opens] = [cell for cell in cells if "use_cassette(cassette)" in cell.source]
    opens.source = opens.source.replace("(cassette)", "(cassette, mode, echo=True)")  # no key here
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "weather.ipynb")
    said = []
    for mode in ("all", "none"):
        papermill.execute_notebook(
            tmp_path / "weather.ipynb",
            tmp_path / "rome.ipynb",
            parameters={"city": "Rome", "cassette": "cassettes/rome", "mode": mode},
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=tmp_path,
        )
        executed = nbformat.read(tmp_path / "rome.ipynb", as_version=4)
        said.append([output for cell in executed.cells for output in cell.outputs])
    for outputs in said:
        printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
        assert printed.splitlines()[-1] == "get_weather says: sunny in Rome"
        assert "total_tokens" in outputs[-1].data["text/plain"]
    assert (tmp_path / "cassettes" / "rome" / "header.json").exists()


@pytest.mark.blocking_allowed  # the SDK looks for its credentials
def test_configurations_of_vertex_are_taken(monkeypatch):
    from google.antigravity import LocalAgentConfig

    code = "\n".join(pages.blocks("howto/vertex.md"))
    settings = eval(re.search(r"settings = (\{.*?\})", code, flags=re.DOTALL)[1])
    [endpoint] = {target.endpoint.project for target in LocalAgentConfig(**settings).models}
    assert endpoint == "my-project"
    assert LocalAgentConfig(vertex=True, api_key="made-up").models
    names: dict = {}
    exec(pages.blocks("howto/vertex.md")[1], names)
    assert LocalAgentConfig(**names["config"]).models[0].endpoint.base_url.startswith("https://")


def test_workflows_are_yaml_with_commands_that_exist(pytester):
    tests, drift = map(yaml.safe_load, pages.blocks("howto/ci.md", "yaml"))
    lines = [
        step["run"]
        for job in (tests["jobs"]["test"], drift["jobs"]["drift"])
        for step in job["steps"]
        if "run" in step
    ]
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    helped = pytester.runpytest_inprocess("--help").stdout.str()
    for line in lines:
        program, *arguments = shlex.split(line)
        if program == "pytest":
            options = [argument.split("=")[0] for argument in arguments]
            assert [option for option in options if option not in helped] == []
        elif program == "agy-nb":
            assert arguments[:2] == ["cassette", "verify"]
        else:
            assert program == "pip"

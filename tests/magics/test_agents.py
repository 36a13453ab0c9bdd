"""`%%agy` and its kin in a real kernel, with the real SDK, harness and the echo model."""

import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(autouse=True)
def agent(cell):
    """An agent that answers by echo, in the variable that the magics look at."""
    cell.do("import agy_nb as agy\nif 'agent' not in globals(): agent = await agy.create_agent()")
    cell.seen.clear()


def test_cell_is_sent_and_the_answer_is_there_when_it_waits_for_it(cell):
    cell.do("%%agy --sync\nHello from a magic")
    assert "Hello from a magic" in cell.do("print(_.partial_text, agent.latest.state)")


def test_cell_ends_before_the_turn_does(cell):
    cell.do("%%agy\nHello in the background")
    said = cell.do("print(await agent.latest.text())")
    assert "Hello in the background" in said


def test_agent_is_named_by_its_variable(cell):
    cell.do("other = await agy.create_agent()")
    cell.do("%%agy --agent other --sync\nHello other")
    assert "Hello other" in cell.do("print(other.latest.partial_text)")


def test_variable_without_an_agent_is_said_plainly(cell):
    running = cell.send("%%agy --agent nobody\nHi")
    cell.reply(running)
    told = " ".join(str(message) for _, message in cell.seen)
    assert "'nobody' must hold a running agent, got nothing" in told
    assert "nobody = await agy.create_agent" in told


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("agent", "For an agent, write `%%agy --agent agent`."),
        ("Hello, who are you?", "Write the prompt below this line."),
        ("--async", "unrecognized arguments: --async. `%%agy?` lists the options."),
    ],
)
def test_unexpected_text_in_the_first_line_says_what_to_write(cell, line, advice):
    running = cell.send(f"%%agy {line}\nHi")
    cell.reply(running)
    assert advice in " ".join(str(message) for _, message in cell.seen)


def test_agents_and_usage_are_tables(cell):
    cell.do("%%agy --sync\nHello")
    assert "n_turns" in cell.do(
        "print((%agy_agents).to_string())".replace(
            "(%agy_agents)", "get_ipython().run_line_magic('agy_agents', '')"
        )
    )
    usage = "print(get_ipython().run_line_magic('agy_usage', '--by turn').to_string())"
    assert "total_tokens" in cell.do(usage)


def test_stop_cancels_what_runs(cell):
    cell.do("""
from agy_nb.testing import ScriptedModel, hang
model = await ScriptedModel([hang("so far")]).start()
slow = await agy.create_agent(model.config())
running = await slow.chat("go")
await model.requested(1)
""")
    cell.do("%agy_stop")
    assert "cancelled" in cell.do("print((await running).state)")


def test_help_says_what_the_options_are(cell):
    assert "--sync" in cell.do("print(get_ipython().find_cell_magic('agy').__doc__)")


def test_magics_are_completed(cell):
    completed = cell.do("print(get_ipython().complete('%agy_')[1])")
    assert "%agy_usage" in completed


def test_stop_of_an_agent_that_is_not_there_names_those_that_are(cell):
    running = cell.send("%agy_stop 4711")
    cell.reply(running)
    told = " ".join(str(message) for _, message in cell.seen)
    assert "%agy_stop: no agent 4711. Agents: 1" in told

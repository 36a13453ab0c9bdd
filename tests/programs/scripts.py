"""What the model says to each program."""

from agy_nb.testing import call, fail, hang, say, think

TASK = {"TypeName": "researcher", "Role": "Researcher", "Prompt": "look into cats"}
QUESTION = {"question": "Which colour?", "options": ["red", "blue"], "is_multi_select": False}


def echo(request):
    """Repeat the last word of the last prompt."""
    return say(f"You said {request.user_text.split()[-1]}")


def files(folder):
    path = f"{folder}/work/notes.txt"
    return [
        call(
            "write_to_file", TargetFile=path, CodeContent="one\ntwo\n", Overwrite=True,
            Description="notes", IsArtifact=False, Complexity=1, EmptyFile=False,
        ),
        call("view_file", AbsolutePath=path),
        say("Written and read."),
    ]  # fmt: skip


def workflow(request):
    prompt = request.user_texts[-1]
    if request.tool_results or "using the `run_workflow` tool" not in prompt:
        return say("It ran.")
    return call("run_workflow", ScriptPath=prompt.split("`")[1], Description="audit")


def house(request):
    """Answer by the place in the system instructions."""
    place = next(name for name in ("Rome", "Oslo", "Bern") if name in request.system_text)
    return say(f"Nice, in {place}.")


SCRIPTS = {
    "plain": lambda _: [say(["Hel", "lo"]), say("Fine.")],
    "polling": lambda _: [say("Hello.", delay_s=0.2), say("Fine.", delay_s=0.2)],
    "streaming": lambda _: [think("let me see") + say(["Fo", "ur", "."])],
    "tools": lambda _: [
        call("weather", city="Rome") + call("add", a=1, b=2),
        call("remember", word="one"),
        call("broken"),
        say("Done."),
        call("remember", word="two"),
        say("Two words."),
    ],
    "hook_log": lambda _: [call("weather", city="Rome"), say("Sunny.")],
    "policies": lambda _: [
        call("weather", city="Oslo"),
        call("mail", to="ada"),
        call("weather", city="Rome"),
        say("Only Rome."),
    ],
    "triggers": lambda _: [say("I wait."), say("I open the door.")],
    "subagents": lambda _: [
        ("cats", [call("look_up", what="cats"), say("They purr.")]),
        ("Ask around", [call("invoke_subagent", Subagents=[TASK]), say("Wait."), say("Done.")]),
    ],
    "mcp_tools": lambda _: [call("mcp_shop_price", item="tea"), say("Three euros.")],
    "structured": lambda _: [call("finish", city="Oslo", degrees=4)],
    "picture": lambda _: [say("A dot.")],
    "threads": lambda _: echo,
    "web": lambda _: echo,
    "command_line": lambda _: [say("Hi."), say("Lunch.")],
    "files": files,
    "resume": lambda _: [say("Nice to meet you."), say("Ada, of course.")],
    "questions": lambda _: [call("ask_question", questions=[QUESTION]), say("Blue it is.")],
    "errors": lambda _: [fail(401)],
    "stopping": lambda _: [say("One, ") + hang(), say("Here again.")],
    "workflow": lambda _: workflow,
    "several": lambda _: house,
    "harness_pool": lambda _: echo,
    "process_pool": lambda _: echo,
}
"""A function per program, which takes the program's folder."""

ASKS_AGAIN = {"policies": {"approvals": "ask"}, "questions": {"questions": "ask"}}
"""Programs whose handlers of approvals or questions print: by default a replay answers for them."""

SEVERAL_PROCESSES = frozenset({"process_pool"})
"""Programs that cannot be recorded by a block in one process, but with `agy-nb harness`."""

"""Whoever sits at the notebook decides: a click allows, and all else denies."""

import asyncio
import builtins

import pytest

import agy_nb as agy
from agy_nb.kernel import NoStdinError
from agy_nb.protocol.events import Approval, ApprovalState
from agy_nb.protocol.values import Answer, AskedQuestion, QuestionOption
from agy_nb.sdk.interfaces.approval_request import ApprovalRequest
from agy_nb.widgets.approvals import approver, typed_prompts
from agy_nb.widgets.approvals.pending import pending_requests
from agy_nb.widgets.tree import front_end
from tests.support.memory import MemoryBackend
from tests.support.waiting import until
from tests.widgets.clicks import answer, click

pytestmark = pytest.mark.blocking_allowed  # a widget looks whether its style sheet was edited

NO_STDIN = "this front end does not take input (papermill and nbclient do not)"


class Cards:
    """The cards that stand alone, in place of those on a page."""

    def __init__(self):
        self.shown = []
        self.ended = []

    def __call__(self, event):
        self.shown.append(event)
        return self

    def resolve(self, event):
        self.ended.append(event)


def without_input(monkeypatch, why):
    for module in (approver, front_end):
        monkeypatch.setattr(module, "why_no_stdin", lambda: why)


@pytest.fixture(autouse=True)
def no_view_was_opened(monkeypatch):
    monkeypatch.setattr(front_end, "_opened", False)


@pytest.fixture
def cards(monkeypatch):
    cards = Cards()
    monkeypatch.setattr(approver, "ApprovalCard", cards)
    return cards


@pytest.fixture
def notebook(monkeypatch, cards):
    """A notebook with a person in front of it."""
    monkeypatch.setattr(approver, "in_kernel", lambda: True)
    without_input(monkeypatch, "")
    yield cards
    assert pending_requests._requests == {}


@pytest.fixture
def impatient(monkeypatch):
    """No front end shows the card, and that is known at once."""
    monkeypatch.setattr(approver, "SHOWN_WITHIN_S", 0)


def request(
    key="approval-1", tool="run", agent=1, server=None, timeout=None, editable=False, **args
):
    return ApprovalRequest(
        tool=tool,
        args=args,
        agent_id=agent,
        approval_id=key,
        server=server,
        timeout=timeout,
        editable=editable,
    )


async def asked(handler, **about):
    """A task that waits for a decision."""
    task = asyncio.ensure_future(handler(request(**about)))
    await until(lambda: pending_requests._requests or task.done())
    return task


async def decide(handler, message, **about):
    """The decision on a request that is answered with a message of the front end."""
    task = await asked(handler, **about)
    key = about.get("key", "approval-1")
    pending_requests.mark_shown(key)
    click(key, **message)
    return await task


# -- clicks ----------------------------------------------------------------------------------------


async def test_allow_once_allows_this_call_and_asks_for_the_next(notebook):
    handler = approver.approve()
    decision = await decide(handler, {"choice": "once"})
    assert decision.allowed
    assert decision.decided_by == "a click: once"
    again = await asked(handler)
    assert not again.done()
    again.cancel()


@pytest.mark.parametrize("choice", ["once", "tool", "call"])
async def test_choice_says_what_the_agent_is_to_remember(notebook, choice):
    decision = await decide(approver.approve(), {"choice": choice}, path="a")
    assert decision.allowed
    assert decision.remember == ("" if choice == "once" else choice)


async def test_deny_says_that_the_user_said_no(notebook):
    decision = await decide(approver.approve(), {"choice": "deny"})
    assert not decision.allowed
    assert decision.reason == "the user said no"
    assert decision.decided_by == "a click: deny"


async def test_deny_with_a_reason_tells_it_in_one_line(notebook):
    message = {"choice": "deny", "reason": "  not on\n a Friday "}
    assert (await decide(approver.approve(), message)).reason == "not on a Friday"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"choice": None},
        {"choice": "yes"},
        {"choice": True},
        {"choice": ["once"]},
        {"choice": "once", "reason": 7},
        {"choice": "once", "text": ["x"]},
    ],
)
async def test_message_that_makes_no_sense_decides_nothing(notebook, message):
    task = await asked(approver.approve())
    assert not click("approval-1", **message)
    assert not task.done()
    assert click("approval-1", choice="deny")
    assert not (await task).allowed


async def test_second_click_counts_for_nothing(notebook):
    handler = approver.approve()
    task = await asked(handler)
    assert click("approval-1", choice="deny")
    assert not click("approval-1", choice="tool")
    assert not (await task).allowed


async def test_late_click_counts_for_nothing(notebook):
    handler = approver.approve()
    await decide(handler, {"choice": "deny"})
    assert not click("approval-1", choice="tool")


async def test_click_for_another_turn_decides_nothing_here(notebook):
    task = await asked(approver.approve(), key="approval-2")
    assert not click("approval-1", choice="once")
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()


async def test_hundred_approvals_wait_at_once_and_each_is_decided_by_its_own_click(notebook):
    handler = approver.approve()
    keys = [f"approval-{number}" for number in range(100)]
    tasks = [asyncio.ensure_future(handler(request(key=key, n=key))) for key in keys]
    await until(lambda: len(pending_requests._requests) == 100)
    assert list(pending_requests._requests) == keys
    assert [event.approval_id for event in notebook.shown] == keys
    for number, key in reversed(list(enumerate(keys))):
        click(key, choice="deny" if number % 3 else "once")
    decisions = await asyncio.gather(*tasks)
    assert [each.allowed for each in decisions] == [number % 3 == 0 for number in range(100)]


async def test_cancelled_turn_takes_the_question_back(notebook):
    handler = approver.approve()
    task = await asked(handler)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not click("approval-1", choice="once")
    (event,) = notebook.ended
    assert event.state is ApprovalState.CANCELLED


async def test_card_of_its_own_is_shown_where_no_view_has_the_turn(notebook):
    await decide(approver.approve(), {"choice": "deny", "reason": "no"}, path="x")
    (shown,), (ended,) = notebook.shown, notebook.ended
    assert (shown.state, shown.args) == (ApprovalState.PENDING, {"path": "x"})
    assert (ended.state, ended.reason) == (ApprovalState.DENIED, "no")
    assert ended.wait >= 0


async def test_view_that_shows_the_turn_has_the_buttons_and_the_time_that_is_left(notebook):
    shown = []
    detach = pending_requests.attach_view(lambda waiting: not shown.append(waiting.controls))
    try:
        await decide(approver.approve(), {"choice": "once"}, timeout=60.0)
    finally:
        detach()
    (controls,) = shown
    assert (controls["type"], controls["tool"]) == ("approval", "run")
    assert controls["deadline"] > 60
    assert notebook.shown == []


# -- nobody is there -------------------------------------------------------------------------------


async def test_front_end_without_input_denies_at_once_and_says_why(notebook, monkeypatch):
    without_input(monkeypatch, NO_STDIN)
    decision = await approver.approve()(request())
    assert not decision.allowed
    assert NO_STDIN in decision.reason
    assert decision.decided_by == "default"
    assert notebook.shown == []


async def test_questions_are_skipped_where_nobody_can_answer(notebook, monkeypatch):
    without_input(monkeypatch, NO_STDIN)
    assert await approver.approve().answer("q", (AskedQuestion(question="?"),)) == ()


async def test_idle_kernel_waits_for_a_click(notebook, monkeypatch):
    words = "no cell is running, and input is asked for below the running cell"
    without_input(monkeypatch, words)
    assert (await decide(approver.approve(), {"choice": "once"})).allowed


async def test_a_front_end_without_input_that_opened_a_view_decides_by_click(notebook, monkeypatch):
    """Voila, and JupyterLab with a kernel that takes no input."""
    without_input(monkeypatch, NO_STDIN)
    front_end.view_opened()
    assert (await decide(approver.approve(), {"choice": "once"})).allowed
    assert len(notebook.shown) == 1


class View:
    """A view outside a kernel, as marimo, Panel and Solara show it."""

    def __init__(self, *, contains=True):
        self.claimed = []
        self.contains = contains

    def __call__(self, pending):
        self.claimed.append(pending.id)
        if self.contains:
            pending_requests.mark_shown(pending.id)
        return self.contains


@pytest.fixture
def view_of_server(monkeypatch, cards):
    monkeypatch.setattr("sys.stdin", None)
    front_end.view_opened()
    view = View()
    detach = pending_requests.attach_view(view)
    yield view
    detach()
    assert cards.shown == []
    assert pending_requests._requests == {}


async def test_a_view_outside_a_kernel_decides_by_click(view_of_server):
    assert (await decide(approver.approve(), {"choice": "once"})).allowed


async def test_a_view_outside_a_kernel_answers_questions(view_of_server):
    asking = asyncio.ensure_future(
        approver.approve().answer("q", (AskedQuestion(question="Which?"),))
    )
    await until(lambda: view_of_server.claimed)
    assert answer("q", answers=[{"text": "That one"}])
    assert (await asking)[0].text == "That one"


async def test_a_view_outside_a_kernel_that_lacks_the_call_leaves_it_denied(view_of_server):
    view_of_server.contains = False
    decision = await approver.approve()(request())
    assert not decision.allowed
    assert "not a terminal" in decision.reason
    assert await approver.approve().answer("q", (AskedQuestion(question="?"),)) == ()


async def test_script_without_a_terminal_denies_at_once(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    decision = await approver.approve()(request())
    assert not decision.allowed
    assert "not a terminal" in decision.reason
    assert await approver.approve().answer("q", (AskedQuestion(question="?"),)) == ()


# -- text ------------------------------------------------------------------------------------------


def types(monkeypatch, *lines):
    """A person who types these lines; gives what they were asked."""
    asked = []
    left = list(lines)

    async def ask_text(prompt):
        asked.append(prompt)
        return left.pop(0)

    monkeypatch.setattr(typed_prompts, "ask_text", ask_text)
    return asked


@pytest.mark.parametrize(
    ("line", "allowed", "reason"),
    [
        ("y", True, ""),
        (" YES ", True, ""),
        ("t", True, ""),
        ("c", True, ""),
        ("", False, "the user said no"),
        ("n", False, "the user said no"),
        ("not on a Friday", False, "not on a Friday"),
        ("yes please", False, "yes please"),
    ],
)
async def test_text_decides_where_no_front_end_shows_the_card(
    notebook, impatient, monkeypatch, line, allowed, reason
):
    prompts = types(monkeypatch, line)
    decision = await approver.approve()(request(command="ls"))
    assert (decision.allowed, decision.reason) == (allowed, reason)
    assert decision.decided_by.startswith("typed: ")
    assert "run" in prompts[0]
    assert '"command": "ls"' in prompts[0]


async def test_typed_permission_can_be_for_later_calls_too(notebook, impatient, monkeypatch):
    types(monkeypatch, "t", "c")
    handler = approver.approve()
    assert (await handler(request())).remember == "tool"
    assert (await handler(request(x=1))).remember == "call"


async def test_click_ends_the_question_in_text(notebook, impatient, monkeypatch):
    asking = asyncio.Event()

    async def ask_text(_prompt):
        asking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(typed_prompts, "ask_text", ask_text)
    task = await asked(approver.approve())
    await asking.wait()
    click("approval-1", choice="once")
    assert (await task).decided_by == "a click: once"


async def test_card_waits_on_where_text_cannot_be_asked_for(notebook, impatient, monkeypatch):
    async def ask_text(_prompt):
        raise NoStdinError("gone")

    monkeypatch.setattr(typed_prompts, "ask_text", ask_text)
    task = await asked(approver.approve())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    click("approval-1", choice="once")
    assert (await task).allowed


async def test_terminal_of_a_script_is_asked(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(builtins, "input", lambda _prompt: "t")
    handler = approver.approve()
    assert (await handler(request())).decided_by == "typed: this tool"
    monkeypatch.setattr(builtins, "input", lambda _prompt: "n")
    assert not (await handler(request(x=1))).allowed


# -- questions -------------------------------------------------------------------------------------

COLOURS = AskedQuestion(
    question="Which colour?",
    options=(QuestionOption(id="1", text="red"), QuestionOption(id="2", text="blue")),
)


async def answers(handler, message, *questions):
    task = asyncio.ensure_future(handler.answer("q", questions))
    await until(lambda: pending_requests._requests or task.done())
    pending_requests.mark_shown("q")
    answer("q", **message)
    return await task


async def test_answers_are_options_words_or_nothing(notebook):
    message = {
        "answers": [
            {"selected": ["2"], "text": "", "skipped": False},
            {"selected": [], "text": "my own", "skipped": False},
            {"selected": [], "text": "", "skipped": False},
            {"selected": ["1"], "text": "x", "skipped": True},
        ]
    }
    given = await answers(approver.approve(), message, *[COLOURS] * 4)
    skipped = Answer(skipped=True)
    assert given == (Answer(selected=("2",)), Answer(text="my own"), skipped, skipped)
    assert notebook.ended[0].answers == given


@pytest.mark.parametrize(
    "message", [{}, {"answers": None}, {"answers": 7}, {"answers": ["x", None, {"selected": 7}]}]
)
async def test_answers_that_make_no_sense_answer_nothing(notebook, message):
    task = asyncio.ensure_future(approver.approve().answer("q", (COLOURS,)))
    await until(lambda: pending_requests._requests)
    assert not answer("q", **message)
    assert not task.done()
    assert answer("q", answers=[])
    assert await task == ()


async def test_answer_to_a_question_decides_on_no_call(notebook):
    task = await asked(approver.approve())
    assert not answer("approval-1", answers=[])
    assert not task.done()
    task.cancel()


@pytest.mark.parametrize(
    ("line", "multiple", "given"),
    [
        ("2", False, Answer(selected=("2",))),
        ("1, 2", True, Answer(selected=("1", "2"))),
        ("1 2", False, Answer(text="1 2")),
        ("green", False, Answer(text="green")),
        ("", False, Answer(skipped=True)),
    ],
)
async def test_question_is_answered_as_text(
    notebook, impatient, monkeypatch, line, multiple, given
):
    prompts = types(monkeypatch, line)
    question = AskedQuestion(question="Which?", options=COLOURS.options, multiple=multiple)
    assert await approver.approve().answer("q", (question,)) == (given,)
    assert "1. red" in prompts[0]


async def test_cancelled_question_is_taken_back(notebook):
    task = asyncio.ensure_future(approver.approve().answer("q", (COLOURS,)))
    await until(lambda: pending_requests._requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (ended,) = notebook.ended
    assert ended.answers == (Answer(skipped=True),)


# -- through a turn --------------------------------------------------------------------------------


async def turn_with_a_call(message, config=None):
    """Approvals and tool results of a turn in which a tool is called and this is clicked."""
    ran = []

    def delete(path: str) -> str:
        ran.append(path)
        return "gone"

    async def play(turn):
        await turn.call("delete", {"path": "x"})

    config = config or agy.RuntimeConfig(chat_pause=0)
    async with agy.Runtime(config, backend=MemoryBackend(play)) as runtime:
        agent = await runtime.create_agent(tools=[delete], ask_user=approver.approve())
        response = await agent.chat("go")
        if message is not None:
            await until(lambda: pending_requests._requests)
            (key,) = pending_requests._requests
            if message == "cancel":
                await response.cancel()
            else:
                click(key, **message)
        await response.wait()
    return ran, [each for each in response.event_log if isinstance(each, Approval)], response


async def test_reason_of_a_denial_reaches_the_model(notebook):
    ran, approvals_told, response = await turn_with_a_call(
        {"choice": "deny", "reason": "not on a Friday"}
    )
    assert ran == []
    assert approvals_told[-1].reason == "not on a Friday"
    results = [each.error for each in response.event_log if each.type == "tool_result"]
    assert results == ["not on a Friday"]


async def test_click_runs_the_tool(notebook):
    ran, told, _ = await turn_with_a_call({"choice": "once"})
    assert ran == ["x"]
    assert [each.state for each in told] == [ApprovalState.PENDING, ApprovalState.ALLOWED]
    assert told[-1].decided_by == "a click: once"


async def test_stop_denies(notebook):
    ran, told, _ = await turn_with_a_call("cancel")
    assert ran == []
    assert told[-1].state is ApprovalState.CANCELLED


async def test_silence_denies(notebook):
    config = agy.RuntimeConfig(chat_pause=0, approval_timeout=0.01)
    ran, told, _ = await turn_with_a_call(None, config)
    assert ran == []
    assert told[-1].state is ApprovalState.TIMED_OUT

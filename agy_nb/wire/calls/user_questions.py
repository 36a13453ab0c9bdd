"""Questions of the model to the user, and their answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agy_nb.protocol.events import Event, Question
from agy_nb.protocol.values import Answer, AskedQuestion, QuestionOption
from agy_nb.wire import frames as f
from agy_nb.wire.frames import Frame
from agy_nb.wire.json_values import list_of, number_of, object_of, objects_of, text_of
from agy_nb.wire.reader_state import Connection, OpenStep, OpenTrajectory


def asks_user(
    connection: Connection, body: Frame, step: OpenStep, trajectory: OpenTrajectory, at: float
) -> Iterator[Event]:
    """Read the questions of a step to the user, once per step."""
    request = body.get(f.QUESTIONS_REQUEST)
    if not isinstance(request, dict) or step.asked:
        return
    step.asked = True
    key = f"{trajectory.where.id}:{step.index}"
    question = Question(
        trajectory=trajectory.where,
        question_id=key,
        questions=tuple(map(_question, objects_of(request.get(f.QUESTIONS)))),
        at=at,
    )
    connection.questions[key] = question
    yield question


def answered_question(connection: Connection, body: Frame, at: float) -> Iterator[Event]:
    """Read the answers of the user."""
    index = number_of(body.get(f.STEP_INDEX))
    key = f"{text_of(body.get(f.TRAJECTORY_ID))}:{index}"
    question = connection.questions.pop(key, None)
    if question is None:
        connection.problem("unknown_question", f"the answer to question {key!r}", at)
        return
    given = objects_of(object_of(body.get(f.RESPONSE)).get("answers"))
    answers = tuple(map(_answer, given)) or (Answer(skipped=True),)
    yield replace(question, answers=answers, at=at)


def _question(body: Frame) -> AskedQuestion:
    asked = object_of(body.get(f.MULTIPLE_CHOICE))
    return AskedQuestion(
        question=text_of(asked.get("question")),
        options=tuple(
            QuestionOption(id=str(number), text=str(choice))
            for number, choice in enumerate(list_of(asked.get("choices")), 1)
        ),
        multiple=bool(asked.get(f.MULTI_SELECT)),
    )


def _answer(body: Frame) -> Answer:
    given = object_of(body.get(f.MULTIPLE_CHOICE_ANSWER))
    indices = list_of(given.get(f.SELECTED))
    selected = tuple(str(number_of(index, -1) + 1) for index in indices)
    text = text_of(given.get(f.FREEFORM))
    return Answer(selected=selected, text=text, skipped=not (selected or text))

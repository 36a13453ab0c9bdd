"""Pass the model's questions to the function that answers them.

The SDK gives a hook the text of a question, but neither its id nor whether several options may be
chosen. So `Instrumentation` stores the whole question in a context variable of the hook's task.
"""

from __future__ import annotations

import contextvars
from typing import Any

from google.antigravity import types
from google.antigravity.hooks import hooks

from agy_nb.protocol.encodable import encodable_text
from agy_nb.protocol.events import Question
from agy_nb.protocol.values import Answer
from agy_nb.sdk.interfaces.approval_request import AnswerQuestions

asking: contextvars.ContextVar[Question | None] = contextvars.ContextVar(
    "agy_nb_asking", default=None
)
"""The question that the running task hands to the hooks."""


class QuestionHook(hooks.OnInteractionHook):
    """Answers with what a function of ours says; what fails is a question skipped."""

    def __init__(self, answer: AnswerQuestions) -> None:
        self._answer = answer

    async def run(self, context: Any, data: types.AskQuestionInteractionSpec) -> Any:
        """See `OnInteractionHook`."""
        del context
        question = asking.get()
        answers: tuple[Answer, ...] = ()
        if question is not None:
            answers = await self._answer(question.question_id, question.questions)
        skipped = Answer(skipped=True)
        padded = [*answers, *[skipped] * len(data.questions)][: len(data.questions)]
        return types.QuestionHookResult(
            responses=[
                types.QuestionResponse(
                    selected_option_ids=list(answer.selected) or None,
                    freeform_response=encodable_text(answer.text),
                    skipped=answer.skipped or not (answer.selected or answer.text),
                )
                for answer in padded
            ]
        )

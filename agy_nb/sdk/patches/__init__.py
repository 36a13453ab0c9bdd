"""Every place where agy_nb changes the SDK's behaviour; `table` lists the attributes.

| module | changes |
| --- | --- |
| `harness_start` | how a harness is started, for the whole process |
| `deferred_process` | the process that the SDK believes it has started |
| `agent` | the SDK's `Agent`: its configuration, and who gets its runners |
| `session_socket` | the socket of one session: who is asked, in which context, words of a denial |
| `tools` | how host tools run, and what they may do for a subagent |
| `hooks` | how hooks run |
| `triggers` | when a trigger's turn begins |
| `approval_context`, `edit_hook`, `question_hook` | what deciding code is told of a call |
| `replayed_decisions` | a cassette's answers in the place of a person's |
| `user_code` | errors of the user's code end with it |
"""

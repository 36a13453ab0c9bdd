"""Every place where agy_nb changes the SDK's behaviour; `table` lists the attributes.

| module | changes |
| --- | --- |
| `harness_start` | how a harness is started, for the whole process |
| `install_on_import` | calls `harness_start` in a child process that imports the SDK |
| `deferred_process` | the process that the SDK believes it has started |
| `sdk_agent` | the SDK's `Agent`: its configuration and its runners |
| `session_socket` | the socket of one session: the context of each request, the text of denials |
| `instrumentation` | puts the changes of one session together |
| `approval_context`, `edit_hook`, `question_hook` | the full request for code that decides |
| `replayed_decisions` | a cassette's answers in place of the user's |
| `user_code` | errors of host tools, hooks, triggers and policies end with that code |
"""

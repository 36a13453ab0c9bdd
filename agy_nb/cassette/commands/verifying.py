"""`agy-nb cassette verify`."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from agy_nb.cassette.command_arguments import rules_of
from agy_nb.cassette.commands.terminal_tables import complain, say
from agy_nb.cassette.inspect.session_digests import differences
from agy_nb.cassette.inspect.verify import Verdict, VerifyProblem, echo_remarks, problems, remarks
from agy_nb.cassette.storage import catalog


def verify(arguments: Namespace) -> int:
    """Run `verify`."""
    verdicts = []
    for path in catalog.find(arguments.paths):
        verdict = _verdict(path, arguments)
        verdicts.append(verdict)
        if not arguments.json:
            _show_verdict(verdict)
    if arguments.json:
        say(json.dumps([verdict.data() for verdict in verdicts], indent=2))
    if not verdicts:
        none_found(arguments)
        return 1
    return 1 if any(verdict.problems for verdict in verdicts) else 0


def _verdict(path: Path, arguments: Namespace) -> Verdict:
    verdict = Verdict(path, list(problems(path, rules=rules_of(arguments))))
    if not verdict.problems and arguments.against_live:
        _run_again(verdict, arguments)
    if not any(problem.kind == "unreadable" for problem in verdict.problems):
        verdict.remarks += echo_remarks(path)
    if not verdict.problems:
        verdict.remarks += remarks(path)
    return verdict


def _run_again(verdict: Verdict, arguments: Namespace) -> None:
    from agy_nb.cassette.drift.errors import DriftError
    from agy_nb.cassette.drift.local_config import LiveModel
    from agy_nb.cassette.drift.runner import DriftSettings, rerun

    settings = DriftSettings(
        model=LiveModel.found(arguments.base_url),
        harness=arguments.harness,
        folder=arguments.folder,
        silence_s=arguments.silence,
        trust=arguments.trust,
    )
    path = verdict.path
    with TemporaryDirectory(prefix="agy-") as folder:
        try:
            live = rerun(path, Path(folder) / "live", settings)
        except DriftError as error:
            verdict.problems.append(VerifyProblem("drift", str(error)))
            return
        found = [f"the recording has no answer to {what}" for what in live.unanswered]
        found += differences(path, live.path, parts=arguments.compare, names=("recorded", "live"))
    verdict.problems += [VerifyProblem("drift", text) for text in found]
    verdict.remarks += [f"without --trust {what}" for what in live.refused]


def _show_verdict(verdict: Verdict) -> None:
    kinds = {problem.kind for problem in verdict.problems}
    word = "ok" if not kinds else "DRIFT" if kinds == {"drift"} else "FAIL"
    say(f"{word:<4} {verdict.path}")
    for text in (*map(str, verdict.problems), *verdict.remarks):
        say(f"     {text}")


def none_found(arguments: Namespace) -> None:
    """Report that the folders hold no cassette."""
    places = ", ".join(map(str, arguments.paths))
    complain(f"no cassette found in {places}; pass the folders that hold your cassettes")

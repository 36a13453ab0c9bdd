"""Public reports of people who use other record-replay tools, and our test of each situation.

Shape and intent are those of the report; the code is our own.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent

REPORTS = """
http/test_replayed_http.py
    test_redirect_is_followed_to_its_end
        kevin1024/vcrpy#4: redirects
    test_cookie_keeps_its_name_and_loses_its_value
        kevin1024/vcrpy#291: the recording run sees the real answer
    test_upload_with_a_random_boundary_is_found_again
        betamaxpy/betamax#64: uploads with random boundaries
        Netflix/pollyjs#254: uploads
        assaf/node-replay#144: uploads with random boundaries
    test_errors_and_answers_keep_their_order
        betamaxpy/betamax#140: connections that fail, and then work
    test_headers_that_programs_read_are_there
        Netflix/pollyjs#190: headers
    test_another_upload_is_not_found
        microsoft/playwright#31495: uploads with random boundaries
replay/test_sessions.py
    test_decorator_makes_a_block_of_each_call
        kevin1024/vcrpy#150: decorated functions in two threads
    test_missing_cassette_is_told_before_anything_starts
        google/adk-python#7128: a replay without a recording
http/test_reported_http.py
    test_threads_are_refused_what_was_not_recorded
        kevin1024/vcrpy#212: a cassette that does not have the request, in a thread pool
    test_requests_of_several_threads_are_all_recorded
        kevin1024/vcrpy#295: the second thread is not recorded
        kevin1024/vcrpy#849: thread pools lose requests
    test_thread_that_outlives_its_cassette_does_not_reach_the_next_one
        kevin1024/vcrpy#327: a thread outlives its test
    test_streamed_answer_is_read_while_it_is_recorded_and_replayed
        kevin1024/vcrpy#502: streams of aiohttp, while recording
        kevin1024/vcrpy#597: streams of httpx
    test_answer_that_is_not_followed_keeps_its_status
        kevin1024/vcrpy#571: redirects that are not followed
        kevin1024/vcrpy#619: redirects of httpx
    test_several_cookies_are_kept_and_sent_again
        betamaxpy/betamax#39: cookies while recording
        betamaxpy/betamax#58: cookies in a replay
        betamaxpy/betamax#128: two cookies and a placeholder
        nock/nock#818: several cookies
    test_body_keeps_its_bytes
        betamaxpy/betamax#105: bodies that are not text
        nock/nock#2807: compressed bodies
    test_stream_that_nobody_reads_does_not_reach_the_next_cassette
        DataDog/dd-trace-py#18778: a stream that is not read reaches later tests
redaction/test_user_rules.py
    test_function_must_return_an_object
        kevin1024/vcrpy#863: a rule of redaction that returns nothing
../pytest_plugin/test_network.py
    test_allowed_hosts_are_named_on_the_command_line_or_in_the_ini_file
        kiwicom/pytest-recording#7: allowed hosts
    test_host_that_is_named_is_allowed_with_the_addresses_that_it_has
        kiwicom/pytest-recording#40: allowed hosts by name
    test_other_machines_cannot_be_reached
        kiwicom/pytest-recording#131: look-ups of names are blocked, too
    test_marked_test_without_a_cassette_reaches_nothing
        kiwicom/pytest-recording#150: a marked test records in spite of the block
    test_this_machine_can_be_reached_sync_and_async
        typesafe-ai/system-one-adapter-python#44: blocked loopback breaks event loops
record/test_stable.py
    test_recording_that_means_the_same_is_the_same
        kiwicom/pytest-recording#37: record a cassette again
test_runtime.py
    test_runtime_replays_what_it_recorded
        google/adk-python#5410: calls with equal arguments are equal
http/test_model_recorder.py
    test_chunks_pass_while_they_come_and_keep_their_bounds
        BerriAI/litellm#38136: chunks of a stream, and one that breaks
../pytest_plugin/test_scopes.py
    test_agent_of_a_module_is_recorded_once_and_replayed
        ultimate-notion/ultimate-notion#351: fixtures of modules, recorded again
"""
"""Files of tests, the tests in them, and the reports that each is about."""


def reported():
    file = name = ""
    for line in REPORTS.strip().splitlines():
        depth, text = len(line) - len(line.lstrip()), line.strip()
        if depth == 0:
            file = text
        elif depth == 4:
            name = text
        else:
            yield text.partition(":")[0], file, name


@pytest.mark.parametrize(("report", "file", "name"), list(reported()))
def test_each_report_has_a_test(report, file, name):
    text = (HERE / file).read_text(encoding="utf-8")
    assert f"def {name}(" in text, report

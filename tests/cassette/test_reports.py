"""Public reports of people who use other record-replay tools, and our test of each situation.

Shape and intent are those of the report; the code is our own.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent

REPORTS = """
http/test_replayed_http.py
    test_secret_in_an_upload_is_not_written
        betamaxpy/betamax#35: a placeholder in the body of a request
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
    test_model_seam_explains_another_request
        vcr/vcr#360: the failure shows the body
    test_model_seam_answers_each_order_with_its_own_answer
        parroty/exvcr#127: parallel requests get the answers of others
        socketry/async#381: parallel requests in another order
    test_other_prompt_is_explained_at_once
        BerriAI/litellm#37525: a changed request gets the old answer
    test_prompt_too_few_is_a_failure_unless_allowed
        BerriAI/litellm#37360: requests that are not made any more pass
    test_new_episodes_replays_the_known_and_records_the_new
        kevin1024/vcrpy#68: `new_episodes` does not work
        dnaeon/go-vcr#20: a mode that replays and records
    test_once_replays_what_is_there_and_all_records_anew
        kevin1024/vcrpy#208: `all` replaces the old recording
        vcr/vcr#628: `all` leaves nothing of the old recording
        php-vcr/php-vcr#462: `all` records everything again
        ktosiek/pytest-vcr#49: `all` adds to the old recording
    test_decorator_makes_a_block_of_each_call
        kevin1024/vcrpy#150: decorated functions in two threads
    test_missing_cassette_is_told_before_anything_starts
        google/adk-python#7128: a replay without a recording
http/test_reported_http.py
    test_answer_without_the_compressed_body_that_its_headers_name
        kevin1024/vcrpy#661: an empty answer that is compressed
    test_requests_without_a_body_are_found
        ropensci/vcr#157: requests without a body
    test_fields_of_a_form_are_found_in_their_order_and_in_another
        betamaxpy/betamax#65: fields of a form in another order
    test_more_equal_requests_than_recorded_are_added_in_one_run
        kevin1024/vcrpy#516: several runs are needed to record equal requests
    test_equal_requests_get_their_answers_in_order
        airtasker/proxay#8: equal requests with different answers
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
    test_changed_prompt_changes_only_its_lines
        ogx-ai/ogx#3676: ids and times make `git diff` long
    test_agents_that_run_side_by_side_are_recorded_in_the_same_order
        nock/nock#1478: requests are recorded in the order of their answers
        blackflux/lambda-tdd#224: an order that can be reviewed
    test_recording_that_means_the_same_is_the_same
        kiwicom/pytest-recording#37: record a cassette again
test_runtime.py
    test_runtime_replays_what_it_recorded
        google/adk-python#5410: calls with equal arguments are equal
http/test_model_recorder.py
    test_same_request_twice_gets_both_answers_in_order
        mastra-ai/mastra#19437: equal requests with different answers
        sipyourdrink-ltd/bernstein#1865: the last of equal requests is used for all
    test_chunks_pass_while_they_come_and_keep_their_bounds
        BerriAI/litellm#38136: chunks of a stream, and one that breaks
../pytest_plugin/test_scopes.py
    test_agent_of_a_module_is_recorded_once_and_replayed
        ultimate-notion/ultimate-notion#351: fixtures of modules, recorded again
replay/test_machine.py
    test_client_that_asks_more_than_recorded_is_told
        kevin1024/vcrpy#516: the request is there, and was played already
    test_agents_alike_may_start_and_ask_in_any_order
        nock/nock#2067: the order of matches is random
replay/tool_calls/test_tool_errors.py
    test_exception_of_a_tool_keeps_class_and_traceback
        zenml-io/kitaru#877: a failed tool call, and one that returned nothing
matching/test_normalize.py
    test_prompt_and_result_with_other_ids_replay
        quintonmiller/tailored-ai#550: a tool makes a random id
        n8n-io/n8n#25173: ids and ports differ in each run
redaction/test_http_bodies.py
    test_known_value_is_found_in_every_encoding
        betamaxpy/betamax#196: values that are quoted in an address
    test_parts_of_a_form_are_cleaned_each_by_itself
        cal-itp/data-infra#4095: a password in a form
redaction/test_redactor.py
    test_planted_secret_is_not_on_disk
        vcr/vcr#599: keys are written
        vcr/vcr#704: tokens are written
        leocabeza/clash-api#9: the key of an API is written
        canonical/ubuntu.com#16555: a key in a header is written
commands/test_cli.py
    test_verify_looks_at_every_file_and_redact_cleans_what_it_finds
        ropensci/vcr#88: look for keys in recordings
    test_verdict_names_file_and_line_and_no_secret
        MehdiZare/fmp-data#263: the report of a leak prints the key
processes/test_forked.py
    test_script_that_only_uses_the_sdk_is_refused_while_a_cassette_is_in_use
        hidai25/eval-view#230: what cannot be recorded runs live
../pytest_plugin/test_markers.py
    test_in_ci_a_missing_cassette_fails_with_the_command_to_type
        kiwicom/pytest-recording#38: recordings change in CI
        anomalyco/opencode#26719: a missing recording fails in CI
        oceanmodeling/searvey#37: a test without its recording passes
    test_parametrised_names_are_safe_and_stay_apart
        open-telemetry/opentelemetry-python-genai#14: names of tests with parameters
    test_repeated_test_has_one_cassette
        kevin1024/vcrpy#493: a test that runs twice
        kiwicom/pytest-recording#72: play a recording again
    test_command_line_beats_the_marker_the_marker_the_ini_file_and_all_beat_ci
        Flexget/Flexget#4655: record all tests again from outside
../pytest_plugin/test_unused.py
    test_cassette_without_a_test_is_reported
        kiwicom/pytest-recording#163: name unused recordings
        spotify/polly-jest-presets#6: recordings of renamed tests stay
        Flexget/Flexget#4591: delete recordings without a test
../pytest_plugin/test_playing.py
    test_workers_lose_no_recording_of_a_shared_cassette
        kevin1024/vcrpy#248: pytest-xdist
    test_cassette_that_cannot_be_read_is_the_failure_of_the_test
        kevin1024/vcrpy#1022: a broken file is taken for a new one
../pytest_plugin/reports/test_brief_reports.py
    test_same_difference_is_shown_once_and_counted_at_the_end
        google/adk-js#647: a changed prompt breaks every sample
../pytest_plugin/test_defaults.py
    test_failed_tests_are_recorded_again
        cacheplane/b4run#234: record a failed case and keep it
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

"""Recorded HTTP requests correct the rows that frames alone give."""

from __future__ import annotations

import json

import pytest
import yaml

from agy_nb.analysis import load
from tests.analysis.conftest import CHILD, ROOT, START, Wire, save


def body_of(where):
    instruction = f"Conversation ID: {where.id}\n" if where else "You are a search engine bot."
    data = {
        "contents": [{"parts": [{"text": "Quote: Conversation ID: " + "f" * 32}]}],
        "systemInstruction": {"parts": [{"text": instruction}]},
    }
    return json.dumps(data | ({} if where else {"tools": [{"googleSearch": {}}]}))


def request(
    usage=None, *, where=ROOT, code=200, end="ok", model="gemini-2.5-flash", finish="STOP", **more
):
    """A recorded request and its response."""
    chunk = {"candidates": [{"finishReason": finish, **more}], "modelVersion": f"{model}-002"}
    if usage is not None:
        chunk["usageMetadata"] = usage
    method = "streamGenerateContent?alt=sse" if where else "generateContent"
    text = f"data: {json.dumps(chunk)}\r\n\r\n" if where else json.dumps(chunk)
    return {
        "request": {
            "method": "POST",
            "uri": f"http://127.0.0.1/v1beta/models/{model}:{method}",
            "body": body_of(where),
            "headers": {},
        },
        "response": {
            "status": {"code": code, "message": ""},
            "headers": {},
            "body": {"string": text if code < 400 else '{"error": {}}'},
            "x_agy_chunks": [[len(text), 0.25]],
            "x_agy_end": end,
            "x_agy_started": START + 1,
            "x_agy_headers": 0.5,
        },
    }


def counts(prompt, answer=0, **more):
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        "totalTokenCount": prompt + answer,
        **more,
    }


def of(modality, tokens):
    return {"modality": modality, "tokenCount": tokens}


def recording(tmp_path, wire, *interactions):
    folder = save(tmp_path / "c", wire.end())
    data = {"interactions": list(interactions), "version": 1}
    (folder / "model.yaml").write_text(yaml.safe_dump(data))
    return load(folder)


def one_call():
    return Wire().begin().prompt().step(1, text="Hi").usage(prompt=100, answer=10).idle()


def test_a_request_has_the_facts_of_http(tmp_path):
    sessions = recording(tmp_path, one_call(), request(counts(100, 10), finish="MAX_TOKENS"))
    [row] = sessions.model_calls.to_dict("records")
    assert (row["status"], row["http_status"], row["finish_reason"]) == (
        "metered",
        200,
        "MAX_TOKENS",
    )
    assert (row["model"], row["model_source"]) == ("gemini-2.5-flash", "http")
    assert row["model_version"] == "gemini-2.5-flash-002"
    assert row["timing"] == "http"
    assert row["started_at"].timestamp() == START + 1
    assert (row["duration"].total_seconds(), row["ttft"].total_seconds()) == (0.75, 0.75)
    assert row["request_bytes"] == len(body_of(ROOT))
    assert not len(sessions.problems)


def test_tokens_by_modality_and_searches_are_columns(tmp_path):
    usage = counts(
        100,
        10,
        promptTokensDetails=[
            {"modality": "TEXT", "tokenCount": 60},
            {"modality": "AUDIO", "tokenCount": 40},
        ],
        candidatesTokensDetails=[{"modality": "IMAGE", "tokenCount": 10}],
        toolUsePromptTokensDetails=[{"modality": "TEXT", "tokenCount": 7}],
        serviceTier="STANDARD",
    )
    searches = {"groundingMetadata": {"webSearchQueries": ["tea", "green tea"]}}
    [row] = recording(tmp_path, one_call(), request(usage, **searches)).model_calls.to_dict(
        "records"
    )
    assert (row["input_text_tokens"], row["input_audio_tokens"]) == (60, 40)
    assert (row["input_image_tokens"], row["output_image_tokens"]) == (0, 10)
    assert (row["tool_use_tokens"], row["n_searches"]) == (7, 2)
    assert row["search_cost_usd"] == pytest.approx(0.07)


def test_a_call_that_the_harness_did_not_count_becomes_a_row_and_a_problem(tmp_path):
    sessions = recording(tmp_path, one_call(), request(counts(70, 5)), request(counts(100, 10)))
    assert sessions.model_calls["total_tokens"].tolist() == [75, 110]
    assert sessions.model_calls["turn_id"].tolist() == [1, 1]
    assert sessions.turns["n_model_calls"].tolist() == [2]
    [problem] = sessions.problems.to_dict("records")
    assert problem["problem"] == "http_differs"
    assert "110 tokens in 1 requests, HTTP has 185 in 2" in problem["detail"]


def test_attempts_of_one_request_are_numbered(tmp_path):
    refused = {"error": {"errorMessage": "exhausted", "httpCode": 429}}
    wire = Wire().begin().prompt().step(0, state="ERROR", source="SYSTEM", **refused)
    wire.step(1, text="Hi").usage(prompt=100, answer=10).idle()
    sessions = recording(
        tmp_path, wire, request(code=429), request(code=503), request(counts(100, 10))
    )
    calls = sessions.model_calls
    assert calls["status"].tolist() == ["refused", "refused", "metered"]
    assert calls["attempt"].tolist() == [1, 2, 3]
    assert calls["http_status"].tolist() == [429, 503, 200]
    assert sessions.turns["n_refused"].tolist() == [2]
    assert not sessions.usage("turn")["tokens_are_lower_bound"].any()


def test_a_request_belongs_to_its_subagent_whose_model_is_its_own(tmp_path):
    wire = (
        Wire().begin().prompt().step(0, where=CHILD, text="Yes").usage(CHILD, prompt=30, answer=3)
    )
    wire.step(1, text="Hi").usage(prompt=100, answer=10).idle()
    sessions = recording(
        tmp_path,
        wire,
        request(counts(30, 3), where=CHILD, model="gemini-2.5-pro"),
        request(counts(100, 10)),
    )
    calls = sessions.model_calls
    assert calls["trajectory_id"].tolist() == [CHILD.id, ROOT.id]
    assert calls["model"].tolist() == ["gemini-2.5-pro", "gemini-2.5-flash"]
    assert calls["price_model"].tolist() == ["gemini-2.5-pro", "gemini-2.5-flash"]


def test_the_tokens_of_a_search_are_known_only_by_http(tmp_path):
    search = {"searchWeb": {"query": "tea"}}
    wire = Wire().begin().prompt().step(1, state="ACTIVE", target="ENVIRONMENT", **search)
    wire.usage(prompt=50).step(1, state="DONE", target="ENVIRONMENT", **search)
    wire.step(2, text="Tea.").usage(prompt=100, answer=10).idle()
    both = recording(
        tmp_path,
        wire,
        request(counts(50)),
        request(counts(580, 8), where=None),
        request(counts(100, 10)),
    )
    assert both.usage("turn")["total_tokens"].tolist() == [50 + 588 + 110]
    assert not both.usage("turn")["tokens_are_lower_bound"].any()
    assert both.model_calls["tool"].fillna("").tolist() == ["", "search_web", ""]
    frames = load(tmp_path / "c", model_requests=False)
    assert frames.usage("turn")["total_tokens"].tolist() == [160]
    assert frames.usage("turn")["tokens_are_lower_bound"].all()


@pytest.mark.parametrize("usage", [None, counts(90, 4)])
def test_a_stream_that_was_cut_is_a_lower_bound(tmp_path, usage):
    wire = Wire().begin().prompt().step(1, text="On", state="ACTIVE")
    wire.add("client", {"haltRequest": True}).idle()
    sessions = recording(tmp_path, wire, request(usage, end="aborted", finish=""))
    [row] = sessions.usage("turn").to_dict("records")
    assert row["tokens_are_lower_bound"]
    assert (row["n_requests"], row["n_usage_unknown"]) == (1, 1)
    assert sessions.model_calls["status"].tolist() == ["cut"]
    if usage:
        assert row["total_tokens"] == 94


@pytest.mark.parametrize("text", ["", "a: [", "interactions: 5", "interactions: [{}]"])
def test_requests_that_cannot_be_read_are_a_problem(tmp_path, text):
    folder = save(tmp_path / "c", one_call().end())
    (folder / "model.yaml").write_text(text)
    sessions = load(folder)
    assert sessions.model_calls["total_tokens"].tolist() == [110]
    assert sessions.problems["problem"].tolist() == (["damaged"] if text else [])

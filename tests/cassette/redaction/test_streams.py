"""A secret that comes in pieces is as little on disk as one that comes whole."""

import itertools
import json
import re

import pytest
from hypothesis import given, strategies as st

from agy_nb.cassette.redaction import HOME, SECRET, TEMP, Redactor
from agy_nb.cassette.redaction.http.sse_events import clean_stream
from agy_nb.cassette.redaction.split_text import clean_pieces
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.storage.format import WireRecord, encode_line
from tests.cassette.redaction.test_redactor import ANY_VALUE, PLACES_IN_TEXT, PLANTED

PLACES = {HOME: "/home/ada", TEMP: "/tmp"}
GOOGLE = "AIza" + "Sy" * 18


def redactor(*rules, **environ):
    return Redactor(rules, environ=environ, places=PLACES)


def step(delta, text, *, index=0, trajectory="c0", state="STATE_ACTIVE", name="text"):
    body = {"trajectoryId": trajectory, "stepIndex": index, "state": state}
    return {"stepUpdate": body | {name: text, f"{name}Delta": delta}}


def streamed(pieces, **fields):
    """The frames in which a harness hands on what a model streams: a delta, and the text so far."""
    text, frames = "", []
    for piece in pieces:
        text += piece
        frames.append(step(piece, text, **fields))
    return [*frames, step("", text, **fields | {"state": "STATE_DONE"})]


def lines_of(frames, session=0):
    return [WireRecord(session, "harness", 0.0, frame) for frame in frames]


def written(lines, one):
    """What is on disk after each line that comes: as a crash at that moment would leave it."""
    coming, disk = iter(lines), []

    def taking():
        for line in coming:
            yield line
            after.append(len(disk))

    after = []
    for line in joined(taking(), one):
        disk.append(one.line(line).frame)  # noqa: PERF401 - its length is watched meanwhile
    return disk, after


def deltas(frames, name="text"):
    return "".join(frame["stepUpdate"][f"{name}Delta"] for frame in frames if "stepUpdate" in frame)


def cut(text, places):
    bounds = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(bounds)]


CUTS = st.lists(st.integers(0, 10_000), max_size=12)
AROUND = st.sampled_from(["{}", "Here it is: {}.", "{} and\nmore words after it", '{{"x": "{}"}}'])


def parts_of(secret):
    """What of a secret must not be on disk, down to its first eight characters."""
    for part in secret.split("\n")[-2:-1] or [secret]:
        yield part[:8] if len(secret.split("\n")) == 1 else part


@given(
    PLANTED, st.sampled_from(PLACES_IN_TEXT), AROUND, CUTS, st.sampled_from(["text", "thinking"])
)
def test_planted_secret_cut_anywhere_is_not_on_disk(secret, wrap, around, cuts, name):
    quoted = secret.replace("\n", "\\n") if wrap.startswith("{{") else secret
    text = around.format(wrap.format(quoted))
    frames, _ = written(lines_of(streamed(cut(text, cuts), name=name)), redactor())
    everything = json.dumps(frames) + deltas(frames, name)
    for part in parts_of(secret):
        assert part not in everything


@given(ANY_VALUE, AROUND, CUTS)
def test_value_of_a_secret_variable_cut_anywhere_is_not_on_disk(value, around, cuts):
    text = around.replace("{}", "\0").replace("{{", "{").replace("}}", "}").replace("\0", value)
    one = redactor(MY_API_KEY=value)
    frames, _ = written(lines_of(streamed(cut(text, cuts))), one)
    assert value not in deltas(frames)
    assert all(value[:-1] not in frame["stepUpdate"]["text"] for frame in frames)


@given(PLANTED, AROUND, CUTS, st.data())
def test_no_crash_leaves_a_part_of_it(secret, around, cuts, data):
    frames = streamed(cut(around.format(secret), cuts))
    crash = data.draw(st.integers(0, len(frames)))
    one, disk = redactor(), []

    class Killed(Exception):
        pass

    def until():
        yield from lines_of(frames[:crash])
        raise Killed

    with pytest.raises(Killed):
        disk.extend(one.line(line).frame for line in joined(until(), one))
    for part in parts_of(secret):
        assert part not in json.dumps(disk) + deltas(disk)


@given(st.text("aé你 \n.,:=\"'{}[]/", max_size=60), CUTS)
def test_text_without_secrets_is_as_it_was(text, cuts):
    lines = lines_of(streamed(cut(text, cuts)))
    assert list(joined(lines, redactor())) == lines


def test_step_waits_for_its_end():
    pieces = ["It ", "is ", "fi", "ne. ", "Bye"]
    _, after = written(lines_of(streamed(pieces)), redactor())
    assert after == [0, 0, 0, 0, 0, 6]  # the last frame says that the step is done


def test_lines_that_wait_do_not_keep_the_text_so_far_each():
    import tracemalloc

    def frames():
        text = ""
        for number in range(4000):
            piece = f"word {number} "
            text += piece
            yield WireRecord(0, "harness", 0.0, step(piece, text))

    tracemalloc.start()
    try:
        assert sum(1 for _ in joined(frames(), redactor())) == 4000  # 80 million characters
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_other_frames_of_the_session_keep_their_order_and_other_sessions_do_not_wait():
    half, rest = GOOGLE[:10], GOOGLE[10:]
    lines = [
        WireRecord(0, "harness", 0.0, step(half, half)),
        WireRecord(0, "client", 0.0, {"haltRequest": True}),
        WireRecord(1, "client", 0.0, {"config": {}}),
        WireRecord(0, "harness", 0.0, step(rest, GOOGLE)),
        WireRecord(0, "end", 0.0, {"by": "client"}),
    ]
    one = redactor()
    found = [one.line(line) for line in joined(lines, one)]
    assert [(line.session, line.direction) for line in found] == [
        (1, "client"), (0, "harness"), (0, "client"), (0, "harness"), (0, "end"),
    ]  # fmt: skip
    assert deltas([line.frame for line in found]) == SECRET


def test_steps_side_by_side_are_told_apart():
    one, other = cut(GOOGLE, [9]), cut(GOOGLE[::-1], [9])
    frames = [
        frame
        for pair in zip(streamed(one), streamed(other, trajectory="c1", index=3), strict=True)
        for frame in pair
    ]
    found, _ = written(lines_of(frames), redactor())
    assert deltas(found) == SECRET + GOOGLE[::-1]


def test_turn_that_is_cancelled_holds_nothing_back():
    idle = {"trajectoryStateUpdate": {"trajectoryId": "c0", "state": "STATE_CANCELLED"}}
    _, after = written(lines_of([step("Hel", "Hel"), idle, step("", "")]), redactor())
    assert after[1] == 2


def test_text_that_begins_anew_is_another_one():
    frames = [step("AIzaSy", "AIzaSy"), step("No", "No"), *streamed(["No", " more"])[1:]]
    found, _ = written(lines_of(frames), redactor())
    assert [frame["stepUpdate"]["text"] for frame in found] == [
        "AIzaSy",
        "No",
        "No more",
        "No more",
    ]


def test_name_in_streamed_json_makes_its_value_a_secret():
    text = '{"city": "Oslo", "sessionKey": "ab1"}'
    frames, _ = written(lines_of(streamed(cut(text, [3, 20, 30, 34]))), redactor())
    assert "ab1" not in json.dumps(frames)
    assert json.loads(deltas(frames))["city"] == "Oslo"


def test_own_rule_sees_the_whole_text():
    rule = re.compile(r"project\s+\w+")
    frames, _ = written(lines_of(streamed(["the pro", "ject  ", "apollo 11"])), redactor(rule))
    assert deltas(frames) == "the {{agy:rule}} 11"


def test_value_of_many_lines_is_waited_for():
    value = "first line\nsecond line\nthird"
    one = redactor(MY_SECRET=value)
    frames, _ = written(
        lines_of(streamed(["It is first ", "line\nsec", "ond line\n", "third!"])), one
    )
    assert deltas(frames) == f"It is {SECRET}!"


def test_folder_in_pieces_becomes_a_place_that_comes_back():
    text = "in /home/ada/x and /home/adalbert"
    frames, _ = written(lines_of(streamed(cut(text, [9, 28]))), redactor())
    assert "/home/ada/x" not in deltas(frames)
    assert deltas(frames).replace(HOME, "/home/ada") == text


def test_joining_twice_changes_nothing():
    one = redactor()
    once = [
        one.line(x) for x in joined(lines_of(streamed(cut(f"Cookie: a={GOOGLE}", [5, 30]))), one)
    ]
    assert [one.line(line) for line in joined(once, one)] == once


class Counting(Redactor):
    looked_at = 0

    def spans(self, text):
        self.looked_at += len(text)
        return super().spans(text)


def test_long_answer_is_looked_at_once():
    one = Counting(environ={}, places=PLACES)
    frames = [step(f"the key {n} ", None) for n in range(2000)]
    assert sum(1 for _ in joined(lines_of(frames), one)) == 2000
    assert one.looked_at <= sum(len(frame["stepUpdate"]["textDelta"]) for frame in frames)


# -- bodies of HTTP -------------------------------------------------------------------------


def sse(pieces, form="gemini"):
    made = {
        "gemini": lambda p: {
            "candidates": [{"content": {"parts": [{"text": p}], "role": "model"}}]
        },
        "openai": lambda p: {"choices": [{"index": 0, "delta": {"content": p}}]},
        "second part": lambda p: {
            "candidates": [{"content": {"parts": [{"text": "hm", "thought": True}, {"text": p}]}}]
        },
    }[form]
    return [f"data: {json.dumps(made(piece))}\r\n\r\n" for piece in pieces]


@given(PLANTED, AROUND, CUTS, st.sampled_from(["gemini", "openai", "second part"]))
def test_planted_secret_cut_anywhere_is_in_no_body(secret, around, cuts, form):
    events = sse(cut(around.format(secret), cuts), form)
    chunks = [[len(event), 0.25] for event in events]
    body, kept = clean_stream("".join(events), chunks, redactor())
    texts = re.findall(r'"(?:text|content)": ("(?:[^"\\]|\\.)*")', body)
    said = "".join(json.loads(text) for text in texts).replace("hm", "")
    for part in parts_of(secret):
        assert part not in body + said
    assert sum(size for size, _ in kept) == len(body.encode())
    assert sum(dt for _, dt in kept) == sum(dt for _, dt in chunks)
    assert len(kept) == len(chunks)


def test_thought_between_the_pieces_does_not_hide_a_secret():
    thought = {"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}]}}]}
    events = [
        *sse([GOOGLE[:9]]),
        f"data: {json.dumps(thought)}\n\n",
        *sse([GOOGLE[9:]], "second part"),
    ]
    body, _ = clean_stream("".join(events), [], redactor())
    assert "AIza" not in body
    assert GOOGLE[9:] not in body


def test_array_of_answers_is_joined_too():
    events = [json.loads(event[6:]) for event in sse(cut(GOOGLE, [7]))]
    body, _ = clean_stream(json.dumps(events, indent=1), [], redactor())
    assert SECRET in body
    assert GOOGLE[:7] not in body
    assert GOOGLE[7:] not in body


def test_body_without_secrets_is_as_it_was():
    body = "".join(sse(["It \u2028 is", " fine"])) + ": ping\r\n\r\ndata: [DONE]\n\ndata: {oops\n"
    chunks = [[5, 0.1], [len(body.encode()) - 5, 0.2]]
    assert clean_stream(body, chunks, redactor()) == (body, chunks)


@given(st.text(max_size=40), CUTS)
def test_pieces_add_up_to_the_clean_text(text, cuts):
    one = redactor()
    assert "".join(clean_pieces(cut(text, cuts), one)) == one.text(text)


def test_line_on_disk_is_the_cleaned_one():
    one = redactor()
    lines = joined(lines_of(streamed(cut(GOOGLE, [5, 20]))), one)
    raw = b"".join(encode_line(one.line(line)) for line in lines).decode()
    assert GOOGLE[:8] not in raw
    assert GOOGLE[20:28] not in raw


def test_text_so_far_is_not_looked_through_again_and_again():
    class Counting(Redactor):
        looked_at = 0

        def _plain(self, text):
            self.looked_at += len(text)
            return super()._plain(text)

    one = Counting(environ={}, places=PLACES)
    lines = joined(lines_of(streamed(["all is well "] * 1000)), one)
    assert sum(1 for _ in map(one.line, lines)) == 1001
    assert one.looked_at < 1001 * 400


def test_key_learned_meanwhile_is_taken_out_of_the_text_so_far():
    one = redactor()
    frames = streamed(["the key loop-key-1 ", "is mine ", "alone "])
    config = {"config": {"apiKey": "loop-key-1"}}
    lines = [*lines_of(frames[:1]), WireRecord(0, "client", 0.0, config), *lines_of(frames[1:])]
    disk = [one.line(line).frame for line in joined(lines, one)]
    assert "loop-key-1" not in json.dumps(disk[1:])

"""Shipped cassettes with a part damaged: every command gives words, never a traceback."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb import cli
from agy_nb.analysis.schema import TABLES
from agy_nb.cassette import CassetteError
from agy_nb.cassette.storage.cassette_reader import load

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_parser")]

SHIPPED = Path(__file__).parents[3] / "cassettes"
NAMES = sorted(
    folder.name
    for folder in SHIPPED.iterdir()
    if (folder / "wire.jsonl").exists() and folder.name != "two_hundred_turns"
)
EACH = 40 if os.environ.get("AGY_SOAK") else 1
"""Damaged copies of each cassette; 22 times 40 with `make soak`."""
WRONG = [None, True, -1, 1.5, 10**400, "", "x", "\ud800", [], [None], [[[]]], {}, {"a": {"b": []}}]


def any_file(rng, folder):
    return rng.choice(sorted(each for each in folder.iterdir() if each.is_file()))


def cut_off(rng, folder):
    file = any_file(rng, folder)
    data = file.read_bytes()
    file.write_bytes(data[: rng.randrange(len(data))])


def flip_bytes(rng, folder):
    file = any_file(rng, folder)
    data = bytearray(file.read_bytes())
    for _ in range(rng.choice([1, 1, 5, 50])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    file.write_bytes(data)


def take_out(rng, folder):
    file = any_file(rng, folder)
    lines = file.read_bytes().splitlines(keepends=True)
    start = rng.randrange(len(lines))
    file.write_bytes(b"".join(lines[:start] + lines[start + rng.choice([1, 1, 9]) :]))


def swap_lines(rng, folder):
    file = any_file(rng, folder)
    lines = file.read_bytes().splitlines(keepends=True)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    file.write_bytes(b"".join(lines))


def twice(rng, folder):
    file = any_file(rng, folder)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines + lines[rng.randrange(len(lines)) :]))


def delete(rng, folder):
    any_file(rng, folder).unlink()


def make_folder(rng, folder):
    file = any_file(rng, folder)
    file.unlink()
    file.mkdir()


def exchange_files(rng, folder):
    one, other = rng.sample(sorted(folder.iterdir()), 2)
    data = one.read_bytes(), other.read_bytes()
    one.write_bytes(data[1])
    other.write_bytes(data[0])


def places(value, found):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        found.append((value, key))
        if isinstance(item, dict | list):
            places(item, found)


def wrong_type(rng, folder):
    file = folder / rng.choice(["wire.jsonl", "wire.jsonl", "header.json"])
    lines = file.read_text("utf-8").splitlines() if file.suffix == ".jsonl" else [file.read_text()]
    number = rng.randrange(len(lines))
    data = json.loads(lines[number])
    for _ in range(rng.choice([1, 1, 3])):
        found = []
        places(data, found)
        holder, key = rng.choice(found)
        if rng.random() < 0.2 and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = rng.choice(WRONG)
        if not data:
            break
    lines[number] = json.dumps(data)
    file.write_text("\n".join(lines) + "\n", "utf-8")


def wrong_yaml(rng, folder):
    file = folder / "model.yaml"
    lines = file.read_text("utf-8").splitlines(keepends=True)
    keys = [n for n, line in enumerate(lines) if line.rstrip().endswith(":") or ": " in line[:40]]
    number = rng.choice(keys)
    name = lines[number].partition(":")[0]
    value = rng.choice(
        ["null", "[]", "{}", "-1", "1e999", "!!python/object:os.x {}", "*a", "2026-01-01"]
    )
    lines[number] = f"{name}: {value}\n"
    file.write_text("".join(lines), "utf-8")


DAMAGES = [
    cut_off, flip_bytes, take_out, swap_lines, twice, delete, make_folder, exchange_files,
    wrong_type, wrong_type, wrong_type, wrong_yaml,
]  # fmt: skip


def misbehaved(folder, capsys):
    """What goes wrong with a cassette, one line each."""
    try:
        load(folder)
    except CassetteError as error:
        if not str(error):
            yield "load says nothing"
    except Exception as error:
        yield f"load raises {error!r}"
    for command in ("show", "verify"):
        try:
            code = cli.main(["cassette", command, str(folder)])
        except Exception as error:
            yield f"{command} raises {error!r}"
            continue
        finally:
            out, err = capsys.readouterr()
        if code not in (0, 1) or not out + err or "Traceback" in out + err:
            yield f"{command} gives {code} and says {(out + err)[-300:]!r}"


def rows_of(folders, into):
    """How many rows each table has for each recording. Exports all tables on the way."""
    sessions = agy.load(folders)
    for name, export in (("parquet", sessions.to_parquet), ("csv", sessions.to_csv)):
        export(into / name)
    sessions.usage(by="model")
    sessions.summary()
    return {
        name: sessions.frame(name).groupby("session_id", dropna=False).size()
        for name in TABLES
        if "session_id" in sessions.frame(name)
    }


@pytest.mark.blocking_allowed
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_damaged_cassette_is_explained(name, tmp_path, capsys):
    found = []
    sound = shutil.copytree(SHIPPED / "thoughts", tmp_path / "sound")
    expected = rows_of([sound], tmp_path / "expected")
    for number in range(EACH):
        rng = random.Random(f"{name} {number}")
        folder = shutil.copytree(SHIPPED / name, tmp_path / f"{name}-{number}")
        damages = rng.sample(DAMAGES, rng.choice([1, 1, 2]))
        for damage in damages:
            try:
                damage(rng, folder)
            except (IndexError, ValueError, OSError):  # the first damage left nothing for it
                continue
        words = [*misbehaved(folder, capsys)]
        try:
            tables = rows_of([sound, folder], tmp_path / f"{folder.name}-out")
        except Exception as error:
            words.append(f"agy.load raises {error!r}")
        else:
            words += [
                f"the sound recording lost rows of {table}"
                for table, rows in expected.items()
                if not rows.equals(tables[table].reindex(rows.index))
            ]
        found += [f"{number} {[each.__name__ for each in damages]}: {each}" for each in words]
        shutil.rmtree(folder)
    assert found == []

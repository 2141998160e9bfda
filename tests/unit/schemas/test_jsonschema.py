"""The JSON Schema files are what the structs say, and what we write fits them."""

import json

import jsonschema
import pytest

from jitr.schemas.calls import Call, Message
from jitr.schemas.evidence import Tick
from jitr.schemas.jsonschema import FOLDER, files
from jitr.schemas.record import encode


def test_the_files_on_disk_are_current() -> None:
    on_disk = {f.name: f.read_bytes() for f in FOLDER.glob("*.json")}
    assert on_disk == files(), "run `make docs`"


@pytest.mark.parametrize(
    ("name", "record"),
    [
        (
            "dev.jitr.llm.call.v1",
            Call(id="a", model="m", messages=(Message(role="user", content="x"),), time=1.0),
        ),
        ("dev.jitr.evidence.v1", Tick(id="a", tenant="t", task="k", time=1.0, labels=3)),
    ],
)
def test_an_encoded_record_fits_its_schema(name: str, record: Call | Tick) -> None:
    schema = json.loads((FOLDER / f"{name}.json").read_bytes())
    jsonschema.validate(json.loads(encode(record)), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"id": 5}, schema)

"""What verbs read and print: the task that a word means, and JSON."""

import json

import pytest

from jitr.cli.output import print_json
from jitr.cli.table import find
from jitr.router.table import Rows
from jitr.schemas.errors import NotFoundError
from jitr.schemas.routes import Route
from jitr.schemas.tasks import Signature, Task


def rows() -> Rows:
    made = Rows("t")
    for id, name in (("ab12", "spam"), ("ab34", "tone"), ("cd56", "tone")):
        made.tasks[id] = Task(id=id, tenant="t", name=name, signature=Signature(model="m", shape="user"))
        made.routes[id] = Route(tenant="t", task=id)
    return made


def test_a_task_is_meant_by_its_id_the_start_of_it_or_its_name():
    assert [find(rows(), word) for word in ("ab12", "cd", "spam")] == ["ab12", "cd56", "ab12"]


@pytest.mark.parametrize(
    ("word", "says"), [("ab", "ab12, ab34"), ("tone", "fits 2 tasks"), ("x", "tasks list")]
)
def test_a_word_that_means_none_or_several_is_refused(word, says):
    with pytest.raises(NotFoundError, match=says):
        find(rows(), word)


def test_json_shows_what_has_its_default_too(capsys):
    print_json({"routes": [Route(tenant="t", task="k")]})
    (shown,) = json.loads(capsys.readouterr().out)["routes"]
    assert (shown["state"], shown["target"], shown["audits"]) == ("teacher", {"kind": "teacher"}, 0)

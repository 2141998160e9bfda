"""Names of tasks: what is one, and how many there may be."""

from __future__ import annotations

import pytest

from jitr.router.gateway.task_names import FORGET_S, LONGEST, TaskNames


@pytest.mark.parametrize("name", ["a", "mail/urgent", "t-1_2.b:c@d+e", "two words", "x" * LONGEST])
def test_a_name(name: str) -> None:
    assert TaskNames(10).take("default", name)


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "-", "a\n", "\udcff", "\u00e9", "a;b", "a{b}", "x" * (LONGEST + 1)]
)
def test_no_name(name: str) -> None:
    assert not TaskNames(10).take("default", name)


def test_a_tenant_has_so_many_names_and_each_has_its_own() -> None:
    names = TaskNames(2)
    assert [names.take("default", n) for n in ("a", "b", "c", "a")] == [True, True, False, True]
    assert names.take("acme", "c")


def test_the_name_that_was_not_given_for_the_longest_leaves_after_an_hour() -> None:
    now = 0.0
    names = TaskNames(2, clock=lambda: now)
    assert names.take("default", "a") and names.take("default", "b") and names.take("default", "a")
    now = FORGET_S - 1
    assert not names.take("default", "c")
    now = FORGET_S
    assert names.take("default", "c")
    assert names.take("default", "a") and not names.take("default", "b")

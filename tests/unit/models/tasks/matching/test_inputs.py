"""What a surrogate reads of a call."""

from jitr.models.tasks.matching.inputs import input_of


def test_filled_slots_make_the_input():
    assert input_of((" a ", "", "b\n")) == "a\nb"
    assert input_of(("one ",)) == "one"
    assert input_of(()) == ""

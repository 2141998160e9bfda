from jitr.models.tasks.records.naming import name_of


def test_a_name_is_made_of_telling_words():
    assert name_of("Please classify the sentiment of the review:") == "classify-sentiment-review"


def test_a_template_without_words_has_a_name_all_the_same():
    assert name_of("?? :") == "task"


def test_names_differ():
    taken = {"sort"}
    taken.add(name_of("Sort:", frozenset(taken)))
    assert name_of("Sort:", frozenset(taken)) == "sort-3"

from jitr.models.tasks.mining.asked import closed, other_labels, same_labels
from jitr.models.tasks.mining.miner import Miner
from jitr.models.tasks.mining.window import Entry


def answered(*answers):
    return [Entry(i, f"prompt {i}", (), a, 0.0) for i, a in enumerate(answers)]


def test_answers_that_recur_are_closed_and_prose_is_not():
    assert closed(answered(*["yes", "no"] * 4))
    assert not closed(answered(*[f"word{i}" for i in range(8)]))
    assert not closed(answered(*["yes", None] * 4))


def test_the_same_labels_equally_often_say_that_two_questions_are_one():
    some = answered(*["red", "green", "blue"] * 6)
    assert same_labels(some, answered(*["blue", "red", "green"] * 5))
    assert not same_labels(some, answered(*["red"] * 16, "green", "blue"))


def test_yes_and_no_never_say_that_two_questions_are_one():
    assert not same_labels(answered(*["yes", "no"] * 8), answered(*["no", "yes"] * 8))


def test_other_labels_say_that_two_questions_are_two():
    assert other_labels(answered(*["red", "green"] * 8), answered(*["cold", "warm"] * 8))
    assert not other_labels(answered(*["red", "green"] * 8), answered(*[None] * 16))


def tasks_of(stream):
    miner = Miner()
    for i, (prompt, answer) in enumerate(stream):
        miner.add(prompt, i, answer)
    return miner, [miner.match(prompt).id for prompt, _ in stream]


def asked(labels, slot_values):
    stream = []
    for i, slot_value in enumerate(slot_values(400)):
        word = ["cause", "effect"][i % 2]
        prompt = f"Name the {word} of what is told here in one word.\nReport: {slot_value}"
        own = labels[word]
        stream.append((prompt, own[i // 2 % len(own)]))
    return stream


def test_a_word_that_changes_the_answers_makes_two_tasks(slot_values):
    own = {"cause": ("rain", "rust", "haste"), "effect": ("delay", "noise", "refund")}
    _, ids = tasks_of(asked(own, slot_values))
    assert len(set(ids)) == 2
    assert len(set(ids[::2])) == 1


def test_a_word_that_changes_nothing_is_a_slot(slot_values):
    labels = ("rain", "rust", "haste")
    _, ids = tasks_of(asked({"cause": labels, "effect": labels}, slot_values))
    assert len(set(ids)) == 1


def test_opposite_questions_with_the_same_two_answers_stay_two(slot_values):
    labels = ("yes", "no")
    _, ids = tasks_of(asked({"cause": labels, "effect": labels}, slot_values))
    assert len(set(ids)) == 2


def test_a_question_in_mid_sentence_is_believed_for_its_closed_answers(slot_values):
    def found(answers):
        miner = Miner()
        for i, slot_value in enumerate(slot_values(60)):
            miner.add(f"Could you fit {slot_value} {i}", i, answers[i % len(answers)])
        return len(miner.clusters)

    assert found(["yes", "no"]) == 1
    assert found([None]) == 0

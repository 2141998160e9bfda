from jitr.models.tasks.mining.clustering import MinerPolicy
from jitr.models.tasks.mining.miner import Miner

ASK = "Decide whether the following remark is polite.\nRemark: "
OTHER = "Translate this remark into French, keep its tone.\nRemark: "


def feed(miner, texts, start=0):
    return [miner.add(text, start + i) for i, text in enumerate(texts)]


def test_an_instruction_is_found_after_a_few_prompts(slot_values):
    ids = feed(Miner(), [ASK + p for p in slot_values(12)])
    assert ids[:5] == [None] * 5
    assert ids[-1] is not None


def test_the_instruction_may_stand_behind_the_slot(slot_values):
    miner = Miner()
    feed(miner, [p + "\nIs the remark above polite? Answer yes or no." for p in slot_values(12)])
    found = miner.match("a new one\nIs the remark above polite? Answer yes or no.")
    assert found is not None
    assert found.pattern.slots("a new one\nIs the remark above polite? Answer yes or no.") == ("a new one",)


def test_the_same_documents_under_two_instructions_are_two_templates(slot_values):
    miner = Miner()
    texts = [ask + p for p in slot_values(30) for ask in (ASK, OTHER)]
    feed(miner, texts)
    assert miner.match(ASK + "hello").id != miner.match(OTHER + "hello").id


def test_two_templates_that_differ_in_one_word_stay_two(slot_values):
    miner = Miner()
    asks = [
        "Write down the first step of this recipe.\nRecipe: ",
        "Write down the last step of this recipe.\nRecipe: ",
    ]
    feed(miner, [asks[i % 2] + p for i, p in enumerate(slot_values(40))])
    assert miner.match(asks[0] + "soup").id != miner.match(asks[1] + "soup").id


def test_four_templates_that_differ_in_one_word_are_one_with_a_slot(slot_values):
    miner = Miner()
    tongues = ["French", "German", "Italian", "Polish", "Danish", "Welsh"]
    texts = [
        f"Translate this sentence into {tongues[i % 6]}, please keep the tone.\nSentence: {p}"
        for i, p in enumerate(slot_values(120))
    ]
    feed(miner, texts)
    ids = {miner.match(text).id for text in texts}
    assert len(ids) == 1


def test_ad_hoc_questions_are_no_template(slot_values):
    miner = Miner()
    starts = ["Why did", "Tell me how", "I wonder if", "Explain", "Do you think"]
    ids = feed(miner, [f"{starts[i % 5]} {p}" for i, p in enumerate(slot_values(60))])
    assert set(ids) == {None}


def test_exact_repeats_are_no_evidence():
    miner = Miner()
    assert set(feed(miner, [ASK + "thanks a lot"] * 50)) == {None}
    assert len(miner.window) == 1


def test_the_window_is_bounded_by_count_and_by_characters(slot_values):
    miner = Miner(MinerPolicy(window=20, window_chars=10**9))
    feed(miner, [p[::-1] for p in slot_values(60)])
    assert len(miner.window) == 20
    miner = Miner(MinerPolicy(window_chars=400))
    feed(miner, [p[::-1] for p in slot_values(60)])
    assert miner.window.chars <= 400


def test_prompts_are_forgotten_by_event_time(slot_values):
    miner = Miner(MinerPolicy(horizon_s=100.0))
    for i, p in enumerate(slot_values(10)):
        miner.add(p, i, time=float(i))
    miner.add("much later", 99, time=105.0)
    assert min(e.time for e in miner.window.entries.values()) == 5.0


def test_the_store_of_clusters_is_bounded_and_small_templates_go_first(slot_values):
    miner = Miner(MinerPolicy(templates=3))
    asks = [
        f"Task {w}: say what {w} means in the remark below, briefly.\n{w} remark: " for w in ("alpha", "beta")
    ]
    feed(miner, [asks[0] + p for p in slot_values(60)])
    for n, word in enumerate(["gamma ray", "delta wing", "omega point", "sigma field"]):
        feed(
            miner,
            [f"{p}\nNow judge the {word} of all this, in detail." for p in slot_values(8, seed=n)],
            start=100 * n + 100,
        )
    assert len(miner.clusters) <= 3
    assert miner.match(asks[0] + "hello") is not None


def test_a_wrapper_round_many_instructions_is_not_one_task(slot_values):
    # one wrapper, eight instructions in its first slot, each with many inputs
    miner = Miner()
    asks = [
        "Decide whether the text praises a product.",
        "Name the season in which the text takes place.",
        "Count the animals that the text mentions.",
        "Rewrite the text for a child of six years.",
        "List every colour that appears in the text.",
        "Say which city the text is about, if any.",
        "Guess the profession of the writer of the text.",
        "Find the longest word of the text.",
    ]
    wrapper = (
        "Below is an instruction, paired with an input.\n### Instruction:\n{}\n### Input:\n{}\n### Response:"
    )
    texts = [wrapper.format(asks[i % 8], p) for i, p in enumerate(slot_values(600))]
    feed(miner, texts)
    assert len({miner.match(wrapper.format(ask, "x")).id for ask in asks}) == 8


def test_inputs_that_begin_alike_behind_the_same_examples_are_one_task(slot_values):
    shown = "Input: Which part of a lamp?\nOutput: A\nInput: Which part of a pen?\nOutput: B\n"
    asked = [f"Which {('part', 'use')[i % 2]} of {p}?" for i, p in enumerate(slot_values(80))]
    texts = [f"{shown}Input: {question}\nOutput:" for question in asked]
    miner = Miner()
    feed(miner, texts)
    assert len({miner.match(text).id for text in texts}) == 1


def test_behind_examples_a_frequent_phrase_of_a_slot_splits_nothing(slot_values):
    shown = "Chat: I ran home.\nReply: Well done!\nChat: I am ill.\nReply: Get well!\n"
    greeting = ("", " so how are you today, my friend?")
    asked = [f"{p}.{greeting[i % 4 == 0]} {p[::-1]}" for i, p in enumerate(slot_values(200))]
    texts = [f"{shown}Chat: {text}\nReply:" for text in asked]
    miner = Miner()
    feed(miner, texts)
    assert len({miner.match(text).id for text in texts}) == 1

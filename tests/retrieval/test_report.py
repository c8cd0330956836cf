from soke.retrieval import RetrievalReport
from soke.structures import Retrieval
from tests.retrieval.dictionaries import search


def test_one_summary_of_many_texts():
    signs = search("en", "fox", "see", max_keywords=1)
    report = RetrievalReport()
    report.add(signs(text, "c") for text in ("the foxes see", "Zebra and fox", "a zebra, a gnu"))
    report.add([Retrieval(listed=False)])
    assert report.summary().splitlines() == [
        "retrieval: 4 texts, 6 words looked for, 50.0% of them found, 2 signs in the prompts "
        "(lemma 1, exact 1)",
        "no keywords chosen beforehand: 1 texts",
        "most frequent words without a sign: zebra 2, gnu 1",
    ]


def test_it_is_logged_once_there_is_something(caplog):
    caplog.set_level("INFO")
    report = RetrievalReport()
    report.log()
    assert not caplog.records
    report.add([Retrieval()])
    report.log()
    assert "0 words looked for" in caplog.text

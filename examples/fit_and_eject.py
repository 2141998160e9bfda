"""Fit a surrogate from recorded answers, see what is proved, answer with it, and take it elsewhere.

Needs no server. FILE is JSON lines, each with an `input` and its `answer` (or a call); 200 of them, all of
one task, are a beginning. FOLDER must not exist; afterwards it holds the surrogate, and a copy that needs no
jitr:

    python examples/fit_and_eject.py FILE FOLDER "a text to answer"
    python FOLDER/ejected/answer.py "a text to answer"
"""

import sys
from pathlib import Path

from jitr import Surrogate, fit
from jitr.models.surrogates.artifact.eject import eject

file, folder = Path(sys.argv[1]), Path(sys.argv[2])
report = fit(file, folder / "surrogate", target=0.9)
print(report.certificate.proves)

surrogate = Surrogate.load(report.path)
answer = surrogate.answer(sys.argv[3])
print(answer.text if answer.score >= surrogate.threshold else "not sure: ask the LLM")

eject(Path(report.path), folder / "ejected")

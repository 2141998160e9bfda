"""Calls of a workload with the answers of its teacher."""

from itertools import islice

from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.calls import Call, Message, Response, Usage


def calls_of(workload: Workload, n: int, tag: str = "c") -> list[Call]:
    """So many calls, with ids that begin with the tag."""
    return [
        Call(
            id=f"{tag}{i}",
            model=request.body["model"],
            messages=tuple(Message(role=m["role"], content=m["content"]) for m in request.body["messages"]),
            time=1e9 + i * 0.01,
            response=Response(text=workload.answer(request.body), model=request.body["model"]),
            usage=Usage(input_tokens=100, output_tokens=3),
        )
        for i, request in enumerate(islice(workload, n))
    ]

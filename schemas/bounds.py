"""The bounds of numbers and names on the wire: one set of types for every record.

Kafka carries whatever was written. A number that no sum, file or other language can hold is refused where it
is read, so that it does no harm where it is used. What one record counts is far smaller than what a sum of
such records may come to.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

MOST_WEIGHT = 1e6

# a signed integer of 64 bits
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# what one record counts: tokens of a call, calls of a window, labels of a task
Count = Annotated[int, Meta(ge=0, le=10**9)]
# a sum of counts
Total = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# an offset in a Kafka partition; -1 before the first
Offset = Annotated[int, Meta(ge=-1, le=2**63 - 1)]

# neither infinite nor no number, and still so when doubled
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]
Rate = Annotated[float, Meta(ge=0, le=1)]
# 1/p of what was kept with probability p
Weight = Annotated[float, Meta(gt=0, le=MOST_WEIGHT)]
# a duration, in the unit that its name ends in
Duration = Annotated[float, Meta(ge=0, le=1e12)]
# US dollars of one call or training
Dollars = Annotated[float, Meta(ge=0, le=1e9)]
# a sum of dollars, or of their squares
Sum = Annotated[float, Meta(ge=0, le=1e30)]

# what tells two records of a kind apart
Id = Annotated[str, Meta(min_length=1, max_length=1000)]
# a tenant, or what callers call a task
Name = Annotated[str, Meta(min_length=1, max_length=500)]
# an id that names files and Redis keys too
Slug = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]

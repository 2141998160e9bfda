"""When a training is due: by sizes of the dataset alone, never by time."""

from __future__ import annotations

from jitr.models.lifecycle.rows import live, on_offer, shadowed
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route


def training_due(
    labels: int, last_trained_labels: int, route: Route | None, policy: Policy, before_break: int = 0
) -> bool:
    """Whether a training is due.

    First at ``first_labels``; then at each doubling, a candidate in its shadow run or not: twice the data
    is worth more than the rest of the run. After a demotion or rejection, while nothing is live or in
    shadow, as soon as ``cooldown_labels`` new ones came (once). A demotion begins a new dataset: only labels
    from after the break count, and the cool-down comes first. Never while a candidate waits for approval,
    nor while the route is paused.

    Parameters
    ----------
    labels : int
        Labels that the task has now, since it began.
    last_trained_labels : int
        Labels at the last request, 0 if there was none.
    before_break : int
        How many of the labels are older than the break that led to the last demotion.

    Examples
    --------
    >>> [training_due(n, last, None, Policy()) for n, last in ((299, 0), (300, 0), (599, 300), (600, 300))]
    [False, True, False, True]
    >>> demoted = Route(tenant="t", task="k", state="demoted", demotions=1, labels_at_demotion=1_000)
    >>> [training_due(n, 900, demoted, Policy(), before_break=950) for n in (1_250, 1_499, 1_500)]
    [False, False, True]
    """
    fresh, last = labels - before_break, last_trained_labels - before_break
    if fresh < policy.first_labels:
        return False
    if route is not None and (on_offer(route) or route.state == "paused"):
        return False
    ended_at = route.labels_at_demotion if route is not None else 0
    if ended_at > labels:
        # fewer labels than there were then: the dataset was lost, and the new one knows nothing of that end
        ended_at = 0
    cooled = labels >= ended_at + policy.cooldown_labels
    if last <= 0:
        return cooled or route is None or not route.demotions
    if fresh >= 2 * last:
        return True
    if route is None or live(route) or shadowed(route) or not route.demotions + route.rejections:
        return False
    # A request since then has not had its outcome yet: one training at a time.
    return cooled and last_trained_labels <= ended_at

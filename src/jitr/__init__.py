"""jitr replaces an LLM, just in time, on the tasks that keep coming back.

Everything named here is loaded when it is first used, so that importing ``jitr`` costs next to nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitr.models.surrogates.runtime import Surrogate as Surrogate
    from jitr.offline.fit import fit as fit
    from jitr.offline.scan import scan as scan
    from jitr.router.publisher import Publisher as Publisher
    from jitr.router.router import Router as Router
    from jitr.router.sync_router import SyncRouter as SyncRouter
    from jitr.schemas.settings import Settings as Settings

__version__ = "0.1.0"
__all__ = ["Publisher", "Router", "Settings", "Surrogate", "SyncRouter", "__version__", "fit", "scan"]

_HOMES = {
    "Publisher": "jitr.router.publisher",
    "Router": "jitr.router.router",
    "Settings": "jitr.schemas.settings",
    "Surrogate": "jitr.models.surrogates.runtime",
    "SyncRouter": "jitr.router.sync_router",
    "fit": "jitr.offline.fit",
    "scan": "jitr.offline.scan",
}

if not TYPE_CHECKING:  # a type checker would take this for leave to import any name

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'jitr' has no attribute {name!r}")
        from importlib import import_module

        try:
            found = getattr(import_module(home), name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("jitr"):
                raise
            raise ImportError(
                f"jitr.{name} needs the package {error.name}: pip install 'jitr[agents]'", name=error.name
            ) from error
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""The development broker, which refuses every record for want of rights while a file is there.

python -m faults.broker PORT FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from jitr.sandbox.broker import BrokerLimits
from jitr.sandbox.broker.log import PartitionLog
from jitr.sandbox.broker.process import serve
from jitr.sandbox.broker.wire.codes import Code, RefusalError

TOPIC_AUTHORIZATION_FAILED = 29


def refuse_while(sign: Path) -> None:
    """Answer as Kafka does to a client without rights on a topic, while the file is there."""
    append = PartitionLog.append

    def guarded(self: PartitionLog, data: bytes) -> int:
        if sign.exists():
            error = RefusalError(Code.UNKNOWN_SERVER_ERROR, "no rights")
            error.code = TOPIC_AUTHORIZATION_FAILED  # type: ignore[assignment]
            raise error
        return append(self, data)

    PartitionLog.append = guarded  # type: ignore[method-assign]


def main() -> None:
    """Serve until told to end."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    refuse_while(folder / "refuse")
    asyncio.run(serve(folder / "data", "127.0.0.1", port, BrokerLimits()))


if __name__ == "__main__":
    main()

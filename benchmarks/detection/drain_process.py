"""Drain3 in its own environment: prompts as JSON lines in, clusters as one JSON object out."""

import json
import logging
import sys
from time import process_time

from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig


def main(similarity: float) -> None:
    logging.disable(logging.CRITICAL)
    config = TemplateMinerConfig()
    config.drain_sim_th = similarity
    config.drain_max_clusters = 4000
    miner = TemplateMiner(config=config)
    texts = [" ".join(json.loads(line).split()) for line in sys.stdin]
    started = process_time()
    arrival = [miner.add_log_message(text)["cluster_id"] for text in texts]
    spent = process_time() - started
    found = [miner.match(text) for text in texts]
    final = [None if cluster is None else cluster.cluster_id for cluster in found]
    print(json.dumps({"arrival": arrival, "final": final, "mine_s": spent}))


main(float(sys.argv[1]))

"""The OpenAI client through jitr's gateway: one line of your program changes.

Start the gateway in front of your LLM, then run this; the key goes on to your LLM:

    jitr up --sandbox --upstream https://api.openai.com/v1
    OPENAI_API_KEY=... python examples/gateway_client.py http://127.0.0.1:8080/v1
"""

import sys

from openai import OpenAI

client = OpenAI(base_url=sys.argv[1])
asked = "Is this review positive or negative? Review: the film was superb"
got = client.chat.completions.with_raw_response.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": asked}]
)
print(got.parse().choices[0].message.content)
print(f"answered by the {got.headers['x-jitr-route']}; jitr why {got.headers['x-jitr-decision-id']}")

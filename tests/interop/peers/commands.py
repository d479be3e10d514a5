"""Commands come as lines of JSON, and each is answered with one."""

import asyncio
import json
import sys


async def obey(commands):
    while line := await asyncio.to_thread(sys.stdin.readline):
        rest = json.loads(line)
        try:
            answer = await commands[rest.pop("command")](**rest)
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)

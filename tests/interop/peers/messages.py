"""Messages: as they stand in commands, `{text}` or `{hex}` for a binary one; and random ones."""

import asyncio
import collections
import json
import random

MEBIBYTE = 1 << 20
LONG = 100_000
AHEAD = 64
WORDS = ["temperature", "naïve", "日本語", "🦀", "null", "0.25", "north", "…"]


def decode(message):
    return message["text"] if "text" in message else bytes.fromhex(message["hex"])


def encode(message):
    return {"text": message} if isinstance(message, str) else {"hex": bytes(message).hex()}


def cut(message):
    """Three fragments."""
    quarter, half = len(message) // 4, len(message) // 2
    return [message[:quarter], message[quarter:half], message[half:]]


def random_messages(count, seed):
    """Random messages, of the sorts that compressors meet, one in 500 of 1 MiB."""
    rng = random.Random(seed)
    below = rng.randrange

    def noise(most):
        return rng.randbytes(below(most))

    def repetitive(length):
        period = "".join(rng.choices("".join(map(chr, range(32, 127))), k=1 + below(40)))
        return (period * (length // len(period) + 1))[:length]

    def text():
        records = [
            {"id": below(10_000), "name": rng.choice(WORDS), "value": below(1000) / 1000} for _ in range(1 + below(20))
        ]
        return json.dumps(records, ensure_ascii=False)

    def collage(length):
        """Some bytes of noise, then some from further up, and so on: matches of every length and distance."""
        data = bytearray()
        while len(data) < length:
            data += noise(30)
            # Up to twice the largest window, mostly near.
            start = max(0, len(data) - 1 - below(1 << below(17)))
            data += data[start : start + below(300)]
        return bytes(data[:length])

    for index in range(1, count + 1):
        if index % 500 == 250:
            yield repetitive(MEBIBYTE) if below(2) == 0 else collage(MEBIBYTE)
            continue
        sort = below(100)
        if sort < 2:
            yield b""
        elif sort < 4:
            yield ""
        elif sort < 14:
            yield noise(64)
        elif sort < 25:
            yield repetitive(30)
        elif sort < 60:
            yield text()
        elif sort < 65:
            yield text().encode()
        elif sort < 73:
            yield repetitive(below(8000))
        elif sort < 80:
            yield repetitive(below(8000)).encode()
        elif sort < 95:
            yield noise(4000)
        elif sort < 96:
            yield noise(LONG)
        else:
            yield collage(below(LONG))


async def exchange(count, seed, put, receive):
    """Puts random messages to an echo server, several ahead, and compares what is received, which is `None` at the
    end. Tells how many came back, and what was wrong."""
    ahead = collections.deque()
    room = asyncio.Semaphore(AHEAD)

    async def talk():
        for index, message in enumerate(random_messages(count, seed), 1):
            await room.acquire()
            ahead.append(message)
            await put(message, index)

    done, error = 0, None
    async with asyncio.TaskGroup() as tasks:
        talking = tasks.create_task(talk())
        while done < count and error is None:
            echo = await receive()
            if echo is None:
                error = f"closed after {done} messages"
            # `bytes` and `str` are never equal.
            elif echo == ahead.popleft():
                done += 1
                room.release()
            else:
                error = f"message {done + 1} came back differently"
        if error is not None:
            talking.cancel()
    return {"messages": done, "error": error}

"""The peer `websockets`: a client of our server, or an echo server. A quarter of what it sends goes in fragments.

Commands come as lines of JSON, and each is answered with one.
"""

import asyncio
import collections
import json
import random
import sys
import types
import zlib

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions import permessage_deflate
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

MEBIBYTE = 1 << 20
LONG = 100_000
WORDS = ["temperature", "naïve", "日本語", "🦀", "null", "0.25", "north", "…"]
AHEAD = 64
# What does not become shorter is a little longer when it is compressed, and that is what counts here.
MAX_SIZE = 2 * MEBIBYTE


class StrictInflater:
    """Inflates in small steps, so that a match from outside the window is an error: zlib lets one pass that points
    into what the same call has put out."""

    STEP = 64
    unconsumed_tail = b""

    def __init__(self, wbits):
        self.inflater = zlib.decompressobj(wbits=wbits)

    def decompress(self, data, max_length=0):
        output = []
        for start in range(0, len(data), self.STEP):
            piece = data[start : start + self.STEP]
            while True:
                output.append(self.inflater.decompress(piece, self.STEP))
                piece = self.inflater.unconsumed_tail
                if not piece and len(output[-1]) < self.STEP:
                    break
        return b"".join(output)


def decompressobj(wbits):
    return zlib.decompressobj(wbits=wbits) if wbits == -15 else StrictInflater(wbits)


permessage_deflate.zlib = types.SimpleNamespace(**{**vars(zlib), "decompressobj": decompressobj})


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


async def send(socket, message, index):
    if index % 4 == 0:
        quarter, half = len(message) // 4, len(message) // 2
        await socket.send([message[:quarter], message[quarter:half], message[half:]])
    else:
        await socket.send(message)


def agreed(socket):
    return socket.response.headers.get("Sec-WebSocket-Extensions")


async def client(url, params, messages, seed):
    extensions = None if params is None else [ClientPerMessageDeflateFactory(**params)]
    async with connect(url, compression=None, extensions=extensions, max_size=MAX_SIZE, proxy=None) as socket:
        ahead = collections.deque()
        room = asyncio.Semaphore(AHEAD)

        async def talk():
            for index, message in enumerate(random_messages(messages, seed), 1):
                await room.acquire()
                ahead.append(message)
                await send(socket, message, index)

        done, error = 0, None
        async with asyncio.TaskGroup() as tasks:
            talking = tasks.create_task(talk())
            try:
                while done < messages and error is None:
                    echo = await socket.recv()
                    # `bytes` and `str` are never equal.
                    if echo == ahead.popleft():
                        done += 1
                        room.release()
                    else:
                        error = f"message {done + 1} came back differently"
            except ConnectionClosed as closed:
                error = f"{closed} after {done} messages"
            if error is not None:
                talking.cancel()
        await socket.close()
        if error is None and socket.close_code != 1000:
            error = f"closed with {socket.close_code}"
        return {"agreed": agreed(socket), "messages": done, "error": error}


class Server:
    """An echo server for one connection."""

    async def listen(self, params):
        self.report = asyncio.get_running_loop().create_future()
        extensions = None if params is None else [ServerPerMessageDeflateFactory(**params)]
        self.server = await serve(
            self.echo, "127.0.0.1", 0, compression=None, extensions=extensions, max_size=MAX_SIZE
        )
        return {"port": self.server.sockets[0].getsockname()[1]}

    async def echo(self, socket):
        count, error = 0, None
        try:
            async for message in socket:
                count += 1
                await send(socket, message, count)
        except ConnectionClosed as closed:
            error = str(closed)
        if error is None and socket.close_code != 1000:
            error = f"closed with {socket.close_code}"
        self.report.set_result({"agreed": agreed(socket), "messages": count, "error": error})

    async def tell(self):
        report = await self.report
        self.server.close()
        await self.server.wait_closed()
        return report


async def main():
    server = Server()
    commands = {"client": client, "listen": server.listen, "report": server.tell}
    while line := await asyncio.to_thread(sys.stdin.readline):
        rest = json.loads(line)
        try:
            answer = await commands[rest.pop("command")](**rest)
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


asyncio.run(main())

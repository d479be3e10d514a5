"""The peer `websockets`: a client of our server, or an echo server. A quarter of what it sends goes in fragments."""

import asyncio
import types
import zlib

from commands import obey
from messages import MEBIBYTE, cut, decode, encode, exchange
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions import permessage_deflate
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

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


async def put(socket, message, in_fragments):
    await socket.send(cut(message) if in_fragments else message)


def agreed(socket):
    return socket.response.headers.get("Sec-WebSocket-Extensions")


async def client(url, params, messages, seed):
    extensions = None if params is None else [ClientPerMessageDeflateFactory(**params)]
    async with connect(url, compression=None, extensions=extensions, max_size=MAX_SIZE, proxy=None) as socket:

        async def receive():
            try:
                return await socket.recv()
            except ConnectionClosed:
                return None

        told = await exchange(messages, seed, lambda message, index: put(socket, message, index % 4 == 0), receive)
        await socket.close()
        if told["error"] is None and socket.close_code != 1000:
            told["error"] = f"closed with {socket.close_code}"
        return {"agreed": agreed(socket), **told}


async def visit(url, protocols, headers, compression, pings, send, fragments, close):
    record = {"opened": False, "received": []}
    options = {"subprotocols": protocols or None, "additional_headers": headers, "max_size": MAX_SIZE, "proxy": None}
    try:
        socket = await connect(url, compression="deflate" if compression else None, **options)
    except InvalidStatus as refused:
        response = refused.response
        return {**record, "status": response.status_code, "body": response.body.decode()}
    record.update(opened=True, protocol=socket.subprotocol or "", agreed=agreed(socket), pongs=[])
    try:
        waiters = [(payload, await socket.ping(payload)) for payload in pings]
        for message in map(decode, send):
            await put(socket, message, fragments)
            record["received"].append(encode(await socket.recv()))
        for payload, waiter in waiters:
            await waiter
            record["pongs"].append(payload)
        if close is None:
            await socket.recv()
        else:
            await socket.close(**close)
    except ConnectionClosed:
        pass
    await socket.wait_closed()
    return {**record, "closed": closed(socket)}


def closed(socket):
    """The Close that came."""
    frame = socket.protocol.close_rcvd
    return [1006, ""] if frame is None else [frame.code, frame.reason]


class Server:
    """An echo server for one connection."""

    async def serve(self, handle, **options):
        self.report = asyncio.get_running_loop().create_future()
        self.server = await serve(handle, "127.0.0.1", 0, max_size=MAX_SIZE, **options)
        return {"port": self.server.sockets[0].getsockname()[1]}

    async def listen(self, params):
        extensions = None if params is None else [ServerPerMessageDeflateFactory(**params)]
        return await self.serve(self.echo, compression=None, extensions=extensions)

    async def echo(self, socket):
        count, error = 0, None
        try:
            async for message in socket:
                count += 1
                await put(socket, message, count % 4 == 0)
        except ConnectionClosed as closed:
            error = str(closed)
        if error is None and socket.close_code != 1000:
            error = f"closed with {socket.close_code}"
        self.report.set_result({"agreed": agreed(socket), "messages": count, "error": error})

    async def host(self, protocols, refuse, compression, pings, fragments, close):
        def judge(socket, request):
            if refuse:
                headers = fields(request)
                self.report.set_result({"opened": False, "headers": headers})
                return socket.respond(refuse["status"], refuse["body"])

        def choose(socket, offers):
            return next((offer for offer in offers if offer in protocols), None)

        async def converse(socket):
            record = {"opened": True, "headers": fields(socket.request), "protocol": socket.subprotocol or ""}
            record.update(agreed=agreed(socket), received=[], pongs=[])
            try:
                waiters = [(payload, await socket.ping(payload)) for payload in pings]
                async for message in socket:
                    record["received"].append(encode(message))
                    await put(socket, message, fragments)
                    for payload, waiter in waiters:
                        await waiter
                        record["pongs"].append(payload)
                    waiters = []
                    if close is not None:
                        await socket.close(**close)
            except ConnectionClosed:
                pass
            await socket.wait_closed()
            self.report.set_result({**record, "closed": closed(socket)})

        options = {"process_request": judge, "select_subprotocol": choose}
        return await self.serve(converse, compression="deflate" if compression else None, **options)

    async def tell(self):
        report = await self.report
        self.server.close()
        await self.server.wait_closed()
        return report


def fields(request):
    return {name.lower(): value for name, value in request.headers.raw_items()}


server = Server()
asyncio.run(
    obey({"client": client, "listen": server.listen, "visit": visit, "host": server.host, "report": server.tell})
)

"""The peer `wsproto`, which has no IO: a client of our server, or an echo server."""

import asyncio
import urllib.parse

from commands import obey
from messages import cut, decode, encode, exchange
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason


class Socket:
    def __init__(self, kind, reader, writer):
        self.kind, self.connection = kind, WSConnection(kind)
        self.reader, self.writer = reader, writer
        self.record = {"opened": False, "received": [], "pings": [], "pongs": []}
        self.parts = []
        self.is_over = False
        self.events = self.incoming()

    async def send(self, event):
        self.writer.write(self.connection.send(event))
        await self.writer.drain()

    async def put(self, message, in_fragments):
        make = TextMessage if isinstance(message, str) else BytesMessage
        *pieces, last = cut(message) if in_fragments else [message]
        for piece in pieces:
            await self.send(make(data=piece, message_finished=False))
        await self.send(make(data=last))

    async def incoming(self):
        while data := await self.reader.read(1 << 16):
            self.connection.receive_data(data)
            for event in self.connection.events():
                yield event
        self.connection.receive_data(None)

    async def receive(self):
        """Takes note of what comes up to the next message, and returns that; `None` at the end."""
        record = self.record
        if self.is_over:
            return None
        async for event in self.events:
            if isinstance(event, TextMessage | BytesMessage):
                self.parts.append(event.data)
                if event.message_finished:
                    # wsproto gives binary ones as `bytearray`.
                    whole = "".join(self.parts) if isinstance(event, TextMessage) else b"".join(self.parts)
                    self.parts = []
                    return whole
            elif isinstance(event, Ping):
                record["pings"].append(event.payload.decode(errors="replace"))
                await self.send(event.response())
            elif isinstance(event, Pong):
                record["pongs"].append(event.payload.decode(errors="replace"))
            elif isinstance(event, CloseConnection):
                record["closed"] = [event.code, event.reason or ""]
                if self.connection.state is ConnectionState.REMOTE_CLOSING:
                    await self.send(event.response())
                # The server ends the connection, once both have closed (RFC 6455 §7.1.1).
                if self.kind is ConnectionType.SERVER:
                    break
            elif isinstance(event, AcceptConnection):
                record.update(opened=True, protocol=event.subprotocol or "", agreed=agreed(event.extensions))
                return event
            elif isinstance(event, RejectConnection):
                record.update(status=event.status_code, body="")
            elif isinstance(event, RejectData):
                record["body"] += bytes(event.data).decode()
            elif isinstance(event, Request):
                return event
        self.is_over = True
        return None

    async def close(self, close):
        # The member that stands for no code is recognised as such.
        code = CloseReason(close["code"]) if close["code"] < 3000 else close["code"]
        await self.send(CloseConnection(code, close["reason"] or None))

    async def end(self):
        while await self.receive() is not None:
            pass
        self.writer.close()
        await self.writer.wait_closed()


async def connect(url, **options):
    """Returns the socket, and what accepts it, if anything does."""
    address = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    socket = Socket(ConnectionType.CLIENT, reader, writer)
    await socket.send(Request(address.netloc, "/", **options))
    return socket, await socket.receive()


def agreed(extensions):
    """As in a header. A window that it does not name is one of 15 bits here."""
    return ", ".join(
        "; ".join([extension.name, *repr(extension)[1:-1].split(" ", 1)[1].split("; ")]) for extension in extensions
    )


async def client(url, params, messages, seed):
    extensions = [] if params is None else [PerMessageDeflate(**params)]
    socket, accepted = await connect(url, extensions=extensions)
    if accepted is None:
        return {"error": "refused"}
    put = lambda message, index: socket.put(message, index % 4 == 0)
    told = await exchange(messages, seed, put, socket.receive)
    await socket.close({"code": 1000, "reason": ""})
    await socket.end()
    if told["error"] is None and socket.record["closed"][0] != 1000:
        told["error"] = f"closed with {socket.record['closed']}"
    return {"agreed": agreed(accepted.extensions), **told}


async def visit(url, protocols, headers, compression, pings, send, fragments, close):
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    extensions = [PerMessageDeflate()] if compression else []
    socket, accepted = await connect(url, extensions=extensions, extra_headers=fields, subprotocols=protocols)
    if accepted is not None:
        for payload in pings:
            await socket.send(Ping(payload.encode()))
        for message in map(decode, send):
            await socket.put(message, fragments)
            if (echo := await socket.receive()) is None:
                break
            socket.record["received"].append(encode(echo))
        if close is not None:
            await socket.close(close)
    await socket.end()
    return socket.record


class Server:
    """An echo server for one connection."""

    async def serve(self, handle):
        self.report = asyncio.get_running_loop().create_future()

        async def converse(reader, writer):
            socket = Socket(ConnectionType.SERVER, reader, writer)
            try:
                self.report.set_result(await handle(socket))
            except Exception as error:
                self.report.set_result({**socket.record, "error": repr(error)})

        self.server = await asyncio.start_server(converse, "127.0.0.1", 0)
        return {"port": self.server.sockets[0].getsockname()[1]}

    async def listen(self, params):
        async def echo(socket):
            await socket.receive()
            deflate = [] if params is None else [PerMessageDeflate(**params)]
            await socket.send(AcceptConnection(extensions=deflate))
            count = 0
            while (message := await socket.receive()) is not None:
                count += 1
                await socket.put(message, count % 4 == 0)
            await socket.end()
            code, _ = socket.record["closed"]
            enabled = [extension for extension in deflate if extension.enabled()]
            error = None if code == 1000 else f"closed with {code}"
            return {"agreed": agreed(enabled), "messages": count, "error": error}

        return await self.serve(echo)

    async def host(self, **options):
        async def converse(socket):
            await self.converse(socket, **options)
            return socket.record

        return await self.serve(converse)

    async def converse(self, socket, protocols, refuse, compression, pings, fragments, close):
        request = await socket.receive()
        record = socket.record
        fields = {name.decode().lower(): value.decode() for name, value in request.extra_headers}
        record["headers"] = {**fields, "host": request.host}
        if refuse:
            body = refuse["body"].encode()
            length = (b"content-length", str(len(body)).encode())
            await socket.send(RejectConnection(status_code=refuse["status"], headers=[length], has_body=True))
            await socket.send(RejectData(data=body))
            return await socket.end()
        chosen = next((offer for offer in request.subprotocols if offer in protocols), None)
        extensions = [PerMessageDeflate()] if compression else []
        await socket.send(AcceptConnection(subprotocol=chosen, extensions=extensions))
        record.update(opened=True, protocol=chosen or "")
        for payload in pings:
            await socket.send(Ping(payload.encode()))
        while (message := await socket.receive()) is not None:
            record["received"].append(encode(message))
            await socket.put(message, fragments)
            if close is not None:
                await socket.close(close)
                break
        await socket.end()

    async def tell(self):
        report = await self.report
        self.server.close()
        await self.server.wait_closed()
        return report


server = Server()
asyncio.run(
    obey({"client": client, "listen": server.listen, "visit": visit, "host": server.host, "report": server.tell})
)

"""The peer `wsproto`, which has no IO: a client of our server, or an echo server."""

import asyncio
import urllib.parse

from commands import obey
from messages import cut, decode, encode
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
        async for event in self.events:
            if isinstance(event, TextMessage | BytesMessage):
                self.parts.append(event.data)
                if event.message_finished:
                    # wsproto gives binary ones as `bytearray`.
                    whole = "".join(self.parts) if isinstance(event, TextMessage) else b"".join(self.parts)
                    self.parts = []
                    record["received"].append(encode(whole))
                    return whole
            elif isinstance(event, Ping):
                record["pings"].append(event.payload.decode())
                await self.send(event.response())
            elif isinstance(event, Pong):
                record["pongs"].append(event.payload.decode())
            elif isinstance(event, CloseConnection):
                record["closed"] = [event.code, event.reason or ""]
                if self.connection.state is ConnectionState.REMOTE_CLOSING:
                    await self.send(event.response())
                # The server ends the connection, once both have closed (RFC 6455 §7.1.1).
                if self.kind is ConnectionType.SERVER:
                    return None
            elif isinstance(event, AcceptConnection):
                header = ", ".join(extension.name for extension in event.extensions)
                record.update(opened=True, protocol=event.subprotocol or "", agreed=header)
                return event
            elif isinstance(event, RejectConnection):
                record.update(status=event.status_code, body="")
            elif isinstance(event, RejectData):
                record["body"] += bytes(event.data).decode()
            elif isinstance(event, Request):
                return event
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


async def visit(url, protocols, headers, compression, pings, send, fragments, close):
    address = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    socket = Socket(ConnectionType.CLIENT, reader, writer)
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    extensions = [PerMessageDeflate()] if compression else []
    request = Request(address.netloc, "/", extensions=extensions, extra_headers=fields, subprotocols=protocols)
    await socket.send(request)
    if await socket.receive() is not None:
        for payload in pings:
            await socket.send(Ping(payload.encode()))
        for message in map(decode, send):
            await socket.put(message, fragments)
            if await socket.receive() is None:
                break
        if close is not None:
            await socket.close(close)
    await socket.end()
    return socket.record


class Server:
    """An echo server for one connection."""

    async def host(self, **options):
        self.report = asyncio.get_running_loop().create_future()

        async def converse(reader, writer):
            socket = Socket(ConnectionType.SERVER, reader, writer)
            try:
                await self.converse(socket, **options)
                self.report.set_result(socket.record)
            except Exception as error:
                self.report.set_result({**socket.record, "error": repr(error)})

        self.server = await asyncio.start_server(converse, "127.0.0.1", 0)
        return {"port": self.server.sockets[0].getsockname()[1]}

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
asyncio.run(obey({"visit": visit, "host": server.host, "report": server.tell}))

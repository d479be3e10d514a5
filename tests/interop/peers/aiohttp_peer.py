"""The peer `aiohttp`: a client of our server, or an echo server. What it sends is never fragmented."""

import asyncio

from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError, web
from commands import obey
from messages import decode, encode, exchange

MAX_SIZE = 16 << 20


async def put(socket, message):
    await (socket.send_str if isinstance(message, str) else socket.send_bytes)(message)


async def receive(socket, record):
    """Takes note of what comes up to the next message, and returns that; `None` at the end."""
    while True:
        event = await socket.receive()
        if event.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return event.data
        elif event.type == WSMsgType.PING:
            record["pings"].append(event.data.decode(errors="replace"))
            await socket.pong(event.data)
        elif event.type == WSMsgType.PONG:
            record["pongs"].append(event.data.decode(errors="replace"))
        elif event.type == WSMsgType.CLOSE:
            # 0 stands for no code.
            record["closed"] = [event.data or 1005, event.extra]
        else:
            return None


async def end(socket, record, close):
    if close is None:
        while await receive(socket, record) is not None:
            pass
    else:
        await socket.close(code=close["code"], message=close["reason"].encode())
        # The reason of the answer is not told.
        record["code"] = socket.close_code


def agreed(headers):
    return headers.get("Sec-WebSocket-Extensions")


async def client(url, params, messages, seed):
    async with ClientSession() as session:
        # What it offers to keep to as a server's window.
        compress = 0 if params is None else params["server_max_window_bits"] or 15
        socket = await session.ws_connect(url, compress=compress, max_msg_size=MAX_SIZE)
        told = await exchange(messages, seed, lambda message, _: put(socket, message), lambda: receive(socket, {}))
        await socket.close()
        if told["error"] is None and socket.close_code != 1000:
            told["error"] = f"closed with {socket.close_code}"
        return {"agreed": agreed(socket._response.headers), **told}


async def visit(url, protocols, headers, compression, pings, send, fragments, close):
    record = {"opened": False, "received": []}
    async with ClientSession() as session:
        options = {"compress": 15 if compression else 0, "max_msg_size": MAX_SIZE, "headers": headers}
        # Pings and Pongs are either seen or looked after.
        options["autoping"] = not pings
        try:
            socket = await session.ws_connect(url, protocols=protocols, **options)
        except WSServerHandshakeError as refused:
            return {**record, "status": refused.status}
        record.update(opened=True, protocol=socket.protocol or "")
        if pings:
            record.update(pings=[], pongs=[])
        for payload in pings:
            await socket.ping(payload.encode())
        for message in map(decode, send):
            await put(socket, message)
            if (echo := await receive(socket, record)) is None:
                break
            record["received"].append(encode(echo))
        await end(socket, record, close)
        return record


class Server:
    """An echo server for one connection."""

    async def serve(self, handle):
        self.report = asyncio.get_running_loop().create_future()

        async def first(request):
            try:
                return await handle(request)
            except Exception as error:
                self.report.set_result({"error": repr(error)})
                raise

        self.runner = web.ServerRunner(web.Server(first))
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        return {"port": self.runner.addresses[0][1]}

    async def listen(self, params):
        async def echo(request):
            socket = web.WebSocketResponse(compress=params is not None, max_msg_size=MAX_SIZE)
            await socket.prepare(request)
            count = 0
            while (message := await receive(socket, {})) is not None:
                count += 1
                await put(socket, message)
            error = None if socket.close_code == 1000 else f"closed with {socket.close_code}"
            self.report.set_result({"agreed": agreed(socket.headers), "messages": count, "error": error})
            return socket

        return await self.serve(echo)

    async def host(self, protocols, refuse, compression, pings, fragments, close):
        async def converse(request):
            record = {"headers": {name.lower(): value for name, value in request.headers.items()}, "received": []}
            if refuse:
                self.report.set_result({**record, "opened": False})
                return web.Response(status=refuse["status"], text=refuse["body"])
            socket = web.WebSocketResponse(
                protocols=protocols, compress=compression, max_msg_size=MAX_SIZE, autoping=not pings
            )
            await socket.prepare(request)
            record.update(opened=True, protocol=socket.ws_protocol or "")
            if pings:
                record.update(pings=[], pongs=[])
            for payload in pings:
                await socket.ping(payload.encode())
            while (message := await receive(socket, record)) is not None:
                record["received"].append(encode(message))
                await put(socket, message)
                if close is not None:
                    await end(socket, record, close)
                    break
            self.report.set_result(record)
            return socket

        return await self.serve(converse)

    async def tell(self):
        report = await self.report
        await self.runner.cleanup()
        return report


server = Server()
asyncio.run(
    obey({"client": client, "listen": server.listen, "visit": visit, "host": server.host, "report": server.tell})
)

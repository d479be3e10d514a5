"""The peer `hypercorn`: an ASGI server that echoes, unless the path says otherwise."""

import asyncio
import socket

from commands import obey
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.protocol.ws_stream import Handshake

LIMIT = 1000

accept = Handshake.accept


def look_and_accept(handshake, *arguments):
    """An application is not told what was agreed upon."""
    status, headers, connection = accept(handshake, *arguments)
    agreed = dict(headers).get(b"sec-websocket-extensions")
    Server.agreed = agreed and agreed.decode()
    return status, headers, connection


Handshake.accept = look_and_accept


class Server:
    agreed = None

    async def listen(self, params, path="/"):
        await self.stop()
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]
        config.errorlog = "-"
        if path == "/limited":
            config.websocket_max_message_size = LIMIT
        Server.agreed = None
        self.report = asyncio.get_running_loop().create_future()
        self.stopping = asyncio.Event()
        self.serving = asyncio.create_task(serve(self.app, config, shutdown_trigger=self.stopping.wait))
        return {"port": port}

    async def stop(self):
        if hasattr(self, "serving"):
            self.stopping.set()
            await self.serving

    async def app(self, scope, receive, send):
        if scope["type"] != "websocket":
            return
        count, error = 0, None
        try:
            count = await self.talk(scope, receive, send)
        except Exception as failure:
            error = repr(failure)
        if not self.report.done():
            self.report.set_result({"agreed": Server.agreed, "messages": count, "error": error})

    async def talk(self, scope, receive, send):
        await receive()
        path = scope["path"]
        if path == "/refused":
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "websocket.http.response.start", "status": 403, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": b"not today"})
            return 0
        subprotocol = "second" if "second" in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        count = 0
        while (event := await receive())["type"] == "websocket.receive":
            count += 1
            if path == "/closes":
                await send({"type": "websocket.close", "code": 4000, "reason": "done"})
            else:
                await send({"type": "websocket.send", "text": event["text"], "bytes": event["bytes"]})
        return count

    async def tell(self):
        return await asyncio.wait_for(self.report, 10)


server = Server()
asyncio.run(obey({"listen": server.listen, "report": server.tell}))

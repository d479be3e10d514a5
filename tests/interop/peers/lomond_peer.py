"""The client `lomond`, which makes two offers of compression."""

import asyncio

from commands import obey
from lomond import WebSocket
from messages import decode, encode


def visit(url, protocols, headers, compression, pings, send, fragments, close):
    socket = WebSocket(url, protocols=protocols, compress=compression, proxies={})
    for name, value in headers.items():
        socket.add_header(name.encode(), value.encode())
    record = {"opened": False, "received": [], "pings": [], "pongs": []}
    unsent = [decode(message) for message in send]

    def go_on():
        if unsent:
            message = unsent.pop(0)
            (socket.send_text if isinstance(message, str) else socket.send_binary)(message)
        elif close is not None:
            socket.close(close["code"], close["reason"].encode())

    for event in socket.connect(ping_rate=0):
        if event.name == "ready":
            record.update(opened=True, protocol=event.protocol or "")
            for payload in pings:
                socket.send_ping(payload.encode())
            go_on()
        elif event.name in ("text", "binary"):
            record["received"].append(encode(event.text if event.name == "text" else event.data))
            go_on()
        elif event.name in ("ping", "pong"):
            record[f"{event.name}s"].append(event.data.decode())
        elif event.name in ("closing", "closed"):
            reason = event.reason.decode() if isinstance(event.reason, bytes) else event.reason
            record["closed"] = [event.code or 1005, reason or ""]
        elif event.name == "rejected":
            record["status"] = event.response.status_code
        elif event.name == "protocol_error":
            record["error"] = str(event.error)
    return record


async def main():
    await obey({"visit": lambda **command: asyncio.to_thread(visit, **command)})


asyncio.run(main())

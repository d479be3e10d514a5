"""The client `lomond`, which makes two offers of compression."""

import asyncio
import functools

from commands import obey
from lomond import WebSocket
from messages import decode, encode, random_messages


def put(socket, message):
    (socket.send_text if isinstance(message, str) else socket.send_binary)(message)


def client(url, params, messages, seed):
    """One message at a time, since it does not read while it writes."""
    socket = WebSocket(url, compress=params is not None, proxies={})
    unsent = random_messages(messages, seed)
    done, error, agreed, code, sent = 0, None, None, 1006, None
    for event in socket.connect(ping_rate=0):
        if event.name == "ready":
            agreed = event.response.get("sec-websocket-extensions")
        elif event.name in ("text", "binary"):
            if (event.text if event.name == "text" else event.data) != sent:
                error = f"message {done + 1} came back differently"
                break
            done += 1
        elif event.name == "closed":
            code = event.code
        elif event.name == "protocol_error":
            error = str(event.error)
        if event.name in ("ready", "text", "binary"):
            sent = next(unsent, None)
            if sent is None:
                socket.close(1000, b"")
            else:
                put(socket, sent)
    if error is None and code != 1000:
        error = f"closed with {code} after {done} messages"
    return {"agreed": agreed, "messages": done, "error": error}


def visit(url, protocols, headers, compression, pings, send, fragments, close):
    socket = WebSocket(url, protocols=protocols, compress=compression, proxies={})
    for name, value in headers.items():
        socket.add_header(name.encode(), value.encode())
    record = {"opened": False, "received": [], "pings": [], "pongs": []}
    unsent = [decode(message) for message in send]

    def go_on():
        if unsent:
            put(socket, unsent.pop(0))
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
            record[f"{event.name}s"].append(event.data.decode(errors="replace"))
        elif event.name in ("closing", "closed"):
            reason = event.reason.decode() if isinstance(event.reason, bytes) else event.reason
            record["closed"] = [event.code or 1005, reason or ""]
        elif event.name == "rejected":
            record["status"] = event.response.status_code
        elif event.name == "protocol_error":
            record["error"] = str(event.error)
    return record


async def main():
    commands = {"client": client, "visit": visit}
    await obey({name: functools.partial(asyncio.to_thread, work) for name, work in commands.items()})


asyncio.run(main())

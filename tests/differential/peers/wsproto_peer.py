"""The peer `wsproto`: a connection behind its handshake, of an application that answers a Close, and fails when told."""

import wsproto
from wsproto.connection import CLIENT, SERVER, Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

import batches


def extension(setup):
    # It has no window of 8 bits; what is compressed for that can be inflated in a larger one.
    remote = max(9, setup.remote_max_window_bits)
    side = "client" if setup.is_server else "server"
    result = PerMessageDeflate(
        **{f"{side}_no_context_takeover": bool(setup.remote_no_context_takeover), f"{side}_max_window_bits": remote}
    )
    result.finalize("")
    return result


def verdict(setup, stream):
    extensions = [extension(setup)] if setup.compressed else []
    connection = Connection(SERVER if setup.is_server else CLIENT, extensions)
    collected, parts = [], []
    try:
        connection.receive_data(stream)
        for event in connection.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                parts.append(event.data)
                if event.message_finished:
                    if isinstance(event, TextMessage):
                        collected.append(batches.event(batches.TEXT, "".join(parts).encode()))
                    else:
                        collected.append(batches.event(batches.BINARY, b"".join(parts)))
                    parts = []
            elif isinstance(event, Ping):
                collected.append(batches.event(batches.PING, event.payload))
            elif isinstance(event, Pong):
                collected.append(batches.event(batches.PONG, event.payload))
            elif isinstance(event, CloseConnection):
                if connection.state is ConnectionState.REMOTE_CLOSING:
                    collected.append(batches.event(batches.CLOSE, close_payload(event)))
                    tag = batches.CLOSED
                    answer = event.response()
                else:
                    tag = batches.FAILED
                    answer = CloseConnection(event.code)
                return b"".join(collected) + batches.end(tag, connection.send(answer))
    except Exception as error:
        return b"".join(collected) + batches.crashed(error)
    return b"".join(collected) + batches.end(batches.OPEN)


def close_payload(event):
    if event.code is CloseReason.NO_STATUS_RCVD:
        return b""
    return int(event.code).to_bytes(2) + event.reason.encode()


batches.serve(wsproto.__version__, verdict)

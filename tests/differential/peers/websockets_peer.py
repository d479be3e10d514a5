"""The peer `websockets`, without its IO. What its connections do with frames is done here: messages are put together,
and text is decoded, frame by frame."""

import codecs
import logging

import websockets
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

import batches

URI = parse_uri("ws://localhost/")
LOGGER = logging.getLogger("websockets")
LOGGER.setLevel(logging.CRITICAL)
CONTROL = {Opcode.PING: batches.PING, Opcode.PONG: batches.PONG, Opcode.CLOSE: batches.CLOSE}


class Messages:
    """Collects the events of a connection."""

    def begin(self):
        self.collected = []
        self.decode = None
        self.parts = []
        self.failure = None

    def recv_frame(self, frame):
        super().recv_frame(frame)
        if frame.opcode in CONTROL:
            self.collected.append(batches.event(CONTROL[frame.opcode], frame.data))
            return
        if frame.opcode is not Opcode.CONT:
            self.parts = []
            self.decode = codecs.getincrementaldecoder("utf-8")().decode if frame.opcode is Opcode.TEXT else None
        if self.decode:
            self.decode(frame.data, frame.fin)
        self.parts.append(frame.data)
        if frame.fin:
            tag = batches.TEXT if self.decode else batches.BINARY
            self.collected.append(batches.event(tag, b"".join(self.parts)))

    def send_frame(self, frame):
        super().send_frame(frame)
        if frame.opcode is Opcode.CLOSE:
            self.close_frame = self.writes[-1]


class Server(Messages, ServerProtocol):
    pass


class Client(Messages, ClientProtocol):
    pass


def verdict(setup, stream):
    if setup.is_server:
        protocol = Server(state=OPEN, max_size=setup.max_message, logger=LOGGER)
    else:
        protocol = Client(URI, state=OPEN, max_size=setup.max_message, logger=LOGGER)
    protocol.begin()
    if setup.compressed:
        protocol.extensions = [
            PerMessageDeflate(
                bool(setup.remote_no_context_takeover),
                bool(setup.local_no_context_takeover),
                setup.remote_max_window_bits,
                # It does not compress here.
                15,
            )
        ]
    try:
        protocol.receive_data(stream)
    except Exception as error:
        return b"".join(protocol.collected) + batches.crashed(error)
    if protocol.state is OPEN:
        end = batches.end(batches.OPEN)
    else:
        end = batches.end(batches.FAILED if protocol.parser_exc else batches.CLOSED, protocol.close_frame)
    return b"".join(protocol.collected) + end


batches.serve(websockets.__version__, verdict)

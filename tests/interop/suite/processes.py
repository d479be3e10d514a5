"""Programs that take and print lines."""

import json
import os
import queue
import subprocess
import threading
import time

# Seconds that a scenario may take.
WATCHDOG = 180


class Failure(Exception):
    """A scenario's verdict."""


class Process:
    """Takes and prints lines."""

    running = set()

    def __init__(self, command, log, **options):
        self.log = open(log, "a")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, **options
        )
        self.running.add(self.process)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self, until):
        try:
            line = self.lines.get(timeout=max(0, until - time.monotonic()))
        except queue.Empty:
            raise Failure("nothing came in time") from None
        if line is None:
            raise Failure(f"ended, see {self.log.name}")
        return line

    def ask(self, until, command, **rest):
        try:
            self.process.stdin.write(json.dumps({"command": command, **rest}) + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failure(f"ended ({error}), see {self.log.name}") from None
        return json.loads(self.line(until))

    def stop(self):
        # Chromium has files to remove.
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.running.discard(self.process)
        self.log.close()

    @classmethod
    def stop_all(cls, number, _):
        for process in list(cls.running):
            process.terminate()
        os._exit(128 + number)

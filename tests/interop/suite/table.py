"""One row for each scenario, the families' alike."""

import dataclasses

COLUMNS = ["peer", "version", "direction", "scenario", "seen", "messages", "verdict"]


@dataclasses.dataclass
class Row:
    # A `peers.Peer`.
    peer: object
    direction: str
    scenario: str
    # What was agreed upon, or said.
    seen: str = ""
    messages: int | str = ""
    verdict: str = "ok"

    def __str__(self):
        cells = [self.peer.name, self.peer.version, self.direction, self.scenario]
        cells += [self.seen, self.messages, self.verdict]
        cells = [str(cell).replace("|", "/").replace("\n", " ") for cell in cells]
        return f"| {' | '.join(cells)} |"


def show(rows):
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|")
    print(*rows, sep="\n")

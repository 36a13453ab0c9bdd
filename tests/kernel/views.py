"""What a front end with widgets does: it shows what is displayed, and clicks."""

from __future__ import annotations

import time
from collections.abc import Collection

import pytest

WIDGET = "application/vnd.jupyter.widget-view+json"


class Views:
    """The part of a driver that knows our views."""

    seen: list[tuple[str, dict]]

    def until(self, what: str, found, *, patience: float = 20):
        """Wait until a function of the messages that came gives something."""
        deadline = time.monotonic() + patience
        while not (result := found()):
            left = deadline - time.monotonic()
            if left <= 0 or not self.receive(left):
                kinds = [(m["header"]["msg_type"], str(m["content"])[:200]) for _, m in self.seen]
                pytest.fail(f"no {what} within {patience} s, but {kinds[-30:]}")
        return result

    def views(self) -> list[tuple[str, str]]:
        """The model and the display id of each widget that was displayed."""
        return [
            (
                m["content"]["data"][WIDGET]["model_id"],
                m["content"]["transient"]["display_id"],
            )
            for _, m in self.seen
            if m["header"]["msg_type"] == "display_data" and WIDGET in m["content"]["data"]
        ]

    def show(self, number: int = 0) -> str:
        """Show the widget that is displayed next; give its comm."""
        self.until("widget", lambda: len(self.views()) > number)
        comm = self.views()[number][0]
        self.tell(comm, type="ready")
        self.until("reset", lambda: self.messages(comm, "reset"))
        return comm

    def tell(self, comm: str, subshell: str | None = None, **content) -> None:
        self.comm(comm, {"method": "custom", "content": content}, subshell)

    def messages(self, comm: str, kind: str = "") -> list[dict]:
        """What a view was sent."""
        found = [
            m["content"]["data"]["content"]
            for _, m in self.seen
            if m["header"]["msg_type"] == "comm_msg"
            and m["content"]["comm_id"] == comm
            and m["content"]["data"].get("method") == "custom"
        ]
        return [each for each in found if not kind or each["type"] == kind]

    def puts(self, comm: str) -> list[dict]:
        """The nodes that a view has, since it was shown last."""
        found: dict[str, dict] = {}
        for message in self.messages(comm):
            if message["type"] == "reset":
                found = {}
            for change in message.get("changes", ()):
                if "put" in change:
                    found[change["put"]["id"]] = change["put"]
                elif "drop" in change:
                    found.pop(change["drop"], None)
        return list(found.values())

    def waiting(self, comm: str, but: Collection[str] = ()) -> str:
        """Wait for buttons in a view, other than some; give the id of what they decide."""

        def key() -> str:
            found = (put["id"] for put in self.puts(comm) if "controls" in put)
            return next((each for each in found if each not in but), "")

        return self.until("buttons", key)

    def final(self, display_id: str) -> str:
        """Wait until a display is plain HTML; give it."""

        def html() -> str:
            return next(
                (
                    m["content"]["data"]["text/html"]
                    for _, m in self.seen
                    if m["header"]["msg_type"] == "update_display_data"
                    and m["content"]["transient"]["display_id"] == display_id
                    and "text/html" in m["content"]["data"]
                ),
                "",
            )

        return self.until("final HTML", html)

    def _displays(self) -> list[dict]:
        kinds = ("display_data", "update_display_data")
        return [m["content"] for _, m in self.seen if m["header"]["msg_type"] in kinds]

    def still(self, comm: str) -> str:
        """The HTML beside a widget, empty if there is none now."""
        mark, where, html = f"agy-still-{comm}", "", ""
        for content in self._displays():
            found = content["data"].get("text/html", "")
            display_id = content["transient"].get("display_id")
            if mark in found:
                where = display_id
            if display_id == where:
                html = found
        return html

    def in_its_place(self) -> str:
        """The HTML that took the place of the first widget, empty if there is none."""
        display_id = self.views()[0][1]
        found = [
            content["data"].get("text/html", "")
            for content in self._displays()
            if content["transient"].get("display_id") == display_id
        ]
        return found[-1]

    def captured(self, comm: str) -> list[bool]:
        """Whether an output widget took each display of a view: the widget's and the HTML's."""
        found: list[bool] = []
        capturing = ""
        for _, message in self.seen:
            content, kind = message["content"], message["header"]["msg_type"]
            state = content.get("data", {}).get("state", {}) if kind == "comm_msg" else {}
            capturing = state.get("msg_id", capturing)
            if kind == "display_data" and (
                content["data"].get(WIDGET, {}).get("model_id") == comm or len(found) == 1
            ):
                found.append(bool(capturing))
        return found

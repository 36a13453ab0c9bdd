"""The tables of a source by name, as attributes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class NamedTables(ABC):
    """DataFrames as attributes; each access returns a table that you may change."""

    @abstractmethod
    def frame(self, name: str) -> pd.DataFrame:
        """Return a table by its name."""

    @property
    def sessions(self) -> pd.DataFrame:
        """One row per recording, or per run of a runtime."""
        return self.frame("sessions")

    @property
    def agents(self) -> pd.DataFrame:
        """One row per agent."""
        return self.frame("agents")

    @property
    def trajectories(self) -> pd.DataFrame:
        """One row per trajectory: the steps of an agent or of a subagent."""
        return self.frame("trajectories")

    @property
    def turns(self) -> pd.DataFrame:
        """One row per turn: a prompt and its answer."""
        return self.frame("turns")

    @property
    def steps(self) -> pd.DataFrame:
        """One row per step, in its last state."""
        return self.frame("steps")

    @property
    def model_calls(self) -> pd.DataFrame:
        """One row per metered model call, with tokens and cost."""
        return self.frame("model_calls")

    @property
    def tool_calls(self) -> pd.DataFrame:
        """One row per tool call."""
        return self.frame("tool_calls")

    @property
    def approvals(self) -> pd.DataFrame:
        """One row per approval or question."""
        return self.frame("approvals")

    @property
    def chunks(self) -> pd.DataFrame:
        """One row per piece of text; only with `chunks=True`."""
        return self.frame("chunks")

    @property
    def messages(self) -> pd.DataFrame:
        """One row per message."""
        return self.frame("messages")

    @property
    def commands(self) -> pd.DataFrame:
        """One row per command of the protocol."""
        return self.frame("commands")

    @property
    def errors(self) -> pd.DataFrame:
        """One row per error, also those that the harness recovered from."""
        return self.frame("errors")

    @property
    def problems(self) -> pd.DataFrame:
        """One row per problem of a recording, such as unreadable or inconsistent data."""
        return self.frame("problems")

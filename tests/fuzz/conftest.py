"""The agent under the fuzzer is the one the agent's own tests feed by hand."""

from tests.agent.conftest import bench

__all__ = ["bench"]

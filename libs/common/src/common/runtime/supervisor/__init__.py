"""Runs the embedded servers and the services, and keeps them running."""

from common.runtime.supervisor.memory import memory_pss
from common.runtime.supervisor.status import ProcessStatus, Status, stop_running
from common.runtime.supervisor.supervisor import Supervisor

__all__ = ["ProcessStatus", "Status", "Supervisor", "memory_pss", "stop_running"]

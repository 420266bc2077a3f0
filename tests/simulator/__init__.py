"""A Daktela on loopback, for tests, the demo and benchmarks.

    dataset = generate(activities=2000, tickets=300, seed=1)
    with Simulator(dataset) as simulator:
        requests.get(f"{simulator.url}/api/v6/tickets.json", headers={"X-AUTH-TOKEN": simulator.access_token})

As a process of its own: `python -m tests.simulator --help`.

Reading order: `schema` (what the endpoints hold), `generate` (invented rows), `query` (the grammar),
`filters` and `tables` (which rows, in which order), `projection` (which fields), `envelope` (around them),
`auth`, `load`, `crm_state` and `sync` (what a CRM sends), `faults`, `drift`, `endpoints`, `routes` (which path is
answered by what), `simulator`, `server`, `control`.
"""

from tests.simulator.crm_state import Crm
from tests.simulator.dataset import Dataset
from tests.simulator.drift import Drift
from tests.simulator.exchange import Request
from tests.simulator.faults import KINDS, Fault
from tests.simulator.generate import generate
from tests.simulator.simulator import Simulator

__all__ = ["KINDS", "Crm", "Dataset", "Drift", "Fault", "Request", "Simulator", "generate"]

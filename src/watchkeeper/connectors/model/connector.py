"""The connector for models; what their monitors push is taken and kept by `predictions`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.levels import level_of
from watchkeeper.connectors.model.placing import Places
from watchkeeper.connectors.model.read import ModelSession, answered, look
from watchkeeper.connectors.model.sample import SAMPLE
from watchkeeper.connectors.model.wanted import ModelSettings, wanted
from watchkeeper.domain import Host, Level, Probe, Reading, Resource, Tool, now
from watchkeeper.predictions import Predictions

_HERE = Path(__file__).parent
REMEMBERED = timedelta(hours=24)
"""How long a model of which nothing is heard any more is still asked for."""


class ModelConnector:
    """Models whose monitors push here. It has no tools: what is done about their figures is done to what they need."""

    kind = "model"
    metric = "latency_p95_seconds"
    setting_names: Sequence[str] = tuple(ModelSettings.model_fields)
    sample: Reading = SAMPLE
    tools: Sequence[Tool[ModelSession]] = ()
    rules, runbooks = define(_HERE, kind=kind, sample=SAMPLE, tools=tools)

    def __init__(self, predictions: Predictions | None = None) -> None:
        self._predictions = predictions

    def hearing(self, predictions: Any) -> "ModelConnector":
        """The same, with what takes the pushes."""
        return ModelConnector(predictions)

    async def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """One for each model that was heard of in the last day; on what its processes run in."""
        if self._predictions is None:
            return
        at = now()
        known = [model for model in await self._predictions.models() if at - model.seen_at < REMEMBERED]
        places = await Places.among(hosts) if known else Places()
        for model in known:
            senders = [sender for sender in model.senders if sender.host and at - sender.seen_at < REMEMBERED]
            if not senders:
                continue  # labels and records alone, sent from elsewhere
            serving = [sender for sender in senders if sender.serves(at)]
            carriers = places.carriers(serving or senders[:1])
            first = carriers[0] if carriers else None
            environment = first.environment if first else "production"
            alone = first is not None and len(carriers) == 1
            yield Resource(
                id=f"monitor/{environment}/model/{model.name}",
                slug=model.name.lower(),
                labels=first.labels if first else {},
                depends_on=() if alone else tuple(carrier.id for carrier in carriers),
                runs_on=first.id if first and alone else None,
            )

    def connect(self, resource: Resource, host: Host | None) -> aclosing[ModelSession]:
        """Nothing is held open but what is worked out beside the looks."""
        return aclosing(ModelSession(resource, wanted(resource.settings, resource.slug), self._predictions))

    async def read(self, session: ModelSession, last: Reading | None) -> Reading:
        """Figures of the last seconds, beside what is usual."""
        return await look(session)

    async def probe(self, session: ModelSession) -> Probe:
        """Nobody but its clients can ask it something that makes sense: whether they are answered."""
        return await answered(session)

    def level(self, line: str) -> Level | None:
        return level_of(line)


connector = ModelConnector()

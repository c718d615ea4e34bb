"""What `pipelines.yaml` says of where the data lives and where the work is done, as frozen specs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from storage import files
from storage.layout import Store

_MEMORY = re.compile(r"\d+(\.\d+)?\s*[kKMGT]?i?B")


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageConfig:
    """Where the data lives. Addresses that are not given are SQLite files: under the root, and next to it for MLflow."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    root: str = "./data/store"
    catalog: str | None = field(default=None, repr=False)  # may carry a password from the environment
    mlflow: str | None = field(default=None, repr=False)

    def store(self) -> Store:
        """The store with every address spelled out."""
        root = files.local_path(self.root) if not files.is_url(self.root) else None
        catalog = self.catalog or (f"sqlite:///{root / 'catalog.db'}" if root else "")
        mlflow = self.mlflow or (f"sqlite:///{root.parent / 'mlflow.db'}" if root else "")
        return Store(root=self.root, catalog=catalog, mlflow=mlflow)


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalCluster:
    """Dask workers on this machine, each a process; `memory` is the limit of each, as in 4GiB."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    kind: Literal["local"] = "local"
    workers: int | Literal["auto"] = "auto"
    memory: Literal["auto"] | str = "auto"

    def __post_init__(self) -> None:
        if self.workers != "auto" and self.workers < 1:
            raise ValueError(f"workers is {self.workers}; it must be at least 1, or auto")
        if self.memory != "auto" and not _MEMORY.fullmatch(self.memory):
            raise ValueError(f"memory is {self.memory!r}; it must be auto or a size such as 4GiB")


@dataclass(frozen=True, kw_only=True, slots=True)
class AddressCluster:
    """A Dask scheduler that already runs somewhere."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    kind: Literal["address"] = "address"
    scheduler: str

    def __post_init__(self) -> None:
        if "://" not in self.scheduler:
            raise ValueError(f"scheduler is {self.scheduler!r}; it must be an address such as tcp://10.0.0.5:8786")

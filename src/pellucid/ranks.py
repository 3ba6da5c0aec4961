"""Several processes that train or judge as one, started by torchrun or by Slurm's srun: who this one is of them.

The engine is torch.distributed, over NCCL where there is a GPU, else over Gloo. All that the processes say to each
other is here: numbers and arrays, as tensors and never as pickles. Torch is imported where there are several.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from pellucid.cores import usable_cores
from pellucid.errors import UsageError
from pellucid.files import sha256_text

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["ALONE", "Ranks", "agreed", "hosts_of", "joined", "placed"]

PATIENCE = timedelta(hours=2)
"""How long one waits for the others: the first decodes the images while they do."""
PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process is number `rank` of `count`, and number `local` of the `neighbours` on its machine.

    `again` says how often all were started once more because one of them ended early: there may be a run to go on with.
    """

    rank: int = 0
    count: int = 1
    local: int = 0
    neighbours: int = 1
    again: int = 0

    @property
    def main(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def cores(self) -> int:
        """Cores for this process: its share of the machine's."""
        return max(1, usable_cores() // self.neighbours)

    def own(self, items: range) -> range:
        """This rank's run of some, which all ranks together have once and in order."""
        return items[len(items) * self.rank // self.count : len(items) * (self.rank + 1) // self.count]

    def parallel(self, model: "nn.Module") -> "nn.Module":
        """What is called in training in place of the model, so that all ranks get the mean of their gradients."""
        if self.count == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        # Looking for unused parameters, torch keeps its buckets as they are. Else it arranges them anew after the first
        # step, and a run that goes on would add up in another order than one that was never stopped. Of two numbers
        # there is only one sum.
        return DistributedDataParallel(model, find_unused_parameters=self.count > 2)

    def apart(self, network: Any) -> AbstractContextManager[None]:
        """A pass, of what `parallel` gave, whose gradients are kept to oneself: another follows before the update."""
        found: AbstractContextManager[None] = nullcontext() if self.count == 1 else network.no_sync()
        return found

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Of each number the mean over the ranks; not a number where it is none for one of them."""
        if self.count == 1:
            return dict(values)
        import torch
        from torch import distributed

        found = torch.tensor(list(values.values()), dtype=torch.float64, device=_place())
        distributed.all_reduce(found)
        return dict(zip(values, (found / self.count).tolist(), strict=True))

    def greatest(self, number: int) -> int:
        """Over the ranks."""
        if self.count == 1:
            return number
        import torch
        from torch import distributed

        found = torch.tensor(number, device=_place())
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found)

    def of_main(self, number: int) -> int:
        """The number that the first rank has."""
        if self.count == 1:
            return number
        import torch
        from torch import distributed

        found = torch.tensor(number, device=_place())
        distributed.broadcast(found, 0)
        return int(found)

    def align(self, model: "nn.Module") -> None:
        """Give all ranks the first one's weights and statistics."""
        if self.count == 1:
            return
        from torch import distributed

        for tensor in (*model.parameters(), *model.buffers()):
            distributed.broadcast(tensor.detach(), 0)

    def gathered(self, arrays: Mapping[str, ndarray]) -> list[dict[str, ndarray]]:
        """The arrays of all ranks, in their order."""
        if self.count == 1:
            return [dict(arrays)]
        import safetensors.numpy
        import torch
        from torch import distributed

        said = np.frombuffer(safetensors.numpy.save(dict(arrays)), np.uint8)
        sizes = [torch.zeros(1, dtype=torch.int64, device=_place()) for _ in range(self.count)]
        distributed.all_gather(sizes, torch.tensor([len(said)], device=_place()))
        longest = max(int(size) for size in sizes)
        own = torch.from_numpy(np.pad(said, (0, longest - len(said)))).to(_place())
        parts = [torch.empty_like(own) for _ in range(self.count)]
        distributed.all_gather(parts, own)
        return [
            safetensors.numpy.load(part[: int(size)].cpu().numpy().tobytes())
            for part, size in zip(parts, sizes, strict=True)
        ]

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.count > 1:
            from torch import distributed

            distributed.barrier()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """What is inside is done by the first rank, and then by all others."""
        if not self.main:
            self.wait()
        yield
        if self.main:
            self.wait()


ALONE = Ranks()


def placed(env: Mapping[str, str]) -> tuple[Ranks, str] | None:
    """The place of this process, and where all meet as torch says it, from what torchrun or srun has left in `env`.

    None where neither has started it.
    """
    if "TORCHELASTIC_RUN_ID" in env:
        again = int(env.get("TORCHELASTIC_RESTART_COUNT", "0"))
        local, neighbours = int(env["LOCAL_RANK"]), int(env["LOCAL_WORLD_SIZE"])
        ranks, meeting = Ranks(int(env["RANK"]), int(env["WORLD_SIZE"]), local, neighbours, again), "env://"
    elif "SLURM_STEP_NODELIST" in env and "SLURM_PROCID" in env:
        count = int(env["SLURM_STEP_NUM_TASKS"])
        again = int(env.get("SLURM_RESTART_COUNT", "0"))
        # srun binds a task to its cores, so that it has no neighbours on them.
        ranks = Ranks(int(env["SLURM_PROCID"]), count, int(env["SLURM_LOCALID"]), again=again)
        port = 20_000 + int(env["SLURM_JOB_ID"]) % 20_000
        meeting = f"tcp://{hosts_of(env['SLURM_STEP_NODELIST'])[0]}:{port}"
    else:
        return None
    return ranks, meeting


def hosts_of(listed: str) -> list[str]:
    """The hosts of a list as Slurm writes it: `a[01-03,7],b` are a01, a02, a03, a7 and b."""
    found = []
    for name, inside, tail in re.findall(r"([^,\[\]]+)(?:\[([^\]]*)\])?([^,\[\]]*)", listed):
        for part in inside.split(",") if inside else [""]:
            first, _, last = part.partition("-")
            numbers = range(int(first), int(last) + 1) if last else ()
            found += [f"{name}{number:0{len(first)}}{tail}" for number in numbers] if last else [f"{name}{first}{tail}"]
    return found


@contextmanager
def joined() -> Iterator[Ranks]:
    """Meet the other ranks that torchrun or srun has started, if any, and part from them at the end."""
    ranks, meeting = placed(os.environ) or (ALONE, "")
    if ranks.count == 1:
        yield ranks
        return
    from torch import distributed

    _meet(ranks, meeting)
    try:
        yield replace(ranks, again=ranks.greatest(ranks.again))
    finally:
        distributed.destroy_process_group()


def _meet(ranks: Ranks, meeting: str) -> None:
    import torch
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    gpu = torch.cuda.is_available()
    if gpu:
        if ranks.local >= torch.cuda.device_count():
            raise UsageError(
                f"Rank {ranks.rank} is number {ranks.local + 1} on its machine, which has {torch.cuda.device_count()} "
                "GPUs. Start one process a GPU: --nproc-per-node, or --ntasks-per-node."
            )
        torch.cuda.set_device(ranks.local)
    store, _, _ = next(rendezvous(meeting, ranks.rank, ranks.count))
    distributed.init_process_group(
        "nccl" if gpu else "gloo",
        store=PrefixStore(agreed(store, ranks), store),
        rank=ranks.rank,
        world_size=ranks.count,
        timeout=PATIENCE,
    )


def agreed(store: Any, ranks: Ranks) -> str:
    """A name for this start that all of its ranks know, and none of an earlier one.

    The store of torchrun outlives a start, and may say where ranks were that have ended; and each host counts for
    itself how often it was started, so that their counts differ. Here every rank leaves a word that nobody had before,
    and the first one puts all of them together, again and again until each of the others has found its own in there.
    """
    mine = secrets.token_hex(8)
    if ranks.main:
        return sha256_text(_gathered_words(store, mine, ranks.count))
    store.set(f"word {ranks.rank}", mine)
    found = ""
    while not found or store.add(found, 0) < ranks.count:
        words = store.get("words").decode()
        if mine in words and words != found:
            store.add(found := words, 1)
        time.sleep(PAUSE_SECONDS)
    return sha256_text(found)


def _gathered_words(store: Any, mine: str, count: int) -> str:
    """Those that all others have found theirs in, which they wait to be told."""
    while True:
        words = " ".join([mine, *(store.get(f"word {rank}").decode() for rank in range(1, count))])
        store.set("words", words)
        time.sleep(PAUSE_SECONDS)
        if store.add(words, 0) == count - 1:
            store.add(words, 1)
            return words


def _place() -> "torch.device":
    """Where tensors that are exchanged lie."""
    import torch
    from torch import distributed

    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")

"""The verbs of the command line, a file each: functions whose parameters are the flags.

Each imports what it needs when it runs. Adding one is a file and a line here.
"""

from collections.abc import Callable

from pellucid.verbs.check import check
from pellucid.verbs.convert import convert
from pellucid.verbs.cost import cost
from pellucid.verbs.demo import demo
from pellucid.verbs.evaluate import evaluate
from pellucid.verbs.explain import explain
from pellucid.verbs.export import export
from pellucid.verbs.field import field
from pellucid.verbs.filter import filter_
from pellucid.verbs.health import health
from pellucid.verbs.importing import import_
from pellucid.verbs.predict import predict
from pellucid.verbs.serve import serve
from pellucid.verbs.studio import studio
from pellucid.verbs.terms import terms
from pellucid.verbs.train import train
from pellucid.verbs.verify import verify

__all__ = ["VERBS"]

VERBS: dict[str, Callable[..., int]] = {
    "check": check,
    "convert": convert,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "explain": explain,
    "terms": terms,
    "field": field,
    "cost": cost,
    "health": health,
    "import": import_,
    "export": export,
    "verify": verify,
    "filter": filter_,
    "serve": serve,
    "studio": studio,
    "demo": demo,
}

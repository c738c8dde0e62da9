"""The control of every drill: sets the stage before the experiment and takes it down afterwards, whatever happened."""

from __future__ import annotations

from typing import Any

from chaos.drill import Drill
from chaos.figures.result import result_of
from chaos.stage.spec import StageSpec
from chaos.toolkit.current import current

Experiment = dict[str, Any]


def before_experiment_control(context: Experiment, **_: Any) -> None:
    """Set up, and let the crowd come. What fails here leaves no drill: Chaos Toolkit itself would go on with half of one."""
    now = current()
    spec = StageSpec.of(context.get("configuration", {}).get("stage", {}))
    now.drill = drill = Drill(spec, now.say)
    now.faults, now.measured = {}, None
    try:
        drill.begin()
    except BaseException as error:
        now.drill, now.trouble = None, f"{type(error).__name__}: {error}"
        drill.close()
        raise


def after_method_control(**_: Any) -> None:
    """Mend what is still broken, send the crowd home, and wait until all is settled: what is measured next is final."""
    from chaos.toolkit.actions import mend_all

    now = current()
    mend_all()
    if now.drill is not None:
        now.drill.finish()
    now.measured = None


def after_experiment_control(context: Experiment, state: dict[str, Any], **_: Any) -> None:
    """Add the figures to Chaos Toolkit's journal, and take the stage down."""
    now = current()
    if now.drill is None:
        return
    try:
        state["trilha"] = result_of(context, state, now.drill, judge_times=now.judge_times)
    finally:
        now.drill.close()
        now.drill = None

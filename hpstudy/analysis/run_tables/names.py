"""What the name of a column says of it: hyperparameter, metric, record of a run."""

import re

# What tracking tools set before the names of what was configured, measured and noted.
_CONFIG = r"(params?|parameters?|config|hyper_?parameters?|hparams?|args|cfg)[_./ :]+"
_PREFIX = re.compile(
    rf"(?P<config>{_CONFIG})|(?P<measured>(metrics|summary)[./ :]+)"
    r"|(?P<noted>(user_attrs|attributes|tags)[_./ :]+(mlflow\.)?)",
    re.IGNORECASE,
)
_PART = re.compile(rf"({_CONFIG})?(optimizer|optim|opt|solver|training)[./]", re.IGNORECASE)


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


AXES = {
    "lr": _set(
        "lr learning_rate learningrate base_lr init_lr initial_lr lr0 lr_init peak_lr max_lr "
        "learning_rate_init initial_learning_rate base_learning_rate"
    ),
    "weight_decay": _set("weight_decay weightdecay wd l2 l2_reg weight_decay_rate"),
    "batch_size": _set("batch_size batchsize bs batch"),
}
"""Our name of a hyperparameter -> its usual names."""

NETWORKS = tuple("model arch architecture network model_name backbone net".split())
SEEDS = tuple(
    "seed random_seed random_state rng_seed manual_seed global_seed fold cv_fold fold_id kfold "
    "repeat repetition replicate rep restart run run_number run_idx trial".split()
)
TRIALS = tuple(
    "trial_id run_id trialid runid trial_name run_name trial run id name number experiment_tag "
    "job_id jobid uuid".split()
)
# Of these, the names that are of a run beyond doubt.
RUN_IDS = ("trial_id", "run_id", "trialid", "runid", "uuid")
PARENT = "parent_run_id"
EPOCHS = tuple(
    "epoch epochs training_iteration iteration iter global_step trainer_global_step step steps "
    "epochs_trained".split()
)
STATES = tuple("state status trial_status trial_state run_state run_status".split())
COUNTS = tuple("runs n_runs num_runs seeds n_seeds num_seeds repeats n_repeats folds n".split())

_SPREAD = _set("std sd stdev stddev stderr sem se var variance ci deviation")
_ACCURACY = _set("acc accuracy accuracies top1 prec1 f1 auc auroc map miou iou dice")
_LOSS = _set(
    "loss losses error errors err perplexity ppl rmse mse mae mape nll bpc bpb bpd wer cer fid "
    "cost crossentropy ce xent logloss brier eer deviance"
)
_OPEN = _set("value values objective score metric target")
_NO_METRIC = _set(
    "train training trn fn type weight weights scale coef function name epoch step time top5 "
    "rank delta gap id"
)
_RECORD = _set(
    "id ids uuid time timestamp timesteps date datetime created updated started duration runtime "
    "second seconds secs sec minutes hours elapsed wall host hostname node nodelist pid user "
    "username owner device gpu gpus cuda cpu cpus worker workers tags notes note comment "
    "description uri url path dir folder logdir checkpoint ckpt artifact commit git sha hash "
    "torch python sweep project entity experiment job jobid partition memory mem exit exitcode "
    "throughput flops macs grad trial lifecycle stopped diverged converged done curve stage "
    "unnamed top5 stop"
)
_LENGTHS = _set("epoch epochs step steps iteration iterations iter")
_RECORD_NAMES = _set(
    "number index name run rank start end best label params machine version log logs"
) | {"", *STATES}
_CONFIG_WORDS = _set(
    "optimizer optim dataset model arch architecture network backbone batch batchsize bs "
    "scheduler schedule augmentation dropout momentum method criterion pruning sparsity warmup "
    "smoothing task hidden depth width layers activation"
)
_PART_OF_LOSS = _set("fn type weight scale coef function name")


def bare(column: str) -> str:
    """Name of a column in lower case and underscores, without a tracking tool's prefix."""
    return plain(_PREFIX.sub("", column, count=1) if _PREFIX.match(column) else column)


def plain(name: str) -> str:
    """Name in lower case, its words joined by underscores."""
    return "_".join(words(name))


def words(name: str) -> list[str]:
    """Words of a name in lower case: of "valAcc@1" val, top1."""
    found = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    for n in range(len(found) - 1, 0, -1):
        if found[n] in ("1", "5") and found[n - 1] in ("top", "acc", "prec", "accuracy"):
            found[n - 1 : n + 1] = ["top" + found[n]]
    return [{"acc1": "top1", "acc5": "top5", "prec5": "top5"}.get(word, word) for word in found]


def _origin(column: str) -> str | None:
    """What a tracking tool's prefix says of a column: "config", "measured", "noted" or nothing."""
    match = _PREFIX.match(column)
    return match and match.lastgroup


def axis_columns(axis: str, columns: list[str]) -> list[str]:
    """Columns that are called like an axis.

    The column of its own name with those that are so called after a prefix, otherwise those
    that bear one of its usual names.
    """
    usual = AXES.get(plain(axis), {plain(axis)})
    own, others = [], []
    for column in columns:
        if _origin(column) == "measured":
            continue
        if column == axis:
            own.insert(0, column)
        elif bare(column) == plain(axis):
            own.append(column)
        elif bare(column) in usual or plain(_PART.sub("", column, count=1)) in usual:
            others.append(column)
    return own or others


def named(columns: list[str], names: tuple[str, ...]) -> list[str]:
    """Columns that bear one of some names, with or without a prefix, in the order of the names."""
    by_name: dict[str, list[str]] = {}
    for column in columns:
        by_name.setdefault(bare(column), []).append(column)
    return [column for name in names for column in by_name.get(name, [])]


def kind(column: str) -> str:
    """What a metric's name says: "accuracy" (more is better), "loss", "open" or "other".

    "open" are names of a goal that do not say which way it lies, as Optuna's value.
    """
    found = set(bare(column).split("_"))
    if _LOSS & found or any(word.endswith(("loss", "error", "err")) for word in found):
        return "loss"
    if _ACCURACY & found or any(word.endswith(("acc", "accuracy")) for word in found):
        return "accuracy"
    return "open" if _OPEN & found else "other"


def is_error(column: str) -> bool:
    """Whether a column's name says that it holds standard errors of means."""
    return bool({"stderr", "sem", "se"} & set(words(column)))


def is_spread(column: str) -> bool:
    """Whether a column's name says that it holds deviations."""
    return bool(_SPREAD & set(words(column)))


def metric_columns(columns: list[str], goal: str | None) -> list[str]:
    """Columns that may be the metric by their names, for a goal or for none."""
    usable = [
        column
        for column in columns
        if _origin(column) != "config"
        and not is_spread(column)
        and not set(words(column)) & _NO_METRIC
    ]
    # The best epoch's value is chosen by looking; the last one's stands beside it.
    last = [column for column in usable if not {"best", "max", "min"} & set(words(column))]
    ways = [("loss", "open")] if goal == "minimize" else [("accuracy", "open"), ("loss",)]
    for kinds in ways:
        for some in (last, usable):
            if fitting := [column for column in some if kind(column) in kinds]:
                return fitting
    return []


def is_record(column: str, numeric: bool) -> bool:
    """Whether a column tells how a run went, so that it says nothing of what the run was."""
    name, found, origin = bare(column), set(words(column)), _origin(column)
    if origin == "measured" or name in _RECORD_NAMES or name in SEEDS:
        return True
    if set(name.split("_")) & _RECORD:
        return True
    if origin == "config":
        return False
    if found & _LENGTHS or (origin == "noted" and not _CONFIG_WORDS & found):
        return True
    measured = (kind(column) != "other" or is_spread(column)) and not found & _PART_OF_LOSS
    return numeric and measured


def says_config(column: str) -> bool:
    """Whether a column is a hyperparameter, or what the run was of, by its name alone."""
    return _origin(column) == "config" or bool(_CONFIG_WORDS & set(words(column)))

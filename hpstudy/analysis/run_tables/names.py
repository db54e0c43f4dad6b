"""What the name of a column says of it: hyperparameter, metric, record of a run."""

import csv
import re
from collections.abc import Iterable, Sequence

from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, nearest, unknown

ACCURACIES = ("top1", "top5", "best_top1")
TRUTHS = ("diverged", "stopped")
COLUMNS = ("variant", "seed", *ACCURACIES, *TRUTHS, "state", "run", "epoch")
"""What the columns of a table may say of a run, besides its setting."""

ALIASES = {
    name: tuple(aliases.split())
    for name, aliases in {
        "lr": "lr learning_rate learningrate base_lr init_lr initial_lr lr0 lr_init peak_lr max_lr "
        "learning_rate_init initial_learning_rate base_learning_rate",
        "weight_decay": "weight_decay weightdecay wd l2 l2_reg weight_decay_rate",
        "batch_size": "batch_size batchsize bs batch",
        "variant": "variant",
        "network": "model arch architecture network model_name backbone net",
        "seed": "seed random_seed random_state rng_seed manual_seed global_seed fold cv_fold "
        "fold_id kfold repeat repetition replicate rep restart run run_number run_idx trial",
        "trial": "trial_id run_id trialid runid trial_name run_name trial run id name number "
        "experiment_tag job_id jobid uuid",
        # Of these, the names that are a run's beyond doubt.
        "run id": "trial_id run_id trialid runid uuid",
        "parent": "parent_run_id",
        "epoch": "epoch epochs training_iteration iteration iter global_step trainer_global_step "
        "step steps epochs_trained",
        "state": "state status trial_status trial_state run_state run_status",
        "count": "runs n_runs num_runs seeds n_seeds num_seeds repeats n_repeats folds n",
    }.items()
}
"""Our name of what a column holds -> the usual names of that column, the likeliest first."""

WORDS = {
    kind: frozenset(words.split())
    for kind, words in {
        "spread": "std sd stdev stddev stderr sem se var variance ci deviation",
        "standard error": "stderr sem se",
        "accuracy": "acc accuracy accuracies top1 prec1 f1 auc auroc map miou iou dice",
        "loss": "loss losses error errors err perplexity ppl rmse mse mae mape nll bpc bpb bpd wer "
        "cer fid cost crossentropy ce xent logloss brier eer deviance",
        # A goal that does not say which way it lies, as Optuna's value.
        "open": "value values objective score metric target",
        "no metric": "train training trn fn type weight weights scale coef function name epoch "
        "step time top5 rank delta gap id",
        "record": "id ids uuid time timestamp timesteps date datetime created updated started "
        "duration runtime second seconds secs sec minutes hours elapsed wall host hostname node "
        "nodelist pid user username owner device gpu gpus cuda cpu cpus worker workers tags notes "
        "note comment description uri url path dir folder logdir checkpoint ckpt artifact commit "
        "git sha hash torch python sweep project entity experiment job jobid partition memory mem "
        "exit exitcode throughput flops macs grad trial lifecycle stopped diverged converged done "
        "curve stage unnamed top5 stop",
        "length": "epoch epochs step steps iteration iterations iter",
        "config": "optimizer optim dataset model arch architecture network backbone batch "
        "batchsize bs scheduler schedule augmentation dropout momentum method criterion pruning "
        "sparsity warmup smoothing task hidden depth width layers activation",
        "part of a loss": "fn type weight scale coef function name",
    }.items()
}
"""What a word in the name of a column says of it."""

_RECORD_NAMES = {
    *("", "number", "index", "name", "run", "rank", "start", "end", "best", "label", "params"),
    *("machine", "version", "log", "logs", *ALIASES["state"], *ALIASES["seed"]),
}
# What tracking tools set before the names of what was configured, measured and noted.
_CONFIG = r"(params?|parameters?|config|hyper_?parameters?|hparams?|args|cfg)[_./ :]+"
_PREFIX = re.compile(
    rf"(?P<config>{_CONFIG})|(?P<measured>(metrics|summary)[./ :]+)"
    r"|(?P<noted>(user_attrs|attributes|tags)[_./ :]+(mlflow\.)?)",
    re.IGNORECASE,
)
PART = re.compile(rf"({_CONFIG})?(optimizer|optim|opt|solver|training)[./]", re.IGNORECASE)


def parse_columns(text: str, axes: Sequence[str] | None = None) -> dict[str, str]:
    """Our names, after a file and a colon where given -> the tables' names of columns.

    `text` is such as "lr=params_lr,top1=value" or "dense.csv:top1=acc"; a pair with a comma stands
    in double quotes. The `axes`, lr and weight_decay by default, belong to our names.

    Raises
    ------
    HpstudyError
        If a pair is incomplete, or our name is unknown or comes twice.
    """
    columns: dict[str, str] = {}
    # A shell leaves the line breaks of a long option in it.
    line = " ".join(text.splitlines())
    for text in next(csv.reader([line], skipinitialspace=True)) or [""]:
        usage = "--columns takes pairs such as lr=params_lr, separated by commas"
        ours, theirs = pair(text, usage)
        name = ours.rpartition(":")[2]
        if name not in (valid := (*(axes or AXES), *COLUMNS)):
            raise unknown("column name in --columns", name, valid)
        if ours in columns:
            raise HpstudyError(f"--columns names {ours} twice: {columns[ours]} and {theirs}.")
        columns[ours] = theirs
    return columns


def pair(text: str, usage: str, blank: bool = False) -> tuple[str, str]:
    """Both sides of "name=value", of which only the value may be blank."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and (value or blank)):
        raise HpstudyError(f"{usage}; not {text!r}.")
    return name, value


def words(name: str) -> list[str]:
    """Words of a name in lower case: of "valAcc@1" val and top1."""
    found = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    text = re.sub(r"\b(top|acc|prec|accuracy) ([15])\b", r"top\2", " ".join(found))
    return re.sub(r"\b(acc|prec)([15])\b", r"top\2", text).split()


def plain(name: str) -> str:
    """Name in lower case, its words joined by underscores."""
    return "_".join(words(name))


def bare(column: str) -> str:
    """Plain name of a column without a tracking tool's prefix."""
    return plain(_PREFIX.sub("", column, count=1) if _PREFIX.match(column) else column)


def named(columns: list[str], names: Iterable[str]) -> list[str]:
    """Columns with one of some names, with or without a prefix, in the order of the names."""
    by_name: dict[str, list[str]] = {}
    for column in columns:
        by_name.setdefault(bare(column), []).append(column)
    return [column for name in names for column in by_name.get(name, [])]


def kind(column: str) -> str:
    """What the name of a metric says: "accuracy" (more is better), "loss", "open" or "other"."""
    parts = set(bare(column).split("_"))
    for meaning, ends in (("loss", ("loss", "error", "err")), ("accuracy", ("acc", "accuracy"))):
        if WORDS[meaning] & parts or any(word.endswith(ends) for word in parts):
            return meaning
    return "open" if WORDS["open"] & parts else "other"


def says(column: str, meaning: str) -> bool:
    """Whether a word in the name of a column has a meaning of `WORDS`."""
    return bool(WORDS[meaning] & set(words(column)))


def says_config(column: str) -> bool:
    """Whether a column is a hyperparameter, or what the run was of, by its name alone."""
    return origin(column) == "config" or says(column, "config")


def is_record(column: str, numeric: bool) -> bool:
    """Whether a column records how a run went, and not what was run."""
    name, prefix = bare(column), origin(column)
    if prefix == "measured" or name in _RECORD_NAMES or set(name.split("_")) & WORDS["record"]:
        return True
    if prefix == "config":
        return False
    if says(column, "length") or (prefix == "noted" and not says(column, "config")):
        return True
    measured = kind(column) != "other" or says(column, "spread")
    return numeric and measured and not says(column, "part of a loss")


def metric_columns(columns: list[str], goal: str | None) -> list[str]:
    """Columns that may be the metric by their names, for a goal or for none."""
    no_metric = WORDS["spread"] | WORDS["no metric"]
    usable = [c for c in columns if origin(c) != "config" and not no_metric & set(words(c))]
    # The best epoch's value is chosen by looking at it; the last one's is preferred.
    last = [column for column in usable if not {"best", "max", "min"} & set(words(column))]
    kinds = [("loss", "open")] if goal == "minimize" else [("accuracy", "open"), ("loss",)]
    choices = ([c for c in some if kind(c) in of] for of in kinds for some in (last, usable))
    return next(filter(None, choices), [])


def lookalike(name: str, columns: list[str]) -> str | None:
    """Column that ends like a name, as train/lr does like lr, or that is spelled alike."""
    ends = tuple(f"{mark}{name}" for mark in "_/. ")
    spelled = {column.lower(): column for column in columns}
    close = next((column for column in spelled if column.endswith(ends)), None)
    return spelled.get(close or nearest(name, spelled) or "")


def origin(column: str) -> str | None:
    """What a prefix says of a column: "config", "measured", "noted" or nothing."""
    match = _PREFIX.match(column)
    return match and match.lastgroup

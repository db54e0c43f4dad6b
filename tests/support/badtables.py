"""Bad tables of runs (`badinput.Case`)."""

from functools import partial

from badinput import Case, write

HEADER = "variant,lr,weight_decay,seed,top1"
GOOD = "unpruned,0.1,0.0001,0,93.0"


def _read_runs() -> None:
    from hpstudy.analysis.run_tables import read_runs

    read_runs("runs.csv")


def table(what: str, content: str | bytes, sentence: str) -> Case:
    """Case of a CSV file for `hpstudy compare`."""
    return Case("table of runs", what, partial(write, "runs.csv", content), _read_runs, sentence)


def cell(what: str, column: str, text: str, reason: str, shown: str = "") -> Case:
    """Case of a table whose third line has a bad cell."""
    row = {"variant": "thin", "lr": "0.1", "weight_decay": "1e-4", "seed": "0", "top1": "90"}
    row |= {"diverged": "0"} | {column: text}
    lines = [f"{HEADER},diverged", f"{GOOD},0", ",".join(row.values())]
    option = "--metric COLUMN" if column == "top1" else f"--columns {column}=COLUMN"
    remedy = "" if "--goal" in reason else f"; correct it, or name another column by {option}"
    sentence = f"line 3 of runs.csv: {column} is {shown or repr(text)}, {reason}{remedy}."
    return table(what, "\n".join(lines) + "\n", sentence)


NUMBER, POSITIVE = "which is not a number", "but must be positive and finite"
GOAL = "add --goal minimize if less of it is better, --goal maximize if more is"
ACCURACY, INTEGER = f"which no accuracy is; correct it, or {GOAL}", "but must be an integer"
NOT_TEXT = (
    "runs.csv is not text in UTF-8 or UTF-16; save it as CSV in UTF-8 (in Excel: 'CSV UTF-8')."
)
WIDE = ",".join(f"c{number}" for number in range(1_000_000))

TABLES = [
    table("an empty file", "", "runs.csv is empty: it has no text."),
    table("a header without rows", f"{HEADER}\n", "runs.csv is empty: it has a header only."),
    table(
        "a quote that is never closed",
        f'{HEADER}\n"{GOOD}\n',
        "runs.csv is not a CSV file: a quote is opened and never closed (line 2).",
    ),
    table(
        "an open quote before a megabyte",
        f'{HEADER}\n"{GOOD}\n' + "x" * 1_000_000,
        "runs.csv is not a CSV file: a cell has more than 131,072 characters, as where a quote "
        "is never closed (line 3).",
    ),
    table(
        "a truncated line",
        f"{HEADER}\n{GOOD}\nthin,0.1\n",
        "runs.csv is not a CSV file: the header has 5 cells, line 3 has 2 (lines of another length "
        "than the header: 1); put a cell that holds commas in double quotes, and complete what "
        "was cut short.",
    ),
    table(
        "decimal commas",
        "lr,weight_decay,top1\n0,1,1e-4,93,1\n0,1,1e-3,93,2\n",
        "runs.csv is not a CSV file: the header has 3 cells, line 2 has 5 (2 such lines), and no "
        "number has a point. Decimal points seem to have become commas: export the table again, "
        "with points in the numbers or with semicolons between the cells.",
    ),
    table("Latin-1", f"{HEADER}\n{GOOD}\n\xe9".encode("latin-1"), NOT_TEXT),
    table("an image", b"\x89PNG\r\n\x1a\n\x00\xff", NOT_TEXT),
    table(
        "a million columns",
        f"{WIDE}\n{WIDE}\n",
        "runs.csv has 1,000,000 columns; a table of runs has at most 10,000.",
    ),
    table(
        "a column twice",
        f"{HEADER},lr\n{GOOD},0.2\n",
        "runs.csv has the column lr 2 times; rename all but the one that is the lr.",
    ),
    table(
        "a missing column",
        "variant,weight_decay,seed,top1\nunpruned,0.1,0,93\n",
        "runs.csv lacks the column lr; name it by --columns lr=COLUMN, or name the hyperparameters "
        "of the sweep by --axes; it has: variant, weight_decay, seed, top1.",
    ),
    table(
        "a column with control characters",
        "variant,l\x1b[31mr,weight_decay,seed,top1\n" + GOOD,
        "runs.csv lacks the column lr; name it by --columns lr=COLUMN, or name the hyperparameters "
        r"of the sweep by --axes; it has: variant, l\x1b[31mr, weight_decay, seed, top1.",
    ),
    table(
        "two columns for one quantity",
        "params_lr,config/lr,top1\n0.1,0.2,93\n",
        "runs.csv has several columns that may be lr: params_lr, config/lr; choose one by "
        "--columns lr=config/lr.",
    ),
    table(
        "no metric",
        "lr,weight_decay,result\n0.1,1e-4,93\n",
        "runs.csv has no column that is named like a metric; name it by --metric COLUMN; it has: "
        "lr, weight_decay, result.",
    ),
    table(
        "two metrics",
        "lr,weight_decay,val_acc,test_acc\n0.1,1e-4,93,92\n",
        "runs.csv has several columns that may be the metric: val_acc, test_acc; choose one by "
        "--metric val_acc.",
    ),
    table(
        "a loss without a goal",
        "lr,weight_decay,val_loss\n0.1,1e-4,0.3\n",
        f"the metric val_loss of runs.csv is a loss or an error by its name; {GOAL}.",
    ),
    table(
        "two optimizers",
        f"{HEADER},optimizer\n{GOOD},sgd\nunpruned,0.1,0.0001,1,91,adam\n",
        "runs differ in more than their seed: at lr 0.1, weight_decay 0.0001 optimizer is 'sgd' on "
        "line 2 of runs.csv and 'adam' on line 3 of runs.csv (2 such lines; optimizer: sgd, adam). "
        "Take one value (--where optimizer=sgd), make variants of them (--variant-by optimizer), "
        "or average over them as over seeds (--average-over optimizer).",
    ),
    table(
        "runs of different lengths",
        f"{HEADER},epoch\n{GOOD},3\nunpruned,0.1,0.001,0,91,4\nunpruned,0.1,0.01,0,90,5\n",
        "most runs of runs.csv are shorter than the longest (epoch 3 to 5; 2 of 3 are shorter): "
        "compare those of one length by --where epoch=5, or take all as they ended by "
        "--any-length.",
    ),
    table(
        "an unknown state",
        f"{HEADER},status\n{GOOD},fine\n",
        "line 2 of runs.csv: status is 'fine', but must be a state of Optuna, W&B, Ray, MLflow, "
        "Keras Tuner or SLURM, such as complete, failed, pruned or running; or choose the rows "
        "that count by --where status=VALUE.",
    ),
    table(
        "runs that all failed",
        f"{HEADER},status\n{GOOD},FAILED\n",
        "no run of runs.csv has ended.",
    ),
    table(
        "a run twice",
        f"{HEADER}\n{GOOD}\n{GOOD}\n",
        "line 3 of runs.csv repeats line 2 of runs.csv: variant 'unpruned', lr 0.1, weight_decay "
        "0.0001, seed 0; delete what was written twice, or name the column that tells repeats "
        "apart by --average-over COLUMN.",
    ),
    table(
        "a run twice, different in the tenth digit",
        f"{HEADER}\n{GOOD}\n{GOOD}".replace("0.1,", "0.1000000001,", 1),
        "line 3 of runs.csv repeats line 2 of runs.csv: variant 'unpruned', lr 0.1, weight_decay "
        "0.0001, seed 0; delete what was written twice, or name the column that tells repeats "
        "apart by --average-over COLUMN.",
    ),
    table(
        "a fraction among percentages",
        f"{HEADER}\n{GOOD}\nthin,0.1,0.0001,0,0.92\n",
        "line 3 of runs.csv: top1 is '0.92', among percentages up to 93; write fractions as "
        "percentages, and mark a run that diverged in a column diverged.",
    ),
    table(
        "no dense network",
        f"{HEADER}\nthin,0.1,0.0001,0,92\nthinner,0.1,0.0001,0,91\n",
        "no variant is called unpruned or dense; name the dense network by --dense VARIANT; "
        "variants there: thin, thinner.",
    ),
    table(
        "a dense network without an accuracy",
        f"{HEADER}\nunpruned,0.1,0.0001,0,\nthin,0.1,1,0,9",
        "no run of the dense network 'unpruned' has a value of top1.",
    ),
    cell("a word for a learning rate", "lr", "abc", NUMBER),
    cell("a negative learning rate", "lr", "-0.1", POSITIVE),
    cell("an infinite learning rate", "lr", "inf", POSITIVE),
    cell("a learning rate that is NaN", "lr", "nan", POSITIVE),
    cell("a learning rate of zero", "lr", "0", POSITIVE),
    cell("a negative weight decay", "weight_decay", "-1", "but must be 0, or positive and finite"),
    cell("a weight decay of 1e300", "weight_decay", "1e300", "but must lie within 1e-30 and 1e+30"),
    cell("a fraction as a seed", "seed", "0.5", INTEGER),
    cell("a seed of 301 digits", "seed", "1e300", "but must have at most 64 bits"),
    cell("an accuracy above 100", "top1", "100.1", ACCURACY),
    cell("a negative accuracy", "top1", "-0.1", ACCURACY),
    cell("a formula for an accuracy", "top1", "=1+1", NUMBER),
    cell(
        "a flag that is neither true nor false",
        "diverged",
        "maybe",
        "but must be True, False, 1 or 0",
    ),
    cell("an empty name", "variant", "", "but every run needs the name of its network"),
    cell(
        "a name with control characters",
        "variant",
        "thin\x1b[2J",
        "but a name holds no characters that are not printed",
    ),
    cell(
        "a name with a null byte",
        "variant",
        "thin\0",
        "but a name holds no characters that are not printed",
    ),
    cell(
        "a name with a right-to-left override",
        "variant",
        "thin\u202e",
        "but a name holds no characters that are not printed",
    ),
    cell(
        "a name of 101 letters",
        "variant",
        "x" * 101,
        "but a name has at most 100 letters",
        f"'{'x' * 99}…",
    ),
]

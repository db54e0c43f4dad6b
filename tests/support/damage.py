"""Damage to stores and published tables, and part of the message that must name it.

A store is damaged by an SQL statement with ids of runs in braces, a table by a function of its
rows and its record.
"""

SPEC = "UPDATE runs SET spec = replace(spec, '{}', '{}') WHERE run_id = '{}'"
STORES = {
    "a digit of an accuracy": (
        "UPDATE runs SET top1 = 51.0 WHERE run_id = '{prior}'",
        "run {prior}: top1 is 51.0, but must be 50.0",
    ),
    "text for an accuracy": (
        "UPDATE runs SET top1 = 'high' WHERE run_id = '{prior}'",
        "run {prior}: top1 is 'high': Input should be a valid number",
    ),
    "another best epoch": (
        "UPDATE runs SET best_epoch = 3 WHERE run_id = '{prior}'",
        "run {prior}: best_epoch is 3, but must be 2",
    ),
    "a duration of 0": (
        "UPDATE runs SET seconds = 0 WHERE run_id = '{prior}'",
        "run {prior}: seconds is 0: Input should be greater than 0",
    ),
    "another learning rate": (
        SPEC.format('"lr":0.01', '"lr":0.03', "{prior}"),
        "run {prior}: its settings have the id ",
    ),
    "other widths": (
        """UPDATE runs SET spec = replace(spec, '"blocks.0.conv1":5', '"blocks.0.conv1":6')
           WHERE rowid = (SELECT max(rowid) FROM runs WHERE spec LIKE '%"blocks.0.conv1":5%')""",
        "its settings have the id ",
    ),
    "a truncated specification": (
        "UPDATE runs SET spec = substr(spec, 1, 50) WHERE run_id = '{prior}'",
        "run {prior}: spec is ",
    ),
    "a specification with an invalid value": (
        SPEC.format('"epochs":3', '"epochs":true', "{prior}"),
        "run {prior}: spec.recipe.epochs is True: ",
    ),
    "another size": (
        "UPDATE runs SET macs = macs + 1 WHERE run_id = '{prior}'",
        "run {prior}: macs is 2535041, but its network has 2535040",
    ),
    "a truncated curve": (
        "UPDATE runs SET curve = substr(curve, 1, 30) WHERE run_id = '{prior}'",
        "run {prior}: curve is ",
    ),
    "a curve without one epoch": (
        "UPDATE runs SET curve = replace(curve, '55.0, ', '') WHERE run_id = '{prior}'",
        "run {prior}: its curve has 2 values of top1, but epochs is 3",
    ),
    "a negative accuracy": (
        "UPDATE runs SET curve = replace(curve, '20.0', '-20.0') WHERE run_id = '{prior}'",
        "run {prior}: curve.top1.0 is -20.0: Input should be greater than or equal to 0",
    ),
    "an early end without a divergence": (
        """UPDATE runs SET curve = '{"train_loss": [1.0], "loss": [1.25], "top1": [50.0]}',
           epochs = 1, best_top1 = 50.0, best_epoch = 1 WHERE run_id = '{prior}'""",
        "run {prior}: it ended after 1 of 3 epochs with a loss of 1.0",
    ),
    "a diverged run without the flag": (
        "UPDATE runs SET diverged = 0 WHERE run_id = '{diverged}'",
        "run {diverged}: diverged is False, but must be True",
    ),
    "a result of a stopped run": (
        "UPDATE stopped SET top1 = 50.0",
        "run {early}: top1 is 50.0, but must be None",
    ),
    "an expected accuracy above the threshold": (
        """UPDATE stopped SET verdict = replace(verdict, '40.0', '59.0')""",
        "run {early}: it was stopped at an expected accuracy of 59.0 with the deviation 2.0, "
        "though 60.0 was needed",
    ),
    "a threshold of 0": (
        "UPDATE stopped SET threshold = 0",
        "run {early}: threshold is 0.0: Input should be greater than 0",
    ),
    "a ranking without its run": (
        "UPDATE rankings SET run_id = '0123456789abcdef'",
        "run 0123456789abcdef: it has a ranking, but is not recorded",
    ),
    "a ranking with another number of filters": (
        "UPDATE rankings SET scores = replace(scores, '\"blocks.0.conv1\": [', "
        "'\"blocks.0.conv1\": [1.0, ')",
        "run {prior}: its ranking has 17 scores for 16 filters of blocks.0.conv1",
    ),
    "a ranking without numbers": (
        "UPDATE rankings SET scores = replace(scores, '\"blocks.0.conv1\": [', "
        "'\"blocks.0.conv1\": [-')",
        "run {prior}: scores.blocks.0.conv1.0 is -",
    ),
    "a truncated hash": (
        "UPDATE rankings SET weights_sha256 = 'abab'",
        "run {prior}: weights_sha256 is 'abab': String should match pattern",
    ),
    "a run both finished and failed": (
        "INSERT INTO failures SELECT run_id, spec, 'lost' FROM runs WHERE run_id = '{prior}'",
        "run {prior}: it has both ended and failed",
    ),
    "a lease of a recorded run": (
        "INSERT INTO claims VALUES ('{prior}', 'sweep')",
        "run {prior}: a sweep leases it, but it has ended",
    ),
    "an unknown arithmetic": (
        "INSERT INTO arithmetics VALUES ('family', 'float16')",
        "arithmetic is 'float16': Input should be 'float32', ",
    ),
    "a missing column": (
        "ALTER TABLE failures DROP COLUMN reason",
        "it lacks reason",
    ),
    "a missing table": (
        "DROP TABLE claims",
        "store.sqlite is another program's database, not a store of hpstudy (tables: arithmetics, "
        "failures, rankings, runs, stopped)",
    ),
}


def cell(name, value, row=0):
    """Damage that changes a cell of the table."""
    return lambda rows, record: rows[row].update({name: value})


def entry(place, value):
    """Damage that changes an entry of the record."""

    def damage(rows, record):
        *path, last = place.split("/")
        for key in path:
            record = record[key]
        record[last] = value

    return damage


def another_channel(rows, record):
    kept = record["certificates"]["uniform-0.3"]["kept"]["blocks.0.conv1"]
    kept[0] = next(channel for channel in range(16) if channel not in kept)
    kept.sort()


def additional_channel(rows, record):
    kept = record["certificates"]["uniform-0.3"]["kept"]["blocks.0.conv1"]
    kept.append(next(channel for channel in range(16) if channel not in kept))
    kept.sort()


def without_first_row(rows, record):
    del rows[0]


def without_a_counted_row(rows, record):
    del rows[0]
    record["record"] |= {"runs": 7, "train_seconds": 87.5, "images": 7 * 3 * 40}


def with_duplicate(rows, record):
    rows.append(rows[0])


CERTIFICATE = "certificates/uniform-0.3"
TABLES = {
    "a digit of an accuracy": (cell("top1", "55.0"), ["line 2: top1 is 55.0, but must be 50.0"]),
    "another learning rate of the grid": (
        cell("lr", "0.02"),
        [
            "its settings have the id ",
            "unpruned lacks 1 run, but its record",
        ],
    ),
    "a learning rate off the grid": (
        cell("lr", "0.03"),
        ["line 2: its settings have the id "],
    ),
    "another id": (
        cell("run_id", "0123456789abcdef"),
        ["0123456789abcdef: line 2: its settings have the id "],
    ),
    "another variant": (cell("variant", "uniform-0.4"), ["variant is 'uniform-0.4', but must be"]),
    "another method": (cell("method", "uniform"), ["method is 'uniform', but must be 'unpruned'"]),
    "another seed": (cell("seed", "1"), ["its settings have the id "]),
    "another size": (cell("params", "269723"), ["params is 269723, but its network has 269722"]),
    "text for a number": (cell("loss", "low"), ["line 2 of "]),
    "text for a flag": (
        cell("diverged", "no"),
        ["diverged is 'no', but must be True or False"],
    ),
    "a whole run marked as stopped": (
        cell("stopped", "True"),
        ["it was stopped after 3 of 3 epochs"],
    ),
    "a duplicate row": (with_duplicate, ["it has 2 rows", "its record says runs 8, the table 9"]),
    "a missing row": (without_first_row, ["its record says runs 8, the table 7"]),
    "a missing row that the record does not count": (
        without_a_counted_row,
        ["unpruned lacks 1 run, but its record"],
    ),
    "an additional channel": (
        additional_channel,
        ["the certificate of uniform-0.3 says kept "],
    ),
    "a channel that does not exist": (
        entry(f"{CERTIFICATE}/kept/blocks.0.conv1", [0, 1, 16]),
        ["the certificate of uniform-0.3 says kept "],
    ),
    "another width": (
        entry(f"{CERTIFICATE}/widths/blocks.0.conv1", 7),
        ["the certificate of uniform-0.3 says widths "],
    ),
    "another number of parameters": (
        entry(f"{CERTIFICATE}/params", 1),
        ["the certificate of uniform-0.3 says params 1, but must say 7"],
    ),
    "another ratio": (
        entry(f"{CERTIFICATE}/achieved", 0.3),
        ["the certificate of uniform-0.3 says achieved 0.3, but must say 0.3"],
    ),
    "another ranked run": (
        entry(f"{CERTIFICATE}/ranked", "dense network"),
        ["the certificate of uniform-0.3 says ranked 'dense network', but must say 'dense network"],
    ),
    "a truncated hash": (
        entry(f"{CERTIFICATE}/weights_sha256", "ab"),
        ["tiny.json is no record of a table: certificates.uniform-0.3.weights_sha256 is "],
    ),
    "a missing certificate": (
        entry("certificates", {}),
        ["the record has no certificate of its variant uniform-0.3"],
    ),
    "another recipe": (
        entry("study/recipe/momentum", 0.8),
        ["its settings have the id ", "says ranked"],
    ),
    "another study": (entry("study/name", "other"), ["its record is that of the study other"]),
    "an unknown key of the study": (entry("study/modle", "x"), ["unknown key 'modle'"]),
    "another number of images": (
        entry("record/images", 1),
        ["its record says images 1, the table 960"],
    ),
    "a failed run with a row": (
        lambda rows, record: record["record"].update(failed={rows[0]["run_id"]: "lost"}),
        ["its record says that it failed, but it has a row"],
    ),
}

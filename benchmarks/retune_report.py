"""What `benchmarks/retune.py` finds: calibration, limits, and the tables of the book."""

import json
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from common import machine, markdown
from scipy.optimize import minimize
from scipy.special import expit, logit

from hpstudy.analysis.retune import QUIET
from hpstudy.analysis.retune_task import LEAST, NOISY

WORK = Path("runs") / "retune"
# Pairs that each study counts for.
WEIGHT = 10.0
QUESTIONS = ("both", "first", "second", "found")
# Probabilities up to which the answer is "retune", and from which it is "keep".
LIMITS = {"both": (0.05, 0.93), "first": (0.01, 0.96), "second": (0.05, 0.93)}
# Noise over tolerable loss, and probabilities, by which results are grouped.
BUCKETS = (0.0, 0.6, 1.5, 3.0, 100.0)
SPANS = (0.0, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0)
EDGE = 1 / 2000
ROOT = Path(__file__).resolve().parents[1]
PRIOR = ROOT / "hpstudy" / "published" / "pruned_prior.json"
MEASUREMENTS = ROOT / "book" / "measurements" / "retune.json"


def read_games() -> pd.DataFrame:
    """All looks of all games, with the true answer to each question."""
    games = pd.concat([pd.read_csv(path) for path in sorted(WORK.glob("games-*.csv"))])
    for name in QUESTIONS:
        games[f"keep_{name}"] = games[f"true_{name}"] <= games["tolerable"]
    # A study of a family of simulated pairs is not one that a prior leaves out.
    games["game"] = games["study"] + " " + games["pair"].astype(str)
    return games.reset_index(drop=True)


def terms_of(games: pd.DataFrame, name: str) -> np.ndarray:
    """Terms of `recalibrated`, of shape (n_looks, 3)."""
    odds = logit(games[f"p_{name}"].clip(EDGE, 1 - EDGE))
    return np.column_stack([np.ones(len(games)), odds, odds * np.log(games["noise"].clip(*NOISY))])


def regression(games: pd.DataFrame, name: str) -> list[float]:
    """Terms from a share's log odds to those of "keep"; all studies and families weigh the same."""
    games = games[games["n"] >= LEAST]
    given, keep = terms_of(games, name), games[f"keep_{name}"].astype(float)
    weights = WEIGHT / games.groupby("study")["n"].transform("size")

    def loss(terms: np.ndarray) -> float:
        chance = expit(given @ terms).clip(1e-9, 1 - 1e-9)
        entropy = -(keep * np.log(chance) + (1 - keep) * np.log(1 - chance))
        prior = terms[0] ** 2 / 2 + 2 * (terms[1] - 1) ** 2 + 2 * terms[2] ** 2
        return float((weights * entropy).sum() + prior)

    return minimize(loss, [0.0, 1.0, 0.0], method="BFGS").x.round(3).tolist()


def verdicts(games: pd.DataFrame, name: str, low: float, high: float) -> pd.DataFrame:
    """First verdict of each game by the rule of `retune`; "" for none."""
    rows = []
    for _, game in games.groupby("game", sort=False):
        chance, number = game[f"chance_{name}"].to_numpy(), game["n"].to_numpy()
        said, at = "", np.inf
        for k in np.flatnonzero(number >= LEAST):
            two = chance[k - 1 : k + 1]
            quiet = game["noise"].iloc[0] <= QUIET
            if (two.min() >= high and quiet) or two.max() <= low:
                said, at = "keep" if two.min() >= high else "retune", number[k]
                break
        last = game.iloc[-1]
        known = last.get(f"known_{name}", np.nan)
        rows.append(
            {
                **{
                    key: last[key]
                    for key in ("study", "source", "noise", "tolerable", "dense_seeds")
                },
                **{"said": said, "at": at, "keep": last[f"keep_{name}"], "known": known},
                "loss": last[f"true_{name}"],
            }
        )
    found = pd.DataFrame(rows)
    found["wrong"] = (found["said"] != "") & ((found["said"] == "keep") != found["keep"])
    against = np.where(found["said"] == "keep", found["known"], 1 - found["known"])
    found["clearly"] = found["wrong"] & ~(against > 0.1)
    return found


def calibrated(games: pd.DataFrame, name: str) -> pd.Series:
    """Probability of "keep" of each look, its study left out of the regression."""
    chance = pd.Series(0.0, index=games.index)
    for study, own in games.groupby("study"):
        others = games[(games["study"] != study) & (games["source"] != "fresh")]
        terms = regression(others, name)
        chance[own.index] = expit(terms_of(own, name) @ terms)
    return chance


def summary(found: pd.DataFrame) -> dict[str, object]:
    """Counts of verdicts, and trainings until them."""
    said = found["said"] != ""
    at = np.sort(found["at"])
    half, most = (at[int(np.ceil(share * len(at))) - 1] for share in (0.5, 0.9))
    return {
        "pairs": len(found),
        "keep": int((found["said"] == "keep").sum()),
        "wrong_keep": int((found["wrong"] & (found["said"] == "keep")).sum()),
        "retune": int((found["said"] == "retune").sum()),
        "wrong_retune": int((found["wrong"] & (found["said"] == "retune")).sum()),
        "clearly_wrong": int(found["clearly"].sum()),
        "inconclusive": round(float((~said).mean()), 3),
        "median": int(half) if np.isfinite(half) else None,
        "most": int(most) if np.isfinite(most) else None,
    }


def report() -> None:
    """Write the prior that ships, and the measurements for the book."""
    games, prior = read_games(), pickle.loads((WORK / "priors.pkl").read_bytes())[""]
    known = games["source"] != "fresh"
    measured = games[known & (games["source"] != "simulated")]
    calibration, rows, bins = {}, [], []
    for name in QUESTIONS:
        games[f"chance_{name}"] = calibrated(games, name)
        calibration[name] = regression(games[known], name)
        if name == "found":
            continue
        found = verdicts(games, name, *LIMITS[name])
        fresh = found["source"] == "fresh"
        if fresh.any():
            row = {"question": name, "simulated": False, "group": "fresh"}
            rows.append(row | summary(found[fresh]))
        found = found[~fresh]
        for source, own in found.groupby(found["source"].eq("simulated")):
            groups = {"all": own}
            groups |= dict(iter(own.groupby("study"))) if source else {}
            groups |= {
                f"noise {low:g} to {high:g}": own[own["noise"].between(low, high, inclusive="left")]
                for low, high in pairwise(BUCKETS)
            }
            rows += [
                {"question": name, "simulated": bool(source), "group": group} | summary(of)
                for group, of in groups.items()
                if len(of)
            ]
        looks = measured[measured["n"].isin([10, 20, 30])]
        looks = looks.assign(**{f"chance_{name}": games.loc[looks.index, f"chance_{name}"]})
        for span, of in looks.groupby(pd.cut(looks[f"chance_{name}"], SPANS), observed=True):
            low, high = span.left, span.right
            said, true = of[f"chance_{name}"].mean(), of[f"keep_{name}"].mean()
            bins.append(
                {"question": name, "from": low, "to": high, "looks": len(of)}
                | {"said": round(float(said), 3), "keep": round(float(true), 3)}
            )
    both = verdicts(games[known], "both", *LIMITS["both"])
    outlook = [
        {"noise": round(float(own["noise"].median()), 2)}
        | {key: summary(own)[key] for key in ("pairs", "median", "most", "inconclusive")}
        for low, high in pairwise(BUCKETS)
        if len(own := both[both["noise"].between(low, high, inclusive="left")])
    ]
    # What replicates of the dense network are worth: simulated ones have none.
    real = both[both["source"] != "simulated"]
    replicates = {
        name: {key: summary(own)[key] for key in ("pairs", "inconclusive")}
        for name, own in zip(
            ("one", "several"),
            (real[real["dense_seeds"] == 1], real[real["dense_seeds"] > 1]),
            strict=True,
        )
    }
    plain = {key: np.round(of, 6).tolist() for key, of in prior._asdict().items()}
    ship = {
        "source": "python benchmarks/retune.py report",
        "studies": sorted(set(measured["study"])),
        "prior": plain,
        **{
            "calibration": calibration,
            "limits": LIMITS,
            "outlook": outlook,
            "replicates": replicates,
        },
    }
    PRIOR.write_text(json.dumps(ship, indent=1) + "\n", encoding="utf-8")
    regret = [
        {"source": source, "trainings": number, "pairs": len(of)}
        | {"regret": round(float(of["true_found"].mean()), 3)}
        for (source, number), of in games[known & games["n"].isin([0, 5, 10, 20, 30])].groupby(
            ["source", "n"]
        )
    ]
    content = {"machine": machine(), "verdicts": rows, "calibration": bins, "regret": regret}
    MEASUREMENTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(markdown(rows), markdown(bins), markdown(regret), sep="\n\n")
    print(calibration, outlook, sep="\n")

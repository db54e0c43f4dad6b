/* Regions of interest, ellipses and risks at any threshold: hpstudy's landscape.py, ellipse.py and
   risk.py in the browser. Values are arrays, one entry a grid point, null where there is none. */
const hpstudyRegions = (() => {
  "use strict";

  const TOLERANCE = 1e-9;
  const DEGENERATE = 1e-12;
  const MINIMUM_POINTS = 5;
  const MULTIPLE = 2;

  const mean = (numbers) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

  /* Indices of the entries that are there and pass. */
  const where = (values, pass) =>
    [...values.keys()].filter((k) => values[k] !== null && pass(values[k]));

  /* Highest value and its point, of ties the first; null where there is no value. */
  function best(values) {
    const there = values.filter((value) => value !== null);
    if (!there.length) {
      return null;
    }
    const value = Math.max(...there);
    return { value, point: where(values, (x) => x >= value - TOLERANCE)[0] };
  }

  /* Points at most `threshold` below the best (equation 3.3). */
  function region(values, threshold) {
    const top = best(values);
    return top ? where(values, (x) => x >= top.value - threshold - TOLERANCE) : [];
  }

  /* Ellipse of points given by two logarithms each, as confidence_ellipse; null below five. */
  function ellipse(first, second) {
    const n = first.length;
    if (n < MINIMUM_POINTS) {
      return null;
    }
    const centre = [mean(first), mean(second)];
    const moment = (a, i, b, j) =>
      a.reduce((sum, x, k) => sum + (x - centre[i]) * (b[k] - centre[j]), 0) / (n - 1);
    const [varFirst, varSecond] = [moment(first, 0, first, 0), moment(second, 1, second, 1)];
    let covariance = moment(first, 0, second, 1);
    let difference = (varFirst - varSecond) / 2;
    const middle = (varFirst + varSecond) / 2;
    let radius = Math.hypot(difference, covariance);
    if (radius <= DEGENERATE * middle) {
      radius = difference = covariance = 0;
    }
    const minor = middle - radius <= DEGENERATE * middle ? 0 : middle - radius;
    let angle = Math.atan2(covariance, difference) / 2;
    if (angle <= -Math.PI / 2) {
      angle += Math.PI;
    }
    return {
      length: 2 * MULTIPLE * Math.sqrt(middle + radius),
      width: 2 * MULTIPLE * Math.sqrt(minor),
      centre,
      angle,
      n,
    };
  }

  /* Logarithms along an ellipse, closed: those of the first axis, those of the second. */
  function outline({ length, width, centre, angle }, points = 61) {
    const turns = Array.from({ length: points }, (_, k) => (2 * Math.PI * k) / (points - 1));
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const along = turns.map((turn) => (length / 2) * Math.cos(turn));
    const across = turns.map((turn) => (width / 2) * Math.sin(turn));
    return [
      along.map((a, k) => centre[0] + cos * a - sin * across[k]),
      along.map((a, k) => centre[1] + sin * a + cos * across[k]),
    ];
  }

  /* Mean distance from a network's own best over the dense one's region (equations 3.4, 3.5). */
  function risk(dense, values, threshold) {
    const top = best(values);
    const there = region(dense, threshold).filter((k) => values[k] !== null);
    const losses = there.map((k) => top.value - values[k]);
    return { n: losses.length, mean: losses.length ? mean(losses) : null };
  }

  /* Distance of every value from the best of all, at most 0. */
  function fromBest(values) {
    const top = best(values);
    return values.map((value) => (value === null ? null : value - top.value));
  }

  /* How much closer to its own best the right network is than the left one to its. */
  function difference(left, right) {
    const [ours, theirs] = [fromBest(left), fromBest(right)];
    return ours.map((x, k) => (x === null || theirs[k] === null ? null : theirs[k] - x));
  }

  return { best, region, ellipse, outline, risk, fromBest, difference, mean };
})();

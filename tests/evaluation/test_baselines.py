import numpy as np
import pytest

from cloudlstm.dataset.inputs import Relative
from cloudlstm.errors import DataError
from cloudlstm.evaluation import baselines, ridge
from cloudlstm.evaluation.baselines import add_baselines, fit_drift, fit_ridge, naive_loss, ridge_returns
from cloudlstm.evaluation.ridge import Sums
from evaluation.samples import ArrayWindows, forecasts_for, make_windows

TRANSFORM = Relative(1)
ALPHAS = (1e-3, 1.0, 1e3)


def splits(signal=0.0):
    return {
        "train": make_windows(4, 200, first="2020-01-01", seed=1, signal=signal),
        "validation": make_windows(4, 60, first="2022-01-03", seed=2, signal=signal),
        "test": make_windows(4, 60, first="2023-01-02", seed=3, signal=signal),
    }


def test_ridge_is_the_solution_of_the_normal_equations():
    rng = np.random.default_rng(0)
    x, y = rng.normal(2.0, 1.0, (200, 7)), rng.normal(1.0, 1.0, 200)
    found = ridge.fit([Sums.of(x[part], y[part]) for part in (slice(50), slice(50, 51), slice(51, None))], [0.5, 30.0])
    for number, alpha in enumerate([0.5, 30.0]):
        # The intercept as another column, without penalty.
        wide = np.column_stack([x, np.ones(200)])
        penalty = alpha * np.diag([1.0] * 7 + [0.0])
        solution = np.linalg.solve(wide.T @ wide + penalty, wide.T @ y)
        np.testing.assert_allclose(found.weights[:, number], solution[:-1], rtol=1e-9)
        assert found.intercepts[number] == pytest.approx(solution[-1])
        np.testing.assert_allclose(found.predict(x)[:, number], wide @ solution, rtol=1e-9)


def test_without_penalty_ridge_is_least_squares_even_if_a_column_repeats():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 3))
    x = np.column_stack([x, x[:, 0]])
    y = x @ [1.0, 2.0, 3.0, 0.0] + 5.0
    found = ridge.fit([Sums.of(x, y)], [1e-9])
    np.testing.assert_allclose(found.predict(x)[:, 0], y, rtol=1e-6)


def test_the_penalty_is_the_one_with_the_least_validation_error():
    windows = splits(signal=0.5)
    path, losses = fit_ridge(windows["train"], windows["validation"], TRANSFORM, ALPHAS)
    every = np.arange(len(windows["validation"]))
    raw, names = windows["validation"].windows(every), windows["validation"].tickers(every)
    labels = TRANSFORM.labels(raw, names, windows["validation"].targets(every))
    inputs = TRANSFORM.inputs(raw, names).reshape(len(every), -1)
    direct = {}
    for alpha in ALPHAS:
        alone, _ = fit_ridge(windows["train"], None, TRANSFORM, [alpha])
        direct[alpha] = np.mean((alone.predict(inputs)[:, 0] - labels) ** 2)
    assert losses == pytest.approx(direct)
    assert path.alphas == (min(direct, key=direct.get),)


def test_without_validation_labels_the_largest_penalty_is_chosen():
    windows = splits()
    path, losses = fit_ridge(windows["train"], None, TRANSFORM, ALPHAS)
    assert path.alphas == (1e3,)
    assert np.isnan(list(losses.values())).all()


def test_ridge_finds_a_planted_signal():
    windows = splits(signal=0.5)
    path, _ = fit_ridge(windows["train"], windows["validation"], TRANSFORM, ALPHAS)
    forecast = ridge_returns(path, windows["test"], TRANSFORM)
    # The signal is 86 % of the variance (0.5 * 0.01)^2 + 0.002^2.
    actual = windows["test"].returns.astype(float)
    assert 1 - np.sum((forecast - actual) ** 2) / np.sum(actual**2) > 0.75


def test_the_batch_size_does_not_change_the_forecasts_of_ridge(monkeypatch):
    windows = splits(signal=0.2)
    whole = ridge_returns(fit_ridge(windows["train"], None, TRANSFORM, [1.0])[0], windows["test"], TRANSFORM)
    monkeypatch.setattr(baselines, "BATCH_WINDOWS", 37)
    parts = ridge_returns(fit_ridge(windows["train"], None, TRANSFORM, [1.0])[0], windows["test"], TRANSFORM)
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-7)  # products of float32


def test_drift_is_the_mean_of_the_tickers_training_labels(monkeypatch):
    train = splits()["train"]
    monkeypatch.setattr(baselines, "BATCH_WINDOWS", 150)  # the 200 windows of a ticker are in two batches
    means, pooled = fit_drift(train)
    for name in np.unique(train.names):
        assert means[name] == pytest.approx(train.returns[train.names == name].astype(float).mean())
    assert pooled == pytest.approx(train.returns.astype(float).mean())


def test_a_ticker_without_training_labels_gets_the_drift_of_all():
    windows = splits()
    windows["train"] = windows["train"].taken(np.flatnonzero(windows["train"].names != "T0002"))
    test = forecasts_for(windows["test"])
    fit = add_baselines({"test": test}, windows, TRANSFORM, ALPHAS)
    assert set(test.models["drift"][test.ticker == 2]) == {fit.drift_pooled}
    assert fit.drift_pooled == pytest.approx(windows["train"].returns.astype(float).mean())
    assert len(set(test.models["drift"])) == 4


def test_no_baseline_depends_on_a_test_label():
    found = []
    for shift in (0.0, 0.5):
        windows = splits(signal=0.2)
        windows["test"].returns += np.float32(shift)
        test = forecasts_for(windows["test"])
        add_baselines({"test": test}, windows, TRANSFORM, ALPHAS)
        found.append(test.models)
    for model in ("naive", "drift", "ridge"):
        assert found[0][model].tobytes() == found[1][model].tobytes()


def test_forecasts_are_matched_to_windows_in_any_order():
    windows = splits(signal=0.5)
    ordered = forecasts_for(windows["test"])
    add_baselines({"test": ordered}, windows, TRANSFORM, ALPHAS)
    shuffled = forecasts_for(windows["test"])
    order = np.random.default_rng(5).permutation(len(windows["test"]))
    add_baselines({"test": shuffled}, windows | {"test": windows["test"].taken(order)}, TRANSFORM, ALPHAS)
    np.testing.assert_allclose(shuffled.models["ridge"], ordered.models["ridge"], rtol=1e-6, atol=1e-12)
    assert list(shuffled.models) == ["naive", "drift", "ridge", "lstm"]


def test_a_forecast_without_a_window_is_an_error_that_names_it():
    windows = splits()
    test = forecasts_for(windows["test"])
    kept = np.flatnonzero((windows["test"].names != "T0001") | (windows["test"].days != windows["test"].days.min()))
    with pytest.raises(DataError, match=r"1 forecasts have no window.*T0001 on 2023-01-02"):
        add_baselines({"test": test}, windows | {"test": windows["test"].taken(kept)}, TRANSFORM, ALPHAS)
    unknown = ArrayWindows(
        windows["test"].raw, np.array(["ZZZ"] * len(test)), windows["test"].days, windows["test"].returns
    )
    with pytest.raises(DataError, match="240 forecasts have no window"):
        add_baselines({"test": test}, windows | {"test": unknown}, TRANSFORM, ALPHAS)


def test_naive_loss_is_in_the_units_of_the_networks_loss():
    validation = splits()["validation"]
    every = np.arange(len(validation))
    labels = TRANSFORM.labels(validation.raw, validation.names, validation.targets(every)).astype(float)
    assert naive_loss(validation, TRANSFORM) == pytest.approx(np.mean(labels**2))
    assert np.isnan(naive_loss(None, TRANSFORM))

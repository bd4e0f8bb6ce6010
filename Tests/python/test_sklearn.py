"""scikit-learn on the cluster gives bit by bit what it gives with loky."""

import pytest

pytest.importorskip("sklearn")

import numpy
from joblib import parallel_config
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import SVC

# More than a megabyte, so that it is shared and mapped.
X, Y = make_classification(n_samples=1500, n_features=100, random_state=3)


def on(backend, fit):
    with parallel_config(backend=backend, n_jobs=2):
        return fit()


def forest():
    trees = RandomForestClassifier(n_estimators=24, random_state=0, n_jobs=-1)
    return trees.fit(X, Y).predict_proba(X)


def scores():
    return cross_val_score(RandomForestClassifier(n_estimators=8, random_state=0), X, Y, cv=4)


def grid():
    search = GridSearchCV(SVC(random_state=0), {"C": [0.5, 2.0], "gamma": ["scale", 0.01]}, cv=3)
    search.fit(X[:300], Y[:300])
    return search.cv_results_["mean_test_score"]


@pytest.mark.parametrize("fit", [forest, scores, grid])
def test_results_are_equal_to_lokys(cluster, fit):
    assert X.nbytes > 1 << 20
    assert numpy.array_equal(on("muster", fit), on("loky", fit))
